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

use crate::connection::session::{Database, PRESENT, Params};
use crate::error::Result;
use crate::figures::recent;
use crate::rows::Reader;
use crate::rows::values::Time;
use crate::runs::claim::projects;
use crate::runs::load::present;

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
    let asked: [(&str, Params<'_>); 1] = [(PRESENT, &[&clock])];
    let mut session = database.session().await?;
    let now = present(&session.look(&caller.workspace, &asked).await?.pop().unwrap_or_default())?;
    let (workspace, projects) = (caller.workspace.as_str(), projects(caller));
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
    let mut answers = session.look(&caller.workspace, &asked).await?;
    let workers = match answers.pop().unwrap_or_default().first() {
        Some(row) => count(row.try_get(0)?),
        None => 0,
    };
    let since = answers.pop().unwrap_or_default();
    let sums = answers.pop().unwrap_or_default();
    let later = answers.pop().unwrap_or_default();
    let due = answers.pop().unwrap_or_default();
    let mut stats = Stats { kinds: live(&due, &later, now)?, workers, ..Stats::default() };
    recent::read(&sums, &since, began.0, &mut stats)?;
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
        let waits: bool = row.plain()?;
        let runs = count(row.plain()?);
        match state {
            State::Queued if waits => kind.waiting = runs,
            State::Queued => kind.later = runs,
            State::Running => kind.running += runs,
            State::Succeeded | State::Failed | State::Canceled => {}
        }
    }
    Ok(kinds)
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn millis(value: Duration) -> u64 {
    u64::try_from(value.as_millis()).unwrap_or(u64::MAX)
}
