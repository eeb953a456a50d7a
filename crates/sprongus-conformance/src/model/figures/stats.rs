//! Figures over the runs as they stand.

use std::time::Duration;

use sprongus_core::Caller;
use sprongus_core::figures::recent::{Recent, first_minute};
use sprongus_core::run::Run;
use sprongus_core::run::state::State;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;

use crate::model::tables::Tenant;

impl Tenant {
    /// Those of the last hour of the runs and events themselves, whatever was added up.
    pub(crate) fn stats(&self, caller: &Caller, now: Timestamp) -> Stats {
        let (mut stats, mut times) = (Stats::default(), Recent::default());
        let began = first_minute(now);
        for row in self.rows.values().filter(|row| caller.may_touch(row.run.project_id.as_ref())) {
            let run = &row.run;
            row.events.iter().for_each(|event| times.add("", event, began));
            if !run.state.is_final() {
                count_live(&mut stats, run, now);
            }
        }
        times.write_stats(&mut stats);
        // Of runs that ended by where they stand now: what is taken back and added again must come to the same.
        stats.ended_last_hour.clear();
        let ended = self.rows.values().map(|row| &row.run).filter(|run| run.state.is_final());
        let ended = ended.filter(|run| caller.may_touch(run.project_id.as_ref()));
        for run in ended.filter(|run| run.finished_at.is_some_and(|ended| ended >= began)) {
            *stats.ended_last_hour.entry(run.state).or_default() += 1;
        }
        stats.workers = u64::try_from(self.live_workers(now).len()).unwrap_or(u64::MAX);
        stats
    }
}

fn count_live(stats: &mut Stats, run: &Run, now: Timestamp) {
    let kind = stats.kinds.entry(run.kind.to_string()).or_default();
    if run.state == State::Running {
        kind.running += 1;
    } else if run.is_due(now) {
        kind.due += 1;
        let due = millis(now.since(run.due_at));
        kind.oldest_due_ms = Some(kind.oldest_due_ms.map_or(due, |oldest| oldest.max(due)));
    } else if run.waiting_for().is_some() {
        kind.waiting += 1;
    } else {
        kind.later += 1;
    }
}

fn millis(taken: Duration) -> u64 {
    u64::try_from(taken.as_millis()).unwrap_or(u64::MAX)
}
