//! Whether a file is sound: what SQLite itself finds, and what must hold between our own rows. Nothing here depends on the time, so that
//! a copy is as sound as the file it was made of.

use std::path::Path;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::artifact::KeptBytes;
use sprongus_core::store::HealthProblem;

use crate::error::MapDbErr;
use crate::rows;
use crate::schema::migrate;
use crate::schema::open::{self, Durability};

const DAMAGE: &str = "PRAGMA integrity_check(10)";
const STRAYS: &str = "SELECT count(*), min(\"table\") FROM pragma_foreign_key_check";
const KEPT: &str = "SELECT location, size, sha256 FROM run_artifacts ORDER BY location";

/// What must not be: each counts the runs of which it is so and names the first.
const CHECKS: [(&str, &str); 6] = [
    (
        "with a gap in their history",
        "SELECT count(*), min(r.id) FROM runs r
         LEFT JOIN (SELECT run_id, count(*) AS events, max(seq) AS last FROM run_events GROUP BY run_id) e ON e.run_id = r.id
         WHERE coalesce(e.events, 0) <> r.last_seq OR coalesce(e.last, 0) <> r.last_seq",
    ),
    (
        "whose end time does not match their state",
        "SELECT count(*), min(id) FROM runs
         WHERE (state IN ('succeeded', 'failed', 'canceled')) <> (finished_at IS NOT NULL)",
    ),
    (
        "that are running without a lease",
        "SELECT count(*), min(id) FROM runs
         WHERE state = 'running' AND (claimed_by IS NULL OR lease_expires_at IS NULL)",
    ),
    (
        "that are queued but can never be claimed",
        "SELECT count(*), min(id) FROM runs WHERE state = 'queued' AND ready = 0 AND timer_at IS NULL AND gate IS NULL AND blocked_on IS NULL",
    ),
    (
        "with a gap in their log",
        "SELECT count(DISTINCT run_id), min(run_id) FROM (
            SELECT run_id, first, lag(first + lines, 1, 1) OVER (PARTITION BY run_id ORDER BY first) AS due FROM run_logs)
         WHERE first <> due",
    ),
    (
        "whose input or result is not JSON",
        "SELECT count(*), min(id) FROM runs WHERE NOT json_valid(input) OR (result IS NOT NULL AND NOT json_valid(result))",
    ),
];

const REMEDY: &str = "restore a backup of the database";

/// What is wrong with the file; nothing when it is sound. Reads all of it, and changes nothing.
///
/// # Errors
/// As [`crate::Sqlite::open`] of a file that is there; `schema_mismatch` for an older schema, too.
pub fn inspect(file: &Path) -> Result<Vec<HealthProblem>> {
    let connection = open::existing(file)?;
    let mut problems = Vec::new();
    let mut report = |text: String| problems.push(HealthProblem { what: "integrity", text, remedy: REMEDY });
    let lines: Vec<String> = rows::all(&connection, DAMAGE, [], |row| row.value())?;
    for line in lines.iter().filter(|line| *line != "ok") {
        report(format!("the file is damaged: {line}"));
    }
    if let (strays @ 1.., table) = counted(&connection, STRAYS)? {
        report(format!("rows with dangling references: {strays}, such as one in {table}"));
    }
    for (what, sql) in CHECKS {
        if let (runs @ 1.., run) = counted(&connection, sql)? {
            report(format!("runs {what}: {runs}, such as {run}"));
        }
    }
    Ok(problems)
}

fn counted(connection: &Connection, sql: &str) -> Result<(i64, String)> {
    rows::only(connection, sql, [], |row| {
        Ok((row.value()?, row.value::<Option<String>>()?.unwrap_or_default()))
    })
}

/// The bytes that the runs of a file keep elsewhere.
///
/// # Errors
/// As [`inspect`].
pub fn kept_bytes(file: &Path) -> Result<Vec<KeptBytes>> {
    kept(&open::existing(file)?)
}

fn kept(connection: &Connection) -> Result<Vec<KeptBytes>> {
    rows::all(connection, KEPT, [], |row| {
        Ok(KeptBytes { location: row.value()?, size: row.integer()?, sha256: row.value()? })
    })
}

/// What a copy holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The SQLite that wrote it.
    pub engine: String,
    /// Its schema.
    pub schema: u32,
    /// Runs in it.
    pub runs: u64,
    /// Events of runs in it.
    pub events: u64,
    /// The bytes that its runs keep elsewhere.
    pub kept: Vec<KeptBytes>,
}

const COPY: &str = "VACUUM INTO ?1";
const COUNT: &str = "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM run_events)";

/// Copies the file as it is at one instant into `copy`, which must not be there yet; others write on meanwhile. The file is not
/// migrated, so that a copy can be made before an upgrade.
///
/// # Errors
/// As [`crate::Sqlite::open`] of a file that is there.
pub fn copy(file: &Path, copy: &Path) -> Result<Copied> {
    let source = open::existing_of_any_schema(file)?;
    let name =
        copy.to_str().ok_or_else(|| sprongus_core::Error::validation("the copy's path is not UTF-8"))?;
    // An empty file is written into, and stays its owner's alone.
    open::make(copy, true)?;
    source.execute(COPY, [name]).map_db_err()?;
    drop(source);
    // Opening gives the copy its write-ahead log, so that nothing in it changes when it is looked at later.
    let connection = open::connect(copy, Durability::PowerCut)?;
    let schema = migrate::version(&connection)?;
    let (runs, events) = rows::only(&connection, COUNT, [], |row| Ok((row.integer()?, row.integer()?)))?;
    let engine = format!("SQLite {}", rusqlite::version());
    Ok(Copied { engine, schema, runs, events, kept: kept(&connection)? })
}
