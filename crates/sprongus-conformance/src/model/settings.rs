//! Settings, and schedules brought up to the present.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::rules::enqueue::taken;
use sprongus_core::rules::schedule::{LiveRuns, MOST_PER_CLAIM, tick};
use sprongus_core::rules::{Act, SYSTEM, WriteSet};
use sprongus_core::run::event::Event;
use sprongus_core::schedule::{LATE, Schedule, ScheduleFigures, ScheduleView};
use sprongus_core::store::Settings;
use sprongus_core::store::settings::{SettingsRead, SettingsRule, runs_to_read, runs_to_tick};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::{Family, Setting};
use sprongus_core::{Caller, Result};

use crate::model::Model;
use crate::model::tables::Tenant;

#[async_trait]
impl Settings for Model {
    fn zones(&self) -> Arc<dyn Zones> {
        Arc::new(SystemZones::bundled())
    }

    async fn settings(
        &self,
        caller: &Caller,
        family: Family,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Setting>> {
        self.read(caller, |tenant| {
            let behind = tenant.settings.values().filter(|it| it.family == family && it.id.as_str() > after);
            Ok(behind.take(limit as usize).cloned().collect())
        })
    }

    async fn settings_of(&self, caller: &Caller, family: Family, ids: &[String]) -> Result<Vec<Setting>> {
        self.read(caller, |tenant| Ok(tenant.settings_of(family, ids)))
    }

    async fn change_settings(
        &self,
        caller: &Caller,
        family: Family,
        ids: &[String],
        rule: SettingsRule,
    ) -> Result<WriteSet> {
        let act = self.present(caller);
        self.write(caller, |tenant| {
            let settings = tenant.settings_of(family, ids);
            let live = tenant.live_runs(runs_to_read(&settings));
            let set = rule(&SettingsRead { settings, live }, act)?;
            if set.new_runs.iter().any(|new| tenant.rows.contains_key(&new.run.id)) {
                return Err(taken());
            }
            tenant.write_by(caller, set.clone(), act.now);
            Ok(set)
        })
    }

    async fn ticks_with_runs(
        &self,
        caller: &Caller,
        schedule: &ScheduleId,
        ticks: &[Timestamp],
    ) -> Result<BTreeSet<Timestamp>> {
        self.read(caller, |tenant| {
            let made = tenant.rows.values().filter_map(|row| row.run.scheduled.as_ref());
            let ours = made.filter(|by| by.schedule_id == *schedule).filter_map(|by| by.scheduled_for);
            Ok(ours.filter(|tick| ticks.contains(tick)).collect())
        })
    }

    async fn schedule_figures(&self, caller: &Caller) -> Result<ScheduleFigures> {
        let now = self.clock.now();
        self.read(caller, |tenant| {
            let mut figures = ScheduleFigures::default();
            for setting in tenant.settings.values() {
                let view = ScheduleView::from(Schedule::of(setting)?);
                *figures.states.entry(view.state.as_str().to_owned()).or_default() += 1;
                figures.late += u64::from(view.due_at.is_some_and(|due| due.plus(LATE) < now));
                for (reason, count) in view.skipped_ticks {
                    *figures.skipped_ticks.entry(reason).or_default() += count;
                }
            }
            Ok(figures)
        })
    }
}

impl Tenant {
    fn settings_of(&self, family: Family, ids: &[String]) -> Vec<Setting> {
        let ids: BTreeSet<&String> = ids.iter().collect();
        ids.into_iter().filter_map(|id| self.settings.get(&(family, id.clone())).cloned()).collect()
    }

    fn live_runs(&self, ids: Vec<RunId>) -> LiveRuns {
        let rows = ids.into_iter().filter_map(|id| Some((id, self.rows.get(&id)?)));
        rows.map(|(id, row)| (id, (row.run.clone(), row.waits_at().cloned()))).collect()
    }

    /// Brings due schedules up to the present, the longest due first.
    pub(crate) fn move_schedules(&mut self, now: Timestamp, limit: u32) -> (u32, Vec<Event>) {
        let mut due: Vec<Setting> =
            self.settings.values().filter(|it| it.due_at.is_some_and(|at| at <= now)).cloned().collect();
        due.sort_by_key(|setting| setting.due_at);
        due.truncate(limit.min(MOST_PER_CLAIM) as usize);
        let system = Caller::new(self.id.clone(), SYSTEM);
        let mut events = Vec::new();
        for setting in &due {
            let live = self.live_runs(runs_to_tick(std::slice::from_ref(setting)));
            let set = match setting.family {
                Family::Schedule => tick(setting, &live, &SystemZones::bundled(), Act { now, actor: SYSTEM }),
            };
            events.extend(set.events().cloned());
            self.write_by(&system, set, now);
        }
        (u32::try_from(due.len()).unwrap_or(u32::MAX), events)
    }

    /// When the next schedule is due.
    pub(crate) fn next_schedule(&self) -> Option<Timestamp> {
        self.settings.values().filter_map(|setting| setting.due_at).min()
    }
}
