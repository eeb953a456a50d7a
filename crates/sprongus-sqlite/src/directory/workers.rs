//! Workers, as far as they have been heard of.

use rusqlite::Connection;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{Worker, WorkerInfo};
use sprongus_core::workspace::operator::OperatorAct;
use sprongus_core::{Error, Result};

use crate::connection::writer::Tx;
use crate::directory::check_workspace;
use crate::events::operator::note;
use crate::rows;

const SEE: &str = "
    INSERT INTO workers (workspace_id, id, kinds, host, pid, version, concurrency, seen_at, token_id, zone_data)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (workspace_id, id) DO UPDATE SET kinds = excluded.kinds, seen_at = excluded.seen_at,
        token_id = excluded.token_id, zone_data = excluded.zone_data
    RETURNING draining";
const FORGET_LONG_GONE: &str = "DELETE FROM workers WHERE workspace_id = ?1 AND seen_at < ?2";
const OWNER: &str = "SELECT token_id, seen_at FROM workers WHERE workspace_id = ?1 AND id = ?2";
const FORGET: &str = "DELETE FROM workers WHERE workspace_id = ?1 AND id = ?2";
const WORKERS: &str = "
    SELECT id, kinds, host, pid, version, concurrency, draining, seen_at, zone_data FROM workers
    WHERE workspace_id = ?1 AND seen_at > ?2 ORDER BY id";
const DRAINING: &str = "SELECT draining FROM workers WHERE workspace_id = ?1 AND id = ?2";
const DRAIN: &str = "UPDATE workers SET draining = 1 WHERE workspace_id = ?1 AND id = ?2";

/// How long a worker that fell silent stays in the table, for those who look for it.
const LONG_GONE: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Notes a worker's word.
pub fn see(tx: &Tx<'_>, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
    check_workspace(tx, caller)?;
    check_own(tx, caller, &worker.id)?;
    let workspace = caller.workspace.as_str();
    let long_gone = (workspace, tx.now.minus(LONG_GONE).to_string());
    rows::execute(tx.connection, FORGET_LONG_GONE, long_gone)?;
    let params = rusqlite::params![
        workspace,
        worker.id.as_str(),
        worker.kinds.as_ref().map(rows::to_json).transpose()?,
        worker.host,
        worker.pid,
        worker.version,
        worker.concurrency,
        tx.now.to_string(),
        caller.token_id.map(|id| id.to_string()),
        worker.zone_data.as_ref().map(rows::to_json).transpose()?,
    ];
    rows::only(tx.connection, SEE, params, |row| row.value())
}

/// Refuses to speak for a worker that lives and speaks with another API token.
fn check_own(tx: &Tx<'_>, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let key = (caller.workspace.as_str(), worker.as_str());
    let owner = rows::first(tx.connection, OWNER, key, |row| Ok((row.parse_optional()?, row.parse()?)))?;
    match owner {
        Some((token_id, seen_at)) => Worker::check_own(token_id, seen_at, caller, tx.now),
        None => Ok(()),
    }
}

/// Forgets a worker.
pub fn forget(tx: &Tx<'_>, caller: &Caller, worker: &WorkerId) -> Result<()> {
    check_own(tx, caller, worker)?;
    rows::execute(tx.connection, FORGET, (caller.workspace.as_str(), worker.as_str())).map(drop)
}

/// The workers that live.
pub fn list(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<Vec<Worker>> {
    let seen = now.minus(Worker::GONE_AFTER).to_string();
    rows::all(connection, WORKERS, (caller.workspace.as_str(), seen), |row| {
        Ok(Worker {
            id: row.parse()?,
            kinds: row.parse_json()?,
            host: row.value()?,
            pid: row.value()?,
            version: row.value()?,
            concurrency: row.value()?,
            draining: row.value()?,
            seen_at: row.parse()?,
            zone_data: row.parse_json()?,
        })
    })
}

/// Tells a worker to stop claiming.
pub fn drain(tx: &Tx<'_>, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let key = (caller.workspace.as_str(), worker.as_str());
    let Some(was_draining) = rows::first(tx.connection, DRAINING, key, |row| row.value())? else {
        return Err(Error::not_found(format_args!("worker: {worker}"))
            .with_hint("list them with `sprongus workers list`"));
    };
    rows::execute(tx.connection, DRAIN, key)?;
    note(tx, caller, OperatorAct::worker_drained(worker, was_draining))
}
