//! Retention: letting go of old runs.

use sprongus_core::Caller;
use sprongus_core::run::Run;
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn prune(
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
        self.note(caller, OperatorAct::pruned(&pruned, retention).filter(|_| !dry_run), now);
        pruned
    }
}
