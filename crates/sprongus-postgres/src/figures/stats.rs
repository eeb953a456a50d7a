//! The figures: live runs kind by kind from the narrow tables, and the last hour.

use std::collections::BTreeMap;
use std::time::Duration;

use sprongus_core::figures::recent::{COUNTED, first_minute};
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{KindStats, Stats, Worker};
use tokio_postgres::Row;

use crate::connection::clock::{PRESENT, present};
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::figures::recent;
use crate::rows::values::Time;
use crate::rows::{self, RowReader, restricted_to};

const DUE: &str = "
    SELECT q.kind, count(*), min(coalesce(q.due_since, q.run_at)) FROM run_queue q
    WHERE q.workspace_id = $1 AND (q.plain OR EXISTS (SELECT FROM runs r WHERE r.id = q.id AND r.state = 'queued')) AND ($2::text[] IS NULL OR q.project_id = ANY ($2::text[])) GROUP BY q.kind";
/// Each live run that is not due has a timer, or several, or is blocked; what is in the queue was counted there, and a run that has ended
/// since is passed over.
const LATER: &str = "
    SELECT kind, state, gate IS NOT NULL AND (gate ->> 'answer') IS NULL AS waits, count(*) FROM (
        SELECT unnest(run_ids) AS id FROM run_timers WHERE workspace_id = $1
        UNION SELECT id FROM runs WHERE workspace_id = $1 AND blocked_on IS NOT NULL) AS timed JOIN runs r USING (id)
    WHERE r.workspace_id = $1 AND r.state IN ('queued', 'running') AND ($2::text[] IS NULL OR r.project_id = ANY ($2::text[]))
        AND NOT EXISTS (SELECT FROM run_queue q WHERE q.workspace_id = $1 AND q.kind = r.kind AND q.rank = 100 - r.priority
            AND q.run_at = r.run_at AND q.id = r.id)
    GROUP BY kind, state, waits";
const WORKERS: &str = "SELECT count(*) FROM workers WHERE workspace_id = $1 AND seen_at > $2";

/// The figures.
pub async fn stats(database: &Database, caller: &Caller) -> Result<Stats> {
    let clock = database.clock_override();
    let mut session = database.session().await?;
    let [now] = session.read(&caller.workspace, [(PRESENT, &[&clock])]).await?;
    let now = present(&now)?;
    let (workspace, projects) = (caller.workspace.as_str(), restricted_to(caller));
    let seen = Time(now.minus(Worker::GONE_AFTER));
    let counted = COUNTED.map(EventType::as_str);
    let counted = &counted[..];
    let (began, most) = (Time(first_minute(now)), recent::MOST_SINCE);
    let asked: [(&str, Params<'_>); 5] = [
        (DUE, &[&workspace, &projects]),
        (LATER, &[&workspace, &projects]),
        (recent::SUMS, &[&workspace, &projects, &began]),
        (recent::SINCE, &[&workspace, &projects, &began, &most, &counted]),
        (WORKERS, &[&workspace, &seen]),
    ];
    let [due, later, sums, since, workers] = session.read(&caller.workspace, asked).await?;
    let workers = rows::only(&workers, |row| row.bigint())?;
    let mut stats = Stats { kinds: live(&due, &later, now)?, workers, ..Stats::default() };
    recent::read(&sums, &since, began.0, &mut stats)?;
    Ok(stats)
}

fn live(due: &[Row], later: &[Row], now: Timestamp) -> Result<BTreeMap<String, KindStats>> {
    let mut kinds: BTreeMap<String, KindStats> = BTreeMap::new();
    for row in due {
        let mut row = RowReader::new(row);
        let kind = kinds.entry(row.value()?).or_default();
        kind.due = row.bigint()?;
        kind.oldest_due_ms = Some(millis(now.since(row.time()?)));
    }
    for row in later {
        let mut row = RowReader::new(row);
        let kind = kinds.entry(row.value()?).or_default();
        let state: State = row.parse()?;
        let waits: bool = row.value()?;
        let runs: u64 = row.bigint()?;
        match state {
            State::Queued if waits => kind.waiting = runs,
            State::Queued => kind.later = runs,
            State::Running => kind.running += runs,
            State::Succeeded | State::Failed | State::Canceled => {}
        }
    }
    Ok(kinds)
}

fn millis(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}
