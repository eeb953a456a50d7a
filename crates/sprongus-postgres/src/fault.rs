//! Postgres' errors as the contract's: a message for the caller without SQL in it, the cause kept for the log; and whether the same
//! transaction may be tried again.

use std::error::Error as StdError;

use sprongus_core::{Error, ErrorCode};
use tokio_postgres::error::SqlState;

/// Whether a transaction that failed may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It would fail again.
    No,
    /// It was rolled back for its neighbours' sake.
    RolledBack,
    /// The connection is gone: it may have been committed or not.
    Unknown,
}

/// Why a transaction failed.
#[derive(Debug)]
pub struct Fault {
    /// What the caller is told.
    pub error: Error,
    /// Whether to try again.
    pub again: Again,
}

/// A result within the store.
pub type Result<T> = std::result::Result<T, Fault>;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self { error, again: Again::No }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code().cloned() else {
            let lost = error.is_closed() || (has_io(&error) && error.to_string() != NO_TLS);
            return if lost { unreachable(error) } else { refused(error) };
        };
        let (code, message, hint, again) = meaning(&state);
        let told = Error::new(code, message).with_source(cause(&error));
        Self { error: if hint.is_empty() { told } else { told.with_hint(hint) }, again }
    }
}

/// What the server said, for the log: without its detail, which repeats values.
fn cause(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} {}", said.code().code(), said.message()),
        None => error.to_string(),
    }
}

fn has_io(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if inner.is::<std::io::Error>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

/// The server cannot be reached, or not any more.
pub fn unreachable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Fault {
    let told = Error::new(ErrorCode::Unavailable, "the database cannot be reached").with_source(error);
    let told = told.with_hint("check that Postgres runs and that host and port are right; then try again");
    Fault { error: told, again: Again::Unknown }
}

/// What tokio-postgres says of a handshake that failed, for whatever reason.
const NO_TLS: &str = "error performing TLS handshake";

/// What tokio-postgres itself refuses, which it tells apart by its text alone.
fn refused(error: tokio_postgres::Error) -> Fault {
    let cause = error.source().map(ToString::to_string);
    let (code, message, hint) = match (error.to_string().as_str(), cause.as_deref()) {
        (_, Some("password missing")) => (
            ErrorCode::Unauthenticated,
            "the database asks for a password",
            "put it into the URL: postgres://user:password@host/database; PGPASSWORD and .pgpass are not read",
        ),
        ("authentication error", _) => (
            ErrorCode::Unauthenticated,
            "the database does not let this user in",
            "check user and password in the URL, and pg_hba.conf on the server",
        ),
        (NO_TLS, _) => (
            ErrorCode::Unavailable,
            "no encrypted connection to the database can be made",
            "check that the server takes TLS, and that its certificate is for this host and from an authority of this \
             system or of SSL_CERT_FILE",
        ),
        _ => return unreadable(error),
    };
    Error::new(code, message).with_hint(hint).with_source(error).into()
}

/// What came back is nothing this version wrote, or what was sent nothing the server takes.
fn unreadable(error: tokio_postgres::Error) -> Fault {
    Error::internal("the database holds what this version cannot read").with_source(error).into()
}

/// What a SQLSTATE means to a caller.
fn meaning(state: &SqlState) -> (ErrorCode, &'static str, &'static str, Again) {
    use ErrorCode::{Forbidden, Internal, NotFound, SchemaMismatch, Unauthenticated, Unavailable};
    let class = state.code().get(..2).unwrap_or_default();
    if *state == SqlState::T_R_SERIALIZATION_FAILURE || *state == SqlState::T_R_DEADLOCK_DETECTED {
        (Unavailable, "the database was busy with conflicting changes", "", Again::RolledBack)
    } else if class == "28" {
        let hint = "check user and password in the URL, and pg_hba.conf on the server";
        (Unauthenticated, "the database does not let this user in", hint, Again::No)
    } else if *state == SqlState::INVALID_CATALOG_NAME {
        (NotFound, "no such database on this server", "make it with createdb, or name another one", Again::No)
    } else if *state == SqlState::INSUFFICIENT_PRIVILEGE {
        let hint = "let the database's owner run `sprongus migrate --role ROLE` for this role";
        (Forbidden, "the database role may not do this", hint, Again::No)
    } else if [
        SqlState::INVALID_SCHEMA_NAME,
        SqlState::UNDEFINED_TABLE,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::UNDEFINED_COLUMN,
    ]
    .contains(state)
    {
        (SchemaMismatch, "the database has no schema of sprongus, or another one", "", Again::No)
    } else if *state == SqlState::DISK_FULL {
        (
            Unavailable,
            "the database's disk is full",
            "free some space on the server, then try again",
            Again::No,
        )
    } else if *state == SqlState::READ_ONLY_SQL_TRANSACTION {
        (Unavailable, "the database is read-only", "name the primary, not a standby", Again::No)
    } else if *state == SqlState::QUERY_CANCELED || *state == SqlState::LOCK_NOT_AVAILABLE {
        (Unavailable, "the database took too long", "", Again::No)
    } else if ["08", "53", "57", "58"].contains(&class) {
        (Unavailable, "the database is not there for us", "", Again::Unknown)
    } else {
        (Internal, "the database refused a statement", "", Again::No)
    }
}
