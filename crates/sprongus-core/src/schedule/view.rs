//! What people see of a schedule.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::record::{Progress, Skipping};
use super::{Definition, Schedule};
use crate::values::names::{ScheduleId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::setting::ManagedBy;

/// Whether a schedule goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleState {
    /// It has a next tick.
    Active,
    /// It was paused; ticks are skipped until it is resumed.
    Paused,
    /// It has no more ticks.
    Ended,
    /// Its time zone is unknown.
    Broken,
}

impl ScheduleState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Ended, Self::Broken];

    /// The state of a schedule that is to do this and has got so far.
    pub fn of(definition: &Definition, progress: &Progress) -> Self {
        if definition.paused {
            Self::Paused
        } else if progress.broken.is_some() {
            Self::Broken
        } else if progress.next.is_none() && progress.waiting.is_empty() {
            Self::Ended
        } else {
            Self::Active
        }
    }

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
            Self::Broken => "broken",
        }
    }
}

/// A schedule as people see it: what it is to do, and how far it has got.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// Its name.
    pub id: ScheduleId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// Whether it goes on.
    pub state: ScheduleState,
    /// The next tick; none where there are no more, and while it is paused or broken.
    pub next_tick: Option<Timestamp>,
    /// The newest tick that had a run.
    pub last_tick: Option<Timestamp>,
    /// When it is looked at again; none for never. It is late when this is past: nobody claims or serves.
    pub due_at: Option<Timestamp>,
    /// Ticks that wait until no run of it is live, oldest first.
    pub waiting_ticks: Vec<Timestamp>,
    /// Ticks that a live run keeps from having theirs, now.
    pub skipping: Option<Skipping>,
    /// How many ticks were skipped since it was created and told in events, by reason.
    pub skipped_ticks: BTreeMap<String, u64>,
    /// Why it is broken.
    pub error: Option<String>,
    /// Counts its definitions, from 1.
    pub revision: u32,
    /// Who owns it.
    pub managed_by: ManagedBy,
    /// Whether a file made it and a person has changed it since.
    pub drifted: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition last changed.
    pub updated_at: Timestamp,
    /// What it is to do.
    #[serde(flatten)]
    pub definition: Definition,
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        let drifted = schedule.is_drifted();
        let progress = schedule.progress;
        let state = ScheduleState::of(&schedule.definition, &progress);
        Self {
            id: schedule.id,
            workspace_id: schedule.workspace_id,
            state,
            next_tick: progress.next,
            last_tick: progress.last,
            due_at: schedule.due_at,
            waiting_ticks: progress.waiting,
            skipping: progress.skipping,
            skipped_ticks: progress.skipped,
            error: progress.broken,
            revision: schedule.revision,
            managed_by: schedule.managed_by,
            drifted,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
            definition: schedule.definition,
        }
    }
}

/// The schedules of a workspace in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScheduleFigures {
    /// How many are in a state, by its name; a state that none is in may be left out.
    pub states: BTreeMap<String, u64>,
    /// How many should have been looked at more than [`LATE`] ago.
    pub late: u64,
    /// How many ticks of the schedules that there are were skipped and told in events, by reason.
    pub skipped_ticks: BTreeMap<String, u64>,
}

/// A schedule that is looked at so much too late is late: a worker or a server looks within seconds.
pub const LATE: Duration = Duration::from_secs(60);

impl ScheduleFigures {
    /// Figures as a store counts them: `state` and its name, `late`, or `skipped` and the reason, each with how many.
    pub fn read(counted: Vec<(String, String, u64)>) -> Self {
        let mut figures = Self::default();
        for (what, of, count) in counted {
            match what.as_str() {
                "state" => drop(figures.states.insert(of, count)),
                "skipped" => drop(figures.skipped_ticks.insert(of, count)),
                _ => figures.late = count,
            }
        }
        figures
    }
}
