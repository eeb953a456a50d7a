//! What is wrong with a `sprongus.toml`, and where.

use std::fmt;
use std::path::PathBuf;

/// A place in the file, counted from 1 as editors do; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, from 1 on.
    pub line: usize,
    /// The column, from 1 on.
    pub column: usize,
}

/// A fault in `sprongus.toml` or in a file that it names. Prints as one line,
/// `sprongus.toml:12:9: kinds."script.pull".timeout: expected …`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeclarationFault {
    /// The file, as it was given to the reader.
    pub path: PathBuf,
    /// Where in the file; `None` when the file as a whole cannot be read.
    pub position: Option<Position>,
    /// The key, dotted and quoted as TOML writes it; `None` when the fault is in the syntax.
    pub key: Option<String>,
    /// What was expected and what was found.
    pub problem: String,
}

impl fmt::Display for DeclarationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        // A message of a parser below may span lines; ours is one, so that it can be grepped and logged.
        let mut lines = self.problem.lines().map(str::trim).filter(|line| !line.is_empty());
        f.write_str(lines.next().unwrap_or("invalid"))?;
        lines.try_for_each(|line| write!(f, "; {line}"))
    }
}

impl std::error::Error for DeclarationFault {}
