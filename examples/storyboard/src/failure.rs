//! Why a command stopped, the exit code that says so to the engine, and the one line that says so to a person.
//!
//! Exit codes follow sysexits.h: 78 is "do not try again", every other one may be retried.

use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;

/// The error behind every command here.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line itself is wrong.
    Usage(String),
    /// The input will be just as wrong next time.
    Refused(String),
    /// Somebody holds the file just now; the next attempt may find it free.
    Busy(String),
    /// The machine failed us: a full disk, a broken read.
    Unavailable(String),
}

impl Failure {
    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unavailable(_) => 74,
            Self::Busy(_) => 75,
            Self::Refused(_) => 78,
        }
    }

    /// An error of the file system, for good if the path is at fault and for now if the machine is.
    pub(crate) fn at(verb: &str, path: &Path, error: &io::Error) -> Self {
        let line = format!("cannot {verb} {}: {}", path.display(), reason(error));
        if is_about_the_path(error) { Self::Refused(line) } else { Self::Unavailable(line) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(line) | Self::Refused(line) | Self::Busy(line) | Self::Unavailable(line) => {
                f.write_str(&printable(line))
            }
        }
    }
}

/// A full disk empties and a network drive comes back; a path that is wrong stays wrong.
fn is_about_the_path(error: &io::Error) -> bool {
    // ErrorKind::FilesystemLoop is not stable yet; 40 is ELOOP on Linux, 62 on the BSDs and macOS.
    let too_many_links = if cfg!(target_os = "linux") { 40 } else { 62 };
    [
        io::ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::InvalidInput,
        io::ErrorKind::InvalidFilename,
        io::ErrorKind::ReadOnlyFilesystem,
    ]
    .contains(&error.kind())
        || error.raw_os_error() == Some(too_many_links)
}

/// The system's words as a fragment of a sentence: `no such file or directory`.
fn reason(error: &io::Error) -> String {
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Escapes whatever could move the cursor or hide text: paths and input come from strangers.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        let hides = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || hides {
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named_in_one_lower_case_line_and_refused_for_good() {
        let error = io::Error::from_raw_os_error(2);
        let failure = Failure::at("read", Path::new("/x/y"), &error);
        assert_eq!(failure.to_string(), "cannot read /x/y: no such file or directory");
        assert_eq!(failure.exit_code(), 78);
    }

    #[test]
    fn a_full_disk_may_be_retried() {
        let failure = Failure::at("write", Path::new("b.csv"), &io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(failure.exit_code(), 74);
    }

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(printable("a\x1b[2J\nb\u{202e}é"), "a\\u{1b}[2J\\nb\\u{202e}é");
    }
}
