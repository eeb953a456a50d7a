//! What a due run waits for.

use std::collections::BTreeMap;

use sprongus_core::Caller;
use sprongus_core::rules::order::Order;
use sprongus_core::run::Run;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::waiting::{MOST_COUNTED, reason};
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn held(&self) -> BTreeMap<WorkerId, u64> {
        let mut held = BTreeMap::new();
        let runs = self.rows.values().map(|row| &row.run).filter(|run| run.lease_expires_at.is_some());
        for worker in runs.filter_map(|run| run.claimed_by.clone()) {
            *held.entry(worker).or_default() += 1;
        }
        held
    }

    pub(crate) fn ahead(&self, caller: &Caller, run: &Run) -> u64 {
        let place = Order::of(run);
        let before = self.rows.values().filter(|row| row.ready_at.is_some_and(|other| other < place));
        let before = before.map(|row| &row.run);
        let before =
            before.filter(|other| other.kind == run.kind && caller.may_touch(other.project_id.as_ref()));
        u64::try_from(before.count()).unwrap_or(u64::MAX).min(MOST_COUNTED)
    }

    /// Whether the run waits for what the filter asks for.
    pub(crate) fn waits_as(&self, filter: &ListFilter, run: &Run, now: Timestamp) -> bool {
        let is_paused = self.kinds().iter().any(|setting| setting.paused && setting.kind == run.kind);
        filter.waiting.is_none_or(|wanted| reason(run, is_paused, now) == Some(wanted))
    }
}
