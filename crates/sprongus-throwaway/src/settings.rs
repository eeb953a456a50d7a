//! What a server is asked to be.

use std::path::PathBuf;

/// What an answered commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of a connection. Nothing is forced to the disk, which is what most tests want.
    #[default]
    Fast,
    /// The death of the server and of the machine's power.
    Full,
}

/// How to start a server.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What an answered commit survives.
    pub durability: Durability,
    /// More lines for the server's configuration, names and values; they win over ours.
    pub options: Vec<(String, String)>,
    /// Where to make the folder of the data; in the system's temporary folder unless said. The account of the server
    /// must be able to enter it.
    pub folder: Option<PathBuf>,
}

impl Settings {
    /// The lines of the configuration. How the server is reached is on its command line.
    pub(crate) fn lines(&self) -> String {
        let (forced, buffers) = match self.durability {
            Durability::Fast => ("off", "64MB"),
            Durability::Full => ("on", "256MB"),
        };
        let ours = [
            ("fsync", forced),
            ("full_page_writes", forced),
            ("synchronous_commit", forced),
            ("shared_buffers", buffers),
            ("max_connections", "200"),
            ("password_encryption", "scram-sha-256"),
        ];
        let ours: String = ours.iter().map(|(name, value)| line(name, value)).collect();
        let theirs = self.options.iter().map(|(name, value)| line(name, value));
        ours + &theirs.collect::<String>()
    }
}

/// One option as a line of the configuration.
pub(crate) fn line(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_comes_last_and_is_quoted() {
        let options = vec![("fsync".to_owned(), "it's".to_owned())];
        let lines = Settings { options, ..Settings::default() }.lines();
        assert!(lines.starts_with("fsync = 'off'\n") && lines.ends_with("\nfsync = 'it''s'\n"), "{lines}");
    }
}
