//! Postgres' errors as the contract's: a message for the caller without SQL in it, the cause kept for the log; and whether the same
//! transaction may be tried again.

use std::error::Error as StdError;

use sprongus_core::rules::enqueue::taken;
use sprongus_core::{Error, ErrorCode};
use tokio_postgres::error::{DbError as DbServerError, SqlState};

/// The constraint that no two runs have the same id.
const RUN_ID: &str = "runs_pkey";

/// Whether a transaction that failed may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would fail again.
    Never,
    /// It was rolled back for its neighbours' sake.
    RolledBack,
    /// It was rolled back because of the session it was sent on: another one may do it.
    NewSession,
    /// The connection is gone: it may have been committed or not.
    Unknown,
}

/// Why a transaction failed.
#[derive(Debug)]
pub struct DbError {
    /// What the caller gets.
    pub error: Error,
    /// Whether to try again.
    pub retry: Retry,
}

/// A result within the store.
pub type Result<T> = std::result::Result<T, DbError>;

impl From<Error> for DbError {
    fn from(error: Error) -> Self {
        Self { error, retry: Retry::Never }
    }
}

impl From<DbError> for Error {
    fn from(error: DbError) -> Self {
        error.error
    }
}

impl From<tokio_postgres::Error> for DbError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code().cloned() else {
            let lost = error.is_closed() || (has_io(&error) && error.to_string() != NO_TLS);
            return if lost { unreachable(error) } else { refused(error) };
        };
        if error.as_db_error().and_then(DbServerError::constraint) == Some(RUN_ID) {
            return taken().into();
        }
        let (code, message, hint, retry) = meaning(&state).unwrap_or((
            ErrorCode::Internal,
            "the database refused a statement",
            "",
            Retry::Never,
        ));
        let known = Error::new(code, message).with_source(cause(&error));
        Self { error: if hint.is_empty() { known } else { known.with_hint(hint) }, retry }
    }
}

/// Whether the session that an error came from may be used again. Only errors that are about a statement or its rows leave it as good
/// as it was. Any other may stick to it: a demoted primary, a plan of a table that was altered, statements that a pooler dropped.
pub fn is_session_sound(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else { return false };
    let class = state.code().get(..2).unwrap_or_default();
    let sticks = [SqlState::DUPLICATE_PSTATEMENT, SqlState::UNDEFINED_OBJECT, SqlState::UNDEFINED_TABLE];
    match class {
        "22" | "23" | "40" | "44" | "53" | "54" | "55" | "P0" => true,
        "42" => !sticks.contains(state),
        _ => *state == SqlState::QUERY_CANCELED,
    }
}

/// What the server said, for the log: without its detail, which repeats values.
pub fn cause(error: &tokio_postgres::Error) -> String {
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
pub fn unreachable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> DbError {
    let error = Error::new(ErrorCode::Unavailable, "cannot reach the database")
        .with_source(error)
        .with_hint("check that Postgres is running and that host and port are correct, then try again");
    DbError { error, retry: Retry::Unknown }
}

/// What tokio-postgres says of a handshake that failed, for whatever reason.
const NO_TLS: &str = "error performing TLS handshake";

/// What tokio-postgres itself refuses, which it tells apart by its text alone.
fn refused(error: tokio_postgres::Error) -> DbError {
    let cause = error.source().map(ToString::to_string);
    let (code, message, hint) = match (error.to_string().as_str(), cause.as_deref()) {
        (_, Some("password missing")) => (
            ErrorCode::Unauthenticated,
            "the database requires a password",
            "add it to the URL: postgres://user:password@host/database; PGPASSWORD and .pgpass are not read",
        ),
        ("authentication error", _) => (
            ErrorCode::Unauthenticated,
            "the database rejected this user",
            "check user and password in the URL, and pg_hba.conf on the server",
        ),
        (NO_TLS, _) => (
            ErrorCode::Unavailable,
            "cannot open an encrypted connection to the database",
            "check that the server supports TLS, and that its certificate matches this host and is signed by an authority of this system or of SSL_CERT_FILE",
        ),
        (text, _) if OUT_OF_STEP.contains(&text) => {
            let error = Error::new(ErrorCode::Unavailable, "the database's responses are out of sequence")
                .with_hint(POOLERS)
                .with_source(error);
            return DbError { error, retry: Retry::Unknown };
        }
        _ => return unreadable(error),
    };
    Error::new(code, message).with_hint(hint).with_source(error).into()
}

/// Where everything about poolers is said.
pub const POOLERS: &str = "there may be a pooler in between: docs/postgres.md#poolers";

/// What tokio-postgres says of an answer that is not one to what it asked.
const OUT_OF_STEP: [&str; 2] = ["unexpected message from server", "error parsing response from server"];

/// What came back is nothing this version wrote, or what was sent nothing the server takes.
fn unreadable(error: tokio_postgres::Error) -> DbError {
    Error::internal("the database contains data that this version cannot read").with_source(error).into()
}

/// What a SQLSTATE means to a caller; none where it can only be a fault of ours.
fn meaning(state: &SqlState) -> Option<(ErrorCode, &'static str, &'static str, Retry)> {
    use ErrorCode::{Forbidden, NotFound, SchemaMismatch, Unauthenticated, Unavailable};
    let class = state.code().get(..2).unwrap_or_default();
    Some(match state.code() {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => {
            (Unavailable, "the database was busy with conflicting changes", "", Retry::RolledBack)
        }
        // invalid_catalog_name
        "3D000" => (
            NotFound,
            "no such database on this server",
            "create it with createdb, or use another one",
            Retry::Never,
        ),
        // insufficient_privilege
        "42501" => {
            let hint = "have the database's owner run `sprongus migrate --role ROLE` for this role";
            (Forbidden, "the database role lacks the permission", hint, Retry::Never)
        }
        // invalid_schema_name, undefined_table, undefined_function, undefined_column
        "3F000" | "42P01" | "42883" | "42703" => {
            (SchemaMismatch, "the database has no sprongus schema, or another one", "", Retry::Never)
        }
        // undefined_object: what a policy says where the workspace was not named in this session.
        "42704" => (Unavailable, "the session lost its workspace setting", POOLERS, Retry::NewSession),
        // disk_full
        "53100" => {
            let hint = "free some space on the server, then try again";
            (Unavailable, "the database's disk is full", hint, Retry::Never)
        }
        // read_only_sql_transaction: after a failover another session may reach the new primary.
        "25006" => (
            Unavailable,
            "the database is read-only",
            "connect to the primary, not a standby",
            Retry::NewSession,
        ),
        // idle_in_transaction_session_timeout, transaction_timeout
        "25P03" | "25P04" => {
            let hint = "raise the server role's transaction_timeout or idle_in_transaction_session_timeout";
            (Unavailable, "the database ended a session that took too long", hint, Retry::Unknown)
        }
        // in_failed_sql_transaction, as the answer to BEGIN: somebody left the session within a transaction.
        "25P02" => (Unavailable, "the session was left in a failed transaction", POOLERS, Retry::NewSession),
        // feature_not_supported: "cached plan must not change result type", after a table was altered.
        "0A000" => {
            (Unavailable, "the database's tables were changed during a session", "", Retry::NewSession)
        }
        // invalid_sql_statement_name, duplicate_prepared_statement
        "26000" | "42P05" => {
            let hint = "a pooler must support prepared statements (PgBouncer: 1.21 or later, max_prepared_statements above 0): docs/postgres.md#poolers";
            (Unavailable, "the session lost its prepared statements", hint, Retry::NewSession)
        }
        // protocol_violation: so a pooler refuses a startup parameter.
        "08P01" => (Unavailable, "the database rejected the session settings", POOLERS, Retry::Unknown),
        // snapshot_too_old
        "72000" => (Unavailable, "the database was busy with conflicting changes", "", Retry::RolledBack),
        // program_limit_exceeded: so a server refuses to write before its transaction numbers wrap around.
        "54000" => {
            let hint = "look in the server's log; it may ask for a VACUUM of the whole database";
            (Unavailable, "the database has come to a limit of its own", hint, Retry::Never)
        }
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => {
            let hint = "look in the server's log; rebuild the index it names, or restore a backup";
            (Unavailable, "the database is damaged", hint, Retry::Never)
        }
        // query_canceled, lock_not_available
        "57014" | "55P03" => (Unavailable, "the database took too long", "", Retry::Never),
        _ if class == "28" => {
            let hint = "check user and password in the URL, and pg_hba.conf on the server";
            (Unauthenticated, "the database rejected this user", hint, Retry::Never)
        }
        // Of class 40 what is not above: how the transaction ended is not known.
        _ if ["08", "40", "53", "57", "58"].contains(&class) => {
            (Unavailable, "the database is not available", "", Retry::Unknown)
        }
        _ => return None,
    })
}
