//! The figures: live runs kind by kind from the narrow tables, and the last hour from the newest events.

use std::collections::BTreeMap;
use std::time::Duration;

use sprongus_core::directory::{KindStats, Stats, Worker};
use sprongus_core::runs::Caller;
use sprongus_core::state::State;
use sprongus_core::time::Timestamp;
use tokio_postgres::Row;

use crate::change::present;
use crate::claim::projects;
use crate::fault::Result;
use crate::rows::Reader;
use crate::session::{Database, PRESENT, Params};
use crate::values::Time;

const DUE: &str = "
    SELECT q.kind, count(*), min(q.run_at) FROM run_queue q
    WHERE q.workspace_id = $1 AND (q.plain OR EXISTS (SELECT FROM runs r WHERE r.id = q.id AND r.state = 'queued')) AND ($2::text[] IS NULL OR q.project_id = ANY ($2::text[])) GROUP BY q.kind";
/// Each live run that is not due has a timer, and may have several; what is in the queue was counted there, and a run that has ended
/// since is passed over.
const LATER: &str = "
    SELECT kind, state, count(*) FROM (
        SELECT DISTINCT unnest(run_ids) AS id FROM run_timers WHERE workspace_id = $1) AS timed JOIN runs r USING (id)
    WHERE r.workspace_id = $1 AND r.state IN ('queued', 'running') AND ($2::text[] IS NULL OR r.project_id = ANY ($2::text[]))
        AND NOT EXISTS (SELECT FROM run_queue q WHERE q.workspace_id = $1 AND q.kind = r.kind AND q.rank = 100 - r.priority
            AND q.run_at = r.run_at AND q.id = r.id)
    GROUP BY kind, state";
/// The runs whose last ending was within the hour. The bound on how many events are looked at is a parameter: of one that it knows, the
/// planner may think that it is more than there are, and sort all of them.
pub(crate) const ENDED: &str = "
    SELECT r.state, r.created_at, r.run_at, r.started_at, r.finished_at
    FROM (SELECT * FROM run_events WHERE workspace_id = $1 ORDER BY tx DESC, pos DESC LIMIT $4) AS e
        JOIN runs r ON r.id = e.run_id AND r.finished_at IS NOT NULL
    WHERE e.type IN ('run.succeeded', 'run.failed', 'run.canceled') AND e.at >= $3
        AND ($2::text[] IS NULL OR r.project_id = ANY ($2::text[]))
        AND NOT EXISTS (
            SELECT FROM run_events later WHERE later.run_id = e.run_id AND later.seq > e.seq
                AND later.type IN ('run.succeeded', 'run.failed', 'run.canceled'))
    ORDER BY e.tx DESC, e.pos DESC LIMIT 20000";
/// Events looked at, the newest ones: so a busy hour is short.
const MOST_EVENTS: i64 = 200_000;
const WORKERS: &str = "SELECT count(*) FROM workers WHERE workspace_id = $1 AND seen_at > $2";

/// The figures.
pub async fn stats(database: &Database, caller: &Caller) -> Result<Stats> {
    let turned = database.turned();
    let asked: [(&str, Params<'_>); 1] = [(PRESENT, &[&turned])];
    let mut session = database.session().await?;
    let now = present(&session.look(&caller.workspace, &asked).await?.pop().unwrap_or_default())?;
    let (workspace, projects) = (caller.workspace.as_str(), projects(caller));
    let seen = Time(now.minus(Worker::GONE_AFTER));
    let hour_ago = Time(now.minus(Duration::from_secs(3_600)));
    let asked: [(&str, Params<'_>); 4] = [
        (DUE, &[&workspace, &projects]),
        (LATER, &[&workspace, &projects]),
        (ENDED, &[&workspace, &projects, &hour_ago, &MOST_EVENTS]),
        (WORKERS, &[&workspace, &seen]),
    ];
    let mut answers = session.look(&caller.workspace, &asked).await?;
    let workers = match answers.pop().unwrap_or_default().first() {
        Some(row) => count(row.try_get(0)?),
        None => 0,
    };
    let ended_rows = answers.pop().unwrap_or_default();
    let later = answers.pop().unwrap_or_default();
    let due = answers.pop().unwrap_or_default();
    let mut stats = Stats { kinds: live(&due, &later, now)?, workers, ..Stats::default() };
    ended(&ended_rows, &mut stats)?;
    Ok(stats)
}

fn live(due: &[Row], later: &[Row], now: Timestamp) -> Result<BTreeMap<String, KindStats>> {
    let mut kinds: BTreeMap<String, KindStats> = BTreeMap::new();
    for row in due {
        let kind = kinds.entry(row.try_get(0)?).or_default();
        kind.due = count(row.try_get(1)?);
        kind.oldest_due_ms = Some(millis(now.since(row.try_get::<_, Time>(2)?.0)));
    }
    for row in later {
        let mut row = Reader::from(row, 0);
        let kind = kinds.entry(row.plain()?).or_default();
        let state: State = row.text()?;
        let runs = count(row.plain()?);
        match state {
            State::Queued => kind.later = runs,
            State::Running => kind.running = runs,
            State::Succeeded | State::Failed | State::Canceled => {}
        }
    }
    Ok(kinds)
}

fn ended(rows: &[Row], stats: &mut Stats) -> Result<()> {
    let (mut waits, mut runs) = (Vec::new(), Vec::new());
    for row in rows {
        let mut row = Reader::from(row, 0);
        *stats.ended_last_hour.entry(row.text()?).or_default() += 1;
        let (created, due) = (row.time()?, row.time()?);
        let (started, finished) = (row.optional_time()?, row.optional_time()?);
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
