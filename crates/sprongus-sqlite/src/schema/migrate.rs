//! Migrations: numbered files, applied in order, each in a transaction of its own, and never edited after they landed: what
//! was applied is remembered by its checksum.

use rusqlite::Connection;
use sha2::{Digest, Sha256};
use sprongus_core::{Error, ErrorCode, Result};

use crate::error::MapDbErr;
use crate::rows::RowReader;

/// One step of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its number; the schema's version once it is applied.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub sql: &'static str,
}

/// Every migration, in order. A number is one step's in both stores; those that concern Postgres alone are left out here.
pub const MIGRATIONS: &[Migration] = &[
    Migration { number: 1, name: "runs", sql: include_str!("../../migrations/0001_runs.sql") },
    Migration { number: 4, name: "artifacts", sql: include_str!("../../migrations/0004_artifacts.sql") },
    Migration { number: 6, name: "minutes", sql: include_str!("../../migrations/0006_minutes.sql") },
    Migration { number: 7, name: "last_hour", sql: include_str!("../../migrations/0007_last_hour.sql") },
    Migration { number: 10, name: "tokens", sql: include_str!("../../migrations/0010_tokens.sql") },
    Migration { number: 11, name: "who_paused", sql: include_str!("../../migrations/0011_who_paused.sql") },
    Migration {
        number: 12,
        name: "lease_tokens",
        sql: include_str!("../../migrations/0012_lease_tokens.sql"),
    },
    Migration {
        number: 13,
        name: "operator_events",
        sql: include_str!("../../migrations/0013_operator_events.sql"),
    },
    Migration { number: 14, name: "checks", sql: include_str!("../../migrations/0014_checks.sql") },
    Migration { number: 16, name: "due_since", sql: include_str!("../../migrations/0016_due_since.sql") },
    Migration { number: 17, name: "sessions", sql: include_str!("../../migrations/0017_sessions.sql") },
    Migration { number: 20, name: "blocked", sql: include_str!("../../migrations/0020_blocked.sql") },
    Migration { number: 21, name: "settings", sql: include_str!("../../migrations/0021_settings.sql") },
];

/// Marks the file as ours (`PRAGMA application_id`): "sprg".
pub const APPLICATION_ID: i32 = 0x7370_7267;

/// The version this program's schema has.
pub fn latest() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.number)
}

const APPLICATION: &str = "PRAGMA application_id";
const VERSION: &str = "PRAGMA user_version";
const HAS_MIGRATIONS: &str =
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'";
const TABLES: &str = "SELECT count(*) FROM sqlite_schema";

/// The schema's version in this file: 0 for an empty one.
///
/// # Errors
/// `schema_mismatch` when the file is another program's, or its schema is newer than this program.
pub fn version(connection: &Connection) -> Result<u32> {
    // Another process may be making the schema between these reads. Its tables and its marks come with one commit, so marks
    // that are read after the tables are never older than they are, and a file half seen is never taken for another program's.
    let tables: u32 = connection.query_row(TABLES, [], |row| row.get(0)).map_db_err()?;
    let application: i32 = connection.query_row(APPLICATION, [], |row| row.get(0)).map_db_err()?;
    let version: u32 = connection.query_row(VERSION, [], |row| row.get(0)).map_db_err()?;
    if tables == 0 && application == 0 {
        return Ok(0);
    }
    if application == 0
        && version == 0
        && let Some(restored) = restored(connection)?
    {
        return Ok(restored);
    }
    if application != APPLICATION_ID {
        return Err(Error::new(ErrorCode::SchemaMismatch, "the database belongs to another program")
            .with_hint("use another file with --db"));
    }
    if version > latest() {
        let message = format!("the database has schema {version}; this sprongus supports up to {}", latest());
        return Err(Error::new(ErrorCode::SchemaMismatch, message)
            .with_hint("use the newer sprongus that wrote the database"));
    }
    Ok(version)
}

const REMEMBERED: &str = "SELECT number, checksum FROM schema_migrations ORDER BY number";

/// The version of a file that a dump was restored into, which has all but the marks: they are given back. None for any other program's.
fn restored(connection: &Connection) -> Result<Option<u32>> {
    if connection.query_row(HAS_MIGRATIONS, [], |row| row.get::<_, u32>(0)).map_db_err()? == 0 {
        return Ok(None);
    }
    let Ok(mut select) = connection.prepare(REMEMBERED) else { return Ok(None) };
    let read = |row: &rusqlite::Row<'_>| {
        let mut row = RowReader::new(row);
        Ok((row.value()?, row.value()?))
    };
    let rows = select.query_map([], read).map_db_err()?;
    let Ok(rows) = rows.collect::<rusqlite::Result<Vec<(u32, String)>>>() else { return Ok(None) };
    let known = MIGRATIONS.iter().map(|migration| (migration.number, checksum(migration.sql)));
    let Some((last, _)) = rows.last().filter(|_| known.take(rows.len()).eq(rows.iter().cloned())) else {
        return Ok(None);
    };
    connection
        .execute_batch(&format!("{BEGIN}; {APPLICATION} = {APPLICATION_ID}; {VERSION} = {last}; COMMIT"))
        .map_db_err()?;
    Ok(Some(*last))
}

/// What would be applied to a file at `version`.
pub fn after(version: u32) -> &'static [Migration] {
    let applied = MIGRATIONS.iter().take_while(|migration| migration.number <= version).count();
    &MIGRATIONS[applied..]
}

const BEGIN: &str = "BEGIN IMMEDIATE";
const REMEMBER: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL
    ) STRICT";
const APPLIED: &str = "
    INSERT INTO schema_migrations (number, name, checksum, applied_at)
    VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))";

/// Brings the file up to this program's schema; safe with two at once. Answers what it applied.
///
/// # Errors
/// As [`version`]; `unavailable` when the file cannot be written.
pub fn migrate(connection: &Connection) -> Result<Vec<Migration>> {
    let mut applied = Vec::new();
    loop {
        if after(version(connection)?).is_empty() {
            return Ok(applied);
        }
        connection.execute_batch(BEGIN).map_db_err()?;
        match step(connection) {
            Ok(done) => {
                connection.execute_batch("COMMIT").map_db_err()?;
                applied.extend(done);
            }
            Err(error) => {
                // The first error is the one to tell; a rollback that fails leaves the transaction to the closing connection.
                let _ = connection.execute_batch("ROLLBACK");
                return Err(error);
            }
        }
    }
}

/// Applies the next migration, if another process has not done so while this one waited for the lock.
fn step(connection: &Connection) -> Result<Option<Migration>> {
    let Some(&next) = after(version(connection)?).first() else { return Ok(None) };
    connection.execute_batch(REMEMBER).map_db_err()?;
    connection.execute_batch(next.sql).map_db_err()?;
    connection.execute(APPLIED, (next.number, next.name, checksum(next.sql))).map_db_err()?;
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_db_err()?;
    connection.pragma_update(None, "user_version", next.number).map_db_err()?;
    Ok(Some(next))
}

fn checksum(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
