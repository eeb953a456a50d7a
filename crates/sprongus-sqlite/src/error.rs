//! SQLite's errors as the contract's: a message for the caller without SQL in it, the cause kept for the log.

use rusqlite::ErrorCode as Cause;
use sprongus_core::{Error, ErrorCode, Result};

/// What a database error means to a caller. A locked, full, read-only or unreachable database is `unavailable`, whatever was
/// being done; anything else is a fault of ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "SQLite's own list of errors is open")]
pub fn db_err(error: rusqlite::Error) -> Error {
    let (code, message, hint) = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            Cause::DatabaseBusy | Cause::DatabaseLocked => {
                (ErrorCode::Unavailable, "the database stayed locked by another process", None)
            }
            Cause::DiskFull => {
                (ErrorCode::Unavailable, "the disk is full", Some("free some space, then try again"))
            }
            Cause::ReadOnly => (
                ErrorCode::Unavailable,
                "the database is read-only",
                Some("check the permissions of the file and its folder"),
            ),
            Cause::CannotOpen => (
                ErrorCode::Unavailable,
                "the database cannot be opened",
                Some("check the path and the permissions of the folder"),
            ),
            Cause::SystemIoFailure => (ErrorCode::Unavailable, "the disk returned an error", None),
            Cause::NotADatabase => (
                ErrorCode::Unavailable,
                "the file is not a database",
                Some("use another file with --db, or restore a backup"),
            ),
            Cause::DatabaseCorrupt => {
                (ErrorCode::Unavailable, "the database is damaged", Some("restore a backup of the file"))
            }
            _ => (ErrorCode::Internal, "the database refused a statement", None),
        },
        _ => (ErrorCode::Internal, "the database contains data that this version cannot read", None),
    };
    let error = Error::new(code, message).with_source(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Lets `?` turn a database error into the contract's.
pub trait MapDbErr<T> {
    /// The value, or what the error means to a caller.
    fn map_db_err(self) -> Result<T>;
}

impl<T> MapDbErr<T> for rusqlite::Result<T> {
    fn map_db_err(self) -> Result<T> {
        self.map_err(db_err)
    }
}
