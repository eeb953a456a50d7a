//! What a due run waits for: the workers that hold others, and what stands before it in the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::Run;
use sprongus_core::run::waiting::MOST_COUNTED;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;

use crate::rows::{self, restricted_to};

/// No lease is longer than an hour, so what is due later is a delay, however many of those there are.
const LONGEST_LEASE: Duration = Duration::from_secs(3_600);

pub(crate) const HELD: &str = "
    SELECT claimed_by, count(*) FROM runs INDEXED BY runs_timer
    WHERE workspace_id = ?1 AND timer_at IS NOT NULL AND timer_at <= ?2 AND lease_expires_at IS NOT NULL AND claimed_by IS NOT NULL
    GROUP BY claimed_by";
pub(crate) const AHEAD: &str = "
    SELECT count(*) FROM (
        SELECT 1 FROM runs INDEXED BY runs_claim
        WHERE workspace_id = ?1 AND kind = ?2 AND ready = 1 AND (priority > ?3 OR (priority = ?3 AND (run_at, id) < (?4, ?5)))
            AND (?6 IS NULL OR project_id IN (SELECT value FROM json_each(?6)))
        LIMIT ?7)";

/// How many runs each worker holds.
pub fn held(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<BTreeMap<WorkerId, u64>> {
    let last = now.plus(LONGEST_LEASE).to_string();
    let held = rows::all(connection, HELD, (caller.workspace.as_str(), last), |row| {
        Ok((row.parse()?, row.integer()?))
    })?;
    Ok(held.into_iter().collect())
}

/// How many runs of its kind are claimed before `run`.
pub fn ahead(connection: &Connection, caller: &Caller, run: &Run) -> Result<u64> {
    let (workspace, most) = (caller.workspace.as_str(), i64::try_from(MOST_COUNTED).unwrap_or(i64::MAX));
    let (run_at, id) = (run.run_at.to_string(), run.id.to_string());
    let bound = (workspace, run.kind.as_str(), run.priority, run_at, id, restricted_to(caller)?, most);
    rows::only(connection, AHEAD, bound, |row| row.integer())
}
