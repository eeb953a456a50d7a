//! The stream of a workspace's events backwards.

use std::num::NonZeroU32;

use sprongus_core::Caller;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage, Audited, WALKED};

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> AuditPage {
        let walked = usize::try_from(WALKED).unwrap_or(usize::MAX);
        let mut events = self.run_events(
            &Caller { projects: None, ..caller.clone() },
            StreamPosition::default(),
            u32::MAX,
        );
        events.retain(|(position, _)| before.is_none_or(|before| *position < before));
        events.reverse();
        events.truncate(walked);
        let edge = (events.len() == walked).then(|| events.last().map(|(position, _)| *position)).flatten();
        let own = events.into_iter().filter_map(|(position, event)| {
            let run = &self.rows.get(&event.run_id)?.run;
            let is_own = caller.may_touch(run.project_id.as_ref()) && filter.admits(&event);
            is_own.then(|| Audited { position, kind: run.kind.clone(), event })
        });
        let most = usize::try_from(limit.get()).unwrap_or(usize::MAX).saturating_add(1);
        AuditPage::new(own.take(most).collect(), limit, edge)
    }
}
