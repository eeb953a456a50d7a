//! Figures over the runs, and letting go of old ones.

use std::time::Duration;

use sprongus_core::Caller;
use sprongus_core::directory::Stats;
use sprongus_core::ids::RunId;
use sprongus_core::retention::{Pruned, Retention};
use sprongus_core::run::Run;
use sprongus_core::state::State;
use sprongus_core::time::Timestamp;

use super::tables::Tenant;

/// How far back totals and latencies look.
const HOUR: Duration = Duration::from_secs(3_600);

impl Tenant {
    pub(super) fn stats(&self, caller: &Caller, now: Timestamp) -> Stats {
        let mut stats = Stats::default();
        let (mut waits, mut times) = (Vec::new(), Vec::new());
        let runs = self.rows.values().map(|row| &row.run);
        for run in runs.filter(|run| caller.may_touch(run.project_id.as_ref())) {
            if !run.state.is_final() {
                count_live(&mut stats, run, now);
            } else if let Some(ended) = run.finished_at.filter(|&ended| now.since(ended) <= HOUR) {
                *stats.ended_last_hour.entry(run.state).or_default() += 1;
                if let Some(started) = run.started_at {
                    // After a retry `run_at` lies behind the first start: the wait was from the making then.
                    let due = if run.run_at <= started { run.run_at } else { run.created_at };
                    waits.push(millis(started.since(due)));
                    times.push(millis(ended.since(started)));
                }
            }
        }
        (stats.wait_p50_ms, stats.wait_p99_ms) = (percentile(&mut waits, 50), percentile(&mut waits, 99));
        (stats.run_p50_ms, stats.run_p99_ms) = (percentile(&mut times, 50), percentile(&mut times, 99));
        stats.workers = u64::try_from(self.live_workers(now).len()).unwrap_or(u64::MAX);
        stats
    }

    pub(super) fn prune(
        &mut self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
        now: Timestamp,
    ) -> Pruned {
        let old = |run: &&Run| {
            let cutoff = retention.cutoff_of(&run.kind, run.state, now);
            let long_ago = run.finished_at.zip(cutoff).is_some_and(|(ended, cutoff)| ended < cutoff);
            long_ago && caller.may_touch(run.project_id.as_ref())
        };
        let limit = if dry_run { usize::MAX } else { usize::try_from(limit).unwrap_or(usize::MAX) };
        let mut gone: Vec<(Timestamp, RunId, State, String)> = self
            .rows
            .values()
            .map(|row| &row.run)
            .filter(old)
            .filter_map(|run| Some((run.finished_at?, run.id, run.state, run.kind.to_string())))
            .collect();
        gone.sort();
        gone.truncate(limit);
        let mut pruned = Pruned::default();
        for (_, id, state, kind) in gone {
            pruned.add(&kind, state, 1);
            if !dry_run {
                self.remove(id);
            }
        }
        pruned
    }
}

fn count_live(stats: &mut Stats, run: &Run, now: Timestamp) {
    let kind = stats.kinds.entry(run.kind.to_string()).or_default();
    if run.state == State::Running {
        kind.running += 1;
    } else if run.is_due(now) {
        kind.due += 1;
        let due = millis(now.since(run.run_at));
        kind.oldest_due_ms = Some(kind.oldest_due_ms.map_or(due, |oldest| oldest.max(due)));
    } else {
        kind.later += 1;
    }
}

/// The nearest-rank percentile: the smallest value that at least `percent` of all are not over.
fn percentile(values: &mut [u64], percent: usize) -> Option<u64> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

fn millis(taken: Duration) -> u64 {
    u64::try_from(taken.as_millis()).unwrap_or(u64::MAX)
}
