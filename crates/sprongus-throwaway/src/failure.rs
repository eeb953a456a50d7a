//! What can go wrong, and what to do about it.

use std::error::Error;
use std::fmt;
use std::io;

/// What came out, or why nothing did.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why a server does not do what was asked of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Failure {
    /// No programs of a Postgres server on this machine.
    NoBinaries,
    /// No server of buckets where `./test` installs it.
    NoBucketServer,
    /// Root asks, and there is nobody else to run the server as.
    NoAccount,
    /// One of Postgres' programs has failed.
    Program {
        /// Its name.
        name: String,
        /// What it wrote.
        said: String,
    },
    /// The server ended, or took too long, before it was ready.
    NotReady {
        /// The end of its log.
        log: String,
    },
    /// The server or one of its processes lives on after it was to end.
    NotGone,
    /// The server refused a statement or a connection.
    Refused {
        /// What was to be done.
        doing: String,
        /// What the server said.
        source: tokio_postgres::Error,
    },
    /// The system refused a file or a process.
    System {
        /// What was to be done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBinaries => write!(
                out,
                "no Postgres server on this machine: install Debian's postgresql package (./test does)"
            ),
            Self::NoBucketServer => {
                write!(out, "no moto in target/tools/python: `./test` installs it from PyPI")
            }
            Self::NoAccount => write!(
                out,
                "Postgres does not run as root: make a user postgres or nobody, or do not be root"
            ),
            Self::Program { name, said } => {
                write!(out, "{name} failed; if it may not enter a folder, set TMPDIR to one it may: {said}")
            }
            Self::NotReady { log } => write!(out, "the server did not get ready; its log says why: {log}"),
            Self::NotGone => {
                write!(out, "a process of the server lives on; look for a statement that takes long")
            }
            Self::Refused { doing, source } => match source.as_db_error() {
                Some(said) => write!(out, "cannot {doing}; see the server's log: {said}"),
                None => write!(out, "cannot {doing}; is the server running?: {source}"),
            },
            Self::System { doing, source } => {
                write!(out, "cannot {doing}; look at its permissions and the free space: {source}")
            }
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused { source, .. } => Some(source),
            Self::System { source, .. } => Some(source),
            Self::NoBinaries
            | Self::NoBucketServer
            | Self::NoAccount
            | Self::Program { .. }
            | Self::NotReady { .. }
            | Self::NotGone => None,
        }
    }
}

/// Says what the system refused.
pub(crate) trait Doing<T> {
    /// `doing` continues the sentence "cannot …".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Failure::System { doing: doing(), source })
    }
}

impl<T> Doing<T> for std::result::Result<T, tokio_postgres::Error> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Failure::Refused { doing: doing(), source })
    }
}
