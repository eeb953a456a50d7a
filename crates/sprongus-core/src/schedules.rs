//! Everything anyone may ask of the schedules of a workspace, in process or over HTTP, like [`crate::runs::Runs`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Result};
use crate::run::view::RunView;
use crate::schedule::{Definition, ScheduleState, ScheduleView};
use crate::values::names::ScheduleId;
use crate::values::time::Timestamp;

/// The most ticks of one preview.
pub const MAX_PREVIEW: u32 = 1_000;

/// A tick that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextTick {
    /// The tick.
    pub at: Timestamp,
    /// What a clock in the schedule's zone shows then, such as `2026-11-01T02:30:00`; none for an interval.
    pub local: Option<String>,
    /// When its run is due: the tick and its jitter.
    pub due_at: Timestamp,
}

/// What is to be previewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// A cron expression.
    pub cron: String,
    /// The IANA name of a time zone; `UTC` without one.
    pub time_zone: Option<String>,
    /// `once` or `literal`; `once` without one.
    pub dst: Option<String>,
    /// Ticks after this; the present without it.
    pub from: Option<Timestamp>,
    /// How many ticks, 1 to [`MAX_PREVIEW`].
    pub n: u32,
}

/// What a cron expression means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Previewed {
    /// The expression, in canonical text.
    pub cron: String,
    /// The expression in words.
    pub words: String,
    /// The time zone.
    pub time_zone: String,
    /// What the next clock change there does to it, in a sentence; none where the clock is never set again.
    pub clock_change: Option<String>,
    /// The next ticks.
    pub ticks: Vec<NextTick>,
}

/// What a backfill did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backfilled {
    /// Ticks that have a run now.
    pub ticks: Vec<Timestamp>,
    /// Ticks whose run was kept already.
    pub kept: Vec<Timestamp>,
}

/// What `sprongus apply` brings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// The schedules of the file.
    pub schedules: BTreeMap<ScheduleId, Definition>,
    /// Whether schedules that a file made and this one does not have are deleted.
    pub prune: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

/// How a setting differs from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// It was created.
    Added,
    /// It was changed.
    Changed,
    /// It was deleted.
    Deleted,
}

/// One difference between a file and the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// What became of it.
    pub kind: DifferenceKind,
    /// The family of the setting, such as `schedule`.
    pub family: String,
    /// Its id.
    pub id: String,
    /// Each field that differs, with its value before and after as JSON text; a missing one is `null`. Who may not read runs is not told
    /// of the input.
    pub fields: Vec<FieldDifference>,
}

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldDifference {
    /// Its name.
    pub name: String,
    /// Before, as JSON.
    pub before: String,
    /// Afterwards, as JSON.
    pub after: String,
}

/// Everything anyone may ask of the schedules of one workspace.
#[async_trait]
pub trait Schedules: Send + Sync + 'static {
    /// The schedules behind the id `after`, by id, `limit` (1 to 100) at most; a caller who is narrowed to projects sees those of his
    /// projects alone.
    async fn list(&self, after: Option<&ScheduleId>, limit: u32) -> Result<Vec<ScheduleView>>;

    /// One schedule.
    async fn get(&self, id: &ScheduleId) -> Result<ScheduleView>;

    /// Creates a schedule. The same again is no error; another definition under the id is `conflict`.
    async fn create(&self, id: &ScheduleId, definition: Definition) -> Result<ScheduleView>;

    /// Gives a schedule another definition, whole; creates it if there is none.
    async fn put(&self, id: &ScheduleId, definition: Definition) -> Result<ScheduleView>;

    /// Skips its ticks from now on.
    async fn pause(&self, id: &ScheduleId) -> Result<ScheduleView>;

    /// Lets its ticks have runs again. Those that fell into the pause are skipped.
    async fn resume(&self, id: &ScheduleId) -> Result<ScheduleView>;

    /// Deletes a schedule; its runs stay.
    async fn delete(&self, id: &ScheduleId) -> Result<()>;

    /// Enqueues a run of it now. It has no tick, and moves no cursor.
    async fn trigger(&self, id: &ScheduleId) -> Result<RunView>;

    /// Enqueues runs for its ticks from `from` to before `to`, 1,000 at most, whether or not runs of it are live; a tick whose run is
    /// still kept has no second one.
    async fn backfill(
        &self,
        id: &ScheduleId,
        from: Timestamp,
        to: Timestamp,
        dry_run: bool,
    ) -> Result<Backfilled>;

    /// Its next ticks, 1 to [`MAX_PREVIEW`].
    async fn next(&self, id: &ScheduleId, n: u32) -> Result<Vec<NextTick>>;

    /// What a cron expression means, in words and as ticks.
    async fn preview(&self, preview: &Preview) -> Result<Previewed>;

    /// Brings schedules to what a file says, all or nothing; what was different.
    async fn apply(&self, applied: &Applied) -> Result<Vec<Difference>>;
}

/// The next ticks of a schedule, for a page about it. Where its zone is not known to whoever is asked, there are none, and the view says
/// why: such a schedule is `broken` once something looks for its ticks.
///
/// # Errors
/// As [`Schedules::next`], but for `validation`.
pub async fn foresee(schedules: &dyn Schedules, view: &mut ScheduleView, n: u32) -> Result<Vec<NextTick>> {
    match view.state {
        ScheduleState::Active => {}
        ScheduleState::Paused | ScheduleState::Ended | ScheduleState::Broken => return Ok(Vec::new()),
    }
    match schedules.next(&view.id, n).await {
        Err(error) if error.code() == ErrorCode::Validation => {
            view.error.get_or_insert(error.to_string());
            Ok(Vec::new())
        }
        answer => answer,
    }
}
