//! Whether the files that this process has open are still those that others find under their names. A file that was deleted, moved or
//! replaced goes on taking writes, which nobody finds afterwards; so nothing is acknowledged then.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sprongus_core::{Error, ErrorCode};

/// What tells a file from any other that ever had its name: its device and its number there.
type Identity = (u64, u64);

/// The names of a database's files, and what was found under them when it was opened.
#[derive(Debug)]
pub struct Place(Vec<(PathBuf, Identity)>);

/// Why nothing may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// There is no file of the name.
    Gone,
    /// There is another one.
    Replaced,
}

impl Loss {
    /// What happened, in a line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "a database file was deleted or moved while in use",
            Self::Replaced => "a database file was replaced while in use",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Gone => {
                "restore the file with its -wal and -shm files, or stop every process that uses it and start again"
            }
            Self::Replaced => "stop every process that uses the database, then start again",
        }
    }
}

impl From<Loss> for Error {
    fn from(loss: Loss) -> Self {
        Self::new(ErrorCode::Unavailable, loss.text()).with_hint(loss.remedy())
    }
}

impl Place {
    /// Looks at the files of a database that a connection has just opened and read, so that its log is there.
    pub fn of(file: &Path) -> Self {
        let name = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        // The log lies beside the file itself, not beside a link to it.
        let real = std::fs::canonicalize(&name).unwrap_or_else(|_| name.clone());
        let beside = |ending: &str| {
            let mut name = real.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        };
        let names = [beside("-wal"), beside("-shm"), name];
        let known = names.into_iter().filter_map(|name| identity(&name).ok().map(|found| (name, found)));
        Self(known.collect())
    }

    /// Whether all are as they were.
    ///
    /// # Errors
    /// What happened to the first that is not.
    pub fn check(&self) -> Result<(), Loss> {
        for (name, known) in &self.0 {
            match identity(name) {
                Ok(found) if found == *known => {}
                Ok(_) => return Err(Loss::Replaced),
                // Or a folder on the way may not be entered any more: nobody else finds the file either.
                Err(_) => return Err(Loss::Gone),
            }
        }
        Ok(())
    }
}

fn identity(name: &Path) -> std::io::Result<Identity> {
    std::fs::metadata(name).map(|found| (found.dev(), found.ino()))
}
