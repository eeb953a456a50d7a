//! Settings of which a change may lose how far its schedule has got.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use sprongus_core::calendar::Zones;
use sprongus_core::rules::WriteSet;
use sprongus_core::schedule::ScheduleFigures;
use sprongus_core::store::Settings;
use sprongus_core::store::settings::{SettingsRead, SettingsRule};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::{Family, Setting, SettingWrite};
use sprongus_core::{Caller, Result};

use super::{Fault, Faulty};

#[async_trait]
impl Settings for Faulty {
    fn zones(&self) -> Arc<dyn Zones> {
        self.inner.zones()
    }

    async fn settings(
        &self,
        caller: &Caller,
        family: Family,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Setting>> {
        self.inner.settings(caller, family, after, limit).await
    }

    async fn settings_of(&self, caller: &Caller, family: Family, ids: &[String]) -> Result<Vec<Setting>> {
        self.inner.settings_of(caller, family, ids).await
    }

    async fn change_settings(
        &self,
        caller: &Caller,
        family: Family,
        ids: &[String],
        rule: SettingsRule,
    ) -> Result<WriteSet> {
        if self.fault != Fault::PutsCursorsBack {
            return self.inner.change_settings(caller, family, ids, rule).await;
        }
        let back: SettingsRule = Arc::new(move |read: &SettingsRead, act| {
            let mut set = rule(read, act)?;
            for write in &mut set.settings {
                if let (SettingWrite::Put(after), Some(before)) = (write, read.settings.first()) {
                    after.progress = before.progress.clone();
                }
            }
            Ok(set)
        });
        self.inner.change_settings(caller, family, ids, back).await
    }

    async fn ticks_with_runs(
        &self,
        caller: &Caller,
        schedule: &ScheduleId,
        ticks: &[Timestamp],
    ) -> Result<BTreeSet<Timestamp>> {
        self.inner.ticks_with_runs(caller, schedule, ticks).await
    }

    async fn schedule_figures(&self, caller: &Caller) -> Result<ScheduleFigures> {
        self.inner.schedule_figures(caller).await
    }
}
