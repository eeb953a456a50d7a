//! Why a command could not be carried out, as far as `main` tells them apart.

use std::io;

use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode};

use crate::exit::Exit;

/// The result of a command.
pub type Outcome<T = Exit> = Result<T, Failure>;

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// It was refused or went wrong.
    Refused(Error),
    /// Whoever read the output has left. That is no error.
    ReaderGone,
    /// Ctrl-C while the run was followed.
    Interrupted(RunId),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Only the output is written with `?` on an `io::Error`; files are read where the error can name them.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        let message = format!("cannot write the result: {error}");
        Self::Refused(Error::new(ErrorCode::Unavailable, message).with_hint("check where the output goes"))
    }
}
