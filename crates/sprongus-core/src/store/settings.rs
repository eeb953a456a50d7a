//! Settings of workspaces: kept as they are given, found when they are due.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::calendar::Zones;
use crate::error::Result;
use crate::rules::schedule::{self, LiveRuns};
use crate::rules::{Act, WriteSet};
use crate::schedule::ScheduleFigures;
use crate::values::ids::RunId;
use crate::values::names::ScheduleId;
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;
use crate::workspace::setting::{Family, Setting};

/// Settings as they stand under their locks, with the runs they asked for ([`runs_to_read`]).
#[derive(Clone, Debug, Default)]
pub struct SettingsRead {
    /// Those of the ids asked for that exist, by id.
    pub settings: Vec<Setting>,
    /// The live runs of schedules.
    pub live: LiveRuns,
}

/// A rule over settings. It may be asked again when a transaction has to be repeated.
pub type SettingsRule = Arc<dyn Fn(&SettingsRead, Act<'_>) -> Result<WriteSet> + Send + Sync>;

/// The settings of a database.
#[async_trait]
pub trait Settings: Send + Sync + 'static {
    /// The zone data that schedules are read by.
    fn zones(&self) -> Arc<dyn Zones>;

    /// Up to `limit` settings of a family behind the id `after`, in the order of their ids' bytes.
    async fn settings(
        &self,
        caller: &Caller,
        family: Family,
        after: &str,
        limit: u32,
    ) -> Result<Vec<Setting>>;

    /// The settings of these ids that exist, by id.
    async fn settings_of(&self, caller: &Caller, family: Family, ids: &[String]) -> Result<Vec<Setting>>;

    /// Asks a rule about the settings of these ids, read under their locks, and writes what it answers in the same transaction; an id
    /// that does not exist yet is locked too. Answers what was written.
    async fn change_settings(
        &self,
        caller: &Caller,
        family: Family,
        ids: &[String],
        rule: SettingsRule,
    ) -> Result<WriteSet>;

    /// Of these ticks of a schedule, those whose run is still kept.
    async fn ticks_with_runs(
        &self,
        caller: &Caller,
        schedule: &ScheduleId,
        ticks: &[Timestamp],
    ) -> Result<BTreeSet<Timestamp>>;

    /// The schedules of the caller's workspace in figures, of all its projects.
    async fn schedule_figures(&self, caller: &Caller) -> Result<ScheduleFigures>;
}

/// The runs that a rule over these settings reads ([`SettingsRead::live`]).
pub fn runs_to_read(settings: &[Setting]) -> Vec<RunId> {
    let of = |setting: &Setting| match setting.family {
        Family::Schedule => schedule::runs_to_change(setting),
    };
    settings.iter().flat_map(of).collect()
}

/// The runs that are read before due settings are brought up to the present.
pub fn runs_to_tick(settings: &[Setting]) -> Vec<RunId> {
    let of = |setting: &Setting| match setting.family {
        Family::Schedule => schedule::runs_to_tick(setting),
    };
    settings.iter().flat_map(of).collect()
}
