//! The audit of what operators did.

use sprongus_core::run::list::Page;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::{OperatorAct, OperatorEvent, OperatorFilter};
use sprongus_core::{Caller, Result};

use crate::model::tables::{Tables, Tenant};

impl Tables {
    /// Notes an act where its event belongs; nothing where nothing was changed.
    pub(crate) fn note(&mut self, caller: &Caller, act: Option<OperatorAct>, now: Timestamp) {
        if let Some(event) = act.map(|act| act.by(caller, now))
            && let Some(tenant) = self.tenants.get_mut(&event.workspace_id)
        {
            tenant.operator_events.push(event);
        }
    }
}

impl Tenant {
    /// The same for what concerns this workspace alone.
    pub(crate) fn note(&mut self, caller: &Caller, act: Option<OperatorAct>, now: Timestamp) {
        self.operator_events.extend(act.map(|act| act.by(caller, now)));
    }

    pub(crate) fn operator_events(&self, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        let stretch = filter.stretch(&self.id)?;
        let wanted = self.operator_events.iter().filter(|event| filter.wants(event) && stretch.holds(event));
        let mut found: Vec<OperatorEvent> = wanted.cloned().collect();
        found.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
        Ok(filter.page(&self.id, found))
    }
}
