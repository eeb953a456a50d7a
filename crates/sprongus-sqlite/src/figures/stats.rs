//! The figures: live runs kind by kind along the claim and timer indexes, which hold all that is asked of them, and the last hour.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::state::State;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{KindStats, Stats, Worker};

use crate::error::MapDbErr;
use crate::figures::recent;
use crate::rows::{self, restricted_to};

pub(crate) const DUE: &str = "
    SELECT kind, count(*), min(coalesce(due_at, run_at)) FROM runs INDEXED BY runs_claim
    WHERE workspace_id = ?1 AND ready = 1 AND state = 'queued'
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2)))
    GROUP BY kind";
pub(crate) const TIMED: &str = "
    SELECT kind, state, count(*) FROM runs INDEXED BY runs_timer
    WHERE workspace_id = ?1 AND timer_at IS NOT NULL AND state IN ('queued', 'running') AND ready = 0
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2)))
    GROUP BY kind, state";
pub(crate) const ENDLESS: &str = "
    SELECT kind, 'queued', count(*) FROM runs INDEXED BY runs_endless
    WHERE workspace_id = ?1 AND state = 'queued' AND ready = 0 AND timer_at IS NULL
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2)))
    GROUP BY kind";
pub(crate) const AT_GATES: &str = "
    SELECT kind, count(*) FROM runs INDEXED BY runs_at_gates
    WHERE workspace_id = ?1 AND state = 'queued' AND gate IS NOT NULL AND json_extract(gate, '$.answer') IS NULL
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2)))
    GROUP BY kind";
const WORKERS: &str = "SELECT count(*) FROM workers WHERE workspace_id = ?1 AND seen_at > ?2";

/// The figures at `now`.
pub fn stats(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<Stats> {
    let snapshot = connection.unchecked_transaction().map_db_err()?;
    let workspace = caller.workspace.as_str();
    let seen = now.minus(Worker::GONE_AFTER).to_string();
    let workers = rows::only(connection, WORKERS, (workspace, seen), |row| row.integer())?;
    let mut stats = Stats { kinds: live(connection, caller, now)?, workers, ..Stats::default() };
    recent::read(connection, caller, now, &mut stats)?;
    snapshot.finish().map_db_err()?;
    Ok(stats)
}

fn live(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<BTreeMap<String, KindStats>> {
    let workspace = caller.workspace.as_str();
    let restricted = restricted_to(caller)?;
    let mut kinds: BTreeMap<String, KindStats> = BTreeMap::new();
    rows::each(connection, DUE, (workspace, &restricted), |row| {
        let kind = kinds.entry(row.value()?).or_default();
        kind.due = row.integer()?;
        kind.oldest_due_ms = Some(millis(now.since(row.parse()?)));
        Ok(ControlFlow::Continue(()))
    })?;
    for sql in [TIMED, ENDLESS] {
        rows::each(connection, sql, (workspace, &restricted), |row| {
            let kind = kinds.entry(row.value()?).or_default();
            let (state, runs): (State, u64) = (row.parse()?, row.integer()?);
            match state {
                State::Queued => kind.later += runs,
                State::Running => kind.running = runs,
                State::Succeeded | State::Failed | State::Canceled => {}
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    // Those were counted among the others, along indexes that do not tell them apart.
    rows::each(connection, AT_GATES, (workspace, &restricted), |row| {
        let kind = kinds.entry(row.value()?).or_default();
        kind.waiting = row.integer()?;
        kind.later = kind.later.saturating_sub(kind.waiting);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(kinds)
}

fn millis(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}
