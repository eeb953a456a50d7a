//! What waits and what is stuck: due runs that nobody serves, and runs whose worker is gone and that nobody takes up.

use std::time::Duration;

use sprongus_core::run::view::RunView;
use sprongus_core::values::names::Kind;
use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::{Clock, SystemClock, Timestamp};
use sprongus_core::workspace::directory::{KindSetting, KindStats, Worker};
use sprongus_core::{Error, Runs};

use super::finding::{Finding, Findings, named};
use crate::render::age::rough;
use crate::running::running;

/// A due run that nobody serves is a fault after this long, and a lease that has run out too: a worker that is alive sees to
/// it within seconds.
const LONG: Duration = Duration::from_secs(60);

/// Where all of them are.
const ALL: &str = "`sprongus top` shows them all";

pub async fn check(runs: &dyn Runs, findings: &mut Findings) -> Result<(), Error> {
    let stats = runs.stats().await?;
    let workers = runs.workers().await?;
    let paused: Vec<KindSetting> = runs.kinds().await?.into_iter().filter(|setting| setting.paused).collect();
    findings.add(Finding::fine("workers", format!("{} alive", workers.len())));
    let due: u64 = stats.kinds.values().map(|kind| kind.due).sum();
    let oldest = stats.kinds.values().filter_map(oldest).max();
    findings.add(match oldest {
        None => Finding::fine("queue", "no runs are due"),
        Some(oldest) => Finding::fine("queue", format!("{due} due, the oldest for {}", rough(oldest))),
    });
    let now = SystemClock.now();
    let waiting = stats.kinds.iter().filter(|(_, stats)| stats.due > 0);
    let waiting = waiting.filter_map(|(name, stats)| Some((name.parse::<Kind>().ok()?, stats)));
    named(
        waiting.filter_map(|(kind, stats)| kind_that_waits(&kind, stats, &workers, &paused, now)),
        "kinds",
        ALL,
        findings,
    );
    let (held, _) = running(runs).await?;
    named(held.iter().filter_map(|run| stuck(run, now)), "runs", ALL, findings);
    Ok(())
}

fn oldest(stats: &KindStats) -> Option<Duration> {
    stats.oldest_due_ms.filter(|_| stats.due > 0).map(Duration::from_millis)
}

fn kind_that_waits(
    kind: &Kind,
    stats: &KindStats,
    workers: &[Worker],
    paused: &[KindSetting],
    now: Timestamp,
) -> Option<Finding> {
    let (name, due) = (excerpt(kind.as_str(), 64), stats.due);
    if let Some(setting) = paused.iter().find(|setting| setting.kind == *kind) {
        let who = setting.changed_by.iter().map(|by| format!(" by {}", excerpt(by, 64)));
        let since = setting.changed_at.iter().map(|at| format!(" {} ago", rough(now.since(*at))));
        let how: String = who.chain(since).collect();
        let text = format!("{name} is paused{how}, {due} due; resume it with `sprongus kinds resume {name}`");
        return Some(Finding::fine("paused", text));
    }
    let oldest = oldest(stats)?;
    if oldest <= LONG || workers.iter().any(|worker| worker.serves(kind)) {
        return None;
    }
    let text = format!("no live worker serves {name}: {due} due, the oldest for {}", rough(oldest));
    let remedy = format!("start `sprongus worker` where a sprongus.toml declares {name}");
    Some(Finding::wrong("workers", text, remedy))
}

/// A run that is held, as it says, by a worker whose lease ended long ago: nobody has taken it back.
fn stuck(run: &RunView, now: Timestamp) -> Option<Finding> {
    let over = run.lease_expires_at.map(|end| now.since(end)).filter(|over| *over > LONG)?;
    let worker = run.claimed_by.as_ref().map_or("nobody", |worker| worker.as_str());
    let text = format!(
        "run {} ({}) is held by {worker}, but its lease expired {} ago",
        run.id,
        excerpt(run.kind.as_str(), 64),
        rough(over)
    );
    let remedy = "start `sprongus worker`; any worker returns it to the queue";
    Some(Finding::wrong("stuck run", text, remedy))
}
