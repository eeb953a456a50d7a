//! The figures: live runs kind by kind along the claim and timer indexes, and the last hour along the events.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::directory::{KindStats, Stats, Worker};
use sprongus_core::runs::Caller;
use sprongus_core::state::State;
use sprongus_core::time::Timestamp;

use crate::fault::Told;
use crate::rows;

const DUE: &str = "
    SELECT kind, count(*), min(run_at) FROM runs INDEXED BY runs_claim
    WHERE workspace_id = ?1 AND ready = 1 AND state = 'queued'
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2)))
    GROUP BY kind";
const LIVE: &str = "
    SELECT kind, state, count(*) FROM runs INDEXED BY runs_by_state
    WHERE workspace_id = ?1 AND state IN ('queued', 'running') AND ready = 0
        AND (?2 IS NULL OR project_id IN (SELECT value FROM json_each(?2)))
    GROUP BY kind, state";
/// The runs whose last ending was within the hour, newest first; a bound on how many keeps a busy hour from holding the reader up.
const ENDED: &str = "
    SELECT r.state, r.created_at, r.run_at, r.started_at, r.finished_at
    FROM run_events e JOIN runs r ON r.id = e.run_id AND r.finished_at IS NOT NULL
    WHERE e.pos > (SELECT max(pos) FROM run_events) - 200000
        AND e.type IN ('run.succeeded', 'run.failed', 'run.canceled') AND e.at >= ?2 AND r.workspace_id = ?1
        AND (?3 IS NULL OR r.project_id IN (SELECT value FROM json_each(?3)))
        AND NOT EXISTS (
            SELECT 1 FROM run_events later WHERE later.run_id = e.run_id AND later.seq > e.seq
                AND later.type IN ('run.succeeded', 'run.failed', 'run.canceled'))
    ORDER BY e.pos DESC LIMIT 20000";
const WORKERS: &str = "SELECT count(*) FROM workers WHERE workspace_id = ?1 AND seen_at > ?2";

/// The figures at `now`.
pub fn stats(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<Stats> {
    let snapshot = connection.unchecked_transaction().told()?;
    let workspace = caller.workspace.as_str();
    let seen = now.minus(Worker::GONE_AFTER).to_string();
    let workers: i64 =
        connection.prepare_cached(WORKERS).told()?.query_row((workspace, seen), |row| row.get(0)).told()?;
    let mut stats =
        Stats { kinds: live(connection, caller, now)?, workers: count(workers), ..Stats::default() };
    ended(connection, caller, now, &mut stats)?;
    snapshot.finish().told()?;
    Ok(stats)
}

fn live(connection: &Connection, caller: &Caller, now: Timestamp) -> Result<BTreeMap<String, KindStats>> {
    let workspace = caller.workspace.as_str();
    let narrowed = narrowed(caller)?;
    let mut kinds: BTreeMap<String, KindStats> = BTreeMap::new();
    let mut due = connection.prepare_cached(DUE).told()?;
    let mut found = due.query((workspace, &narrowed)).told()?;
    while let Some(row) = found.next().told()? {
        let kind = kinds.entry(row.get(0).told()?).or_default();
        kind.due = count(row.get(1).told()?);
        let oldest: Timestamp = rows::text(row, 2).told()?;
        kind.oldest_due_ms = Some(millis(now.since(oldest)));
    }
    let mut live = connection.prepare_cached(LIVE).told()?;
    let mut found = live.query((workspace, &narrowed)).told()?;
    while let Some(row) = found.next().told()? {
        let kind = kinds.entry(row.get(0).told()?).or_default();
        let runs = count(row.get(2).told()?);
        match rows::text::<State>(row, 1).told()? {
            State::Queued => kind.later = runs,
            State::Running => kind.running = runs,
            State::Succeeded | State::Failed | State::Canceled => {}
        }
    }
    Ok(kinds)
}

fn ended(connection: &Connection, caller: &Caller, now: Timestamp, stats: &mut Stats) -> Result<()> {
    let hour_ago = now.minus(Duration::from_secs(3_600)).to_string();
    let mut select = connection.prepare_cached(ENDED).told()?;
    let mut found = select.query((caller.workspace.as_str(), hour_ago, narrowed(caller)?)).told()?;
    let (mut waits, mut runs) = (Vec::new(), Vec::new());
    while let Some(row) = found.next().told()? {
        let state: State = rows::text(row, 0).told()?;
        *stats.ended_last_hour.entry(state).or_default() += 1;
        let (created, due): (Timestamp, Timestamp) = (rows::text(row, 1).told()?, rows::text(row, 2).told()?);
        let started: Option<Timestamp> = rows::optional(row, 3).told()?;
        let finished: Option<Timestamp> = rows::optional(row, 4).told()?;
        if let Some(started) = started {
            // After a retry `run_at` is the backoff's end, later than the first start: the wait was from the making then.
            let from = if due <= started { due } else { created };
            waits.push(millis(started.since(from)));
            runs.extend(finished.map(|finished| millis(finished.since(started))));
        }
    }
    (stats.wait_p50_ms, stats.wait_p99_ms) = (quantile(&mut waits, 0.5), quantile(&mut waits, 0.99));
    (stats.run_p50_ms, stats.run_p99_ms) = (quantile(&mut runs, 0.5), quantile(&mut runs, 0.99));
    Ok(())
}

/// The projects a caller is narrowed to, as a statement takes them.
fn narrowed(caller: &Caller) -> Result<Option<String>> {
    caller.projects.as_ref().map(rows::written).transpose()
}

/// The nearest-rank quantile.
fn quantile(values: &mut [u64], share: f64) -> Option<u64> {
    values.sort_unstable();
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn millis(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}
