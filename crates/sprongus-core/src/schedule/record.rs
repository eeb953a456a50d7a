//! How far a schedule has got: the setting that a store keeps, taken apart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::definition::{Definition, Overlap};
use crate::calendar::civil::CivilTime;
use crate::calendar::recurrence::Cursor;
use crate::calendar::{Recurrence, Zones};
use crate::error::{Error, Result};
use crate::json::Json;
use crate::values::ids::RunId;
use crate::values::names::{ScheduleId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::setting::{Family, ManagedBy, Setting};

/// A schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub id: ScheduleId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// What it is to do.
    pub definition: Definition,
    /// Counts its definitions, from 1.
    pub revision: u32,
    /// Who owns it.
    pub managed_by: ManagedBy,
    /// What the file asked for, where a file made it.
    pub applied: Option<Json>,
    /// How far it has got.
    pub progress: Progress,
    /// When it is looked at again; none for never.
    pub due_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its definition last changed.
    pub updated_at: Timestamp,
}

/// How far a schedule has got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Random, never shown: the ids of its runs are made of it and the tick, so nobody can take one before it comes.
    pub seed: u64,
    /// No tick before this is its own: when it was made, or when its timing last changed.
    pub made_at: Timestamp,
    /// Every tick up to this instant has its run or its event. It never goes back.
    pub cursor: Timestamp,
    /// The civil time of the last tick, in seconds: two processes whose zone data differ do not both have a tick for it.
    pub civil: Option<i64>,
    /// The next tick; none where there are no more, and while it is paused or broken.
    pub next: Option<Timestamp>,
    /// The newest tick that had a run.
    pub last: Option<Timestamp>,
    /// Runs of it that were live when it was looked at last; where runs may overlap, the newest of them.
    pub live: Vec<RunId>,
    /// Ticks that wait until no run of it is live, oldest first.
    pub waiting: Vec<Timestamp>,
    /// Ticks that a live run keeps from having theirs, since the newest that had one.
    #[serde(default)]
    pub skipping: Option<Skipping>,
    /// How many ticks were skipped since it was created, by the reason in their events. It only grows.
    #[serde(default)]
    pub skipped: BTreeMap<String, u64>,
    /// Why it cannot go on: its time zone is unknown to whoever looked last.
    pub broken: Option<String>,
}

/// Ticks that are being skipped one after another. The first is in an event at once, the others in one when a tick has its run again, the
/// schedule changes, or an hour is over: a run that hangs for a month under a schedule of every second leaves no millions of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipping {
    /// How many are in no event yet.
    pub count: u64,
    /// The first of those.
    pub from: Timestamp,
    /// The last of those.
    pub to: Timestamp,
    /// When an event was written last.
    pub noted_at: Timestamp,
}

impl Progress {
    /// Of a schedule whose timing begins at `made_at`: no tick has been dealt with.
    pub fn starting(seed: u64, made_at: Timestamp) -> Self {
        let (next, last, broken, civil) = (None, None, None, None);
        // A tick at the very instant is one of it.
        let cursor = Timestamp::from_millis(made_at.as_millis() - 1);
        let (live, waiting, skipping, skipped) = (Vec::new(), Vec::new(), None, BTreeMap::new());
        Self { seed, made_at, cursor, civil, next, last, live, waiting, skipping, skipped, broken }
    }

    /// Where to go on.
    pub fn place(&self) -> Cursor {
        Cursor { at: self.cursor, civil: self.civil.map(CivilTime::from_seconds) }
    }

    /// Goes on to a place; a place that lies behind changes nothing.
    pub fn advance(&mut self, to: Cursor) {
        if to.at > self.cursor {
            self.cursor = to.at;
        }
        if let Some(civil) = to.civil {
            self.civil = Some(self.civil.map_or(civil.as_seconds(), |before| before.max(civil.as_seconds())));
        }
    }
}

impl Schedule {
    /// A setting, taken apart.
    ///
    /// # Errors
    /// `internal` where it is none that this or an earlier version wrote.
    pub fn of(setting: &Setting) -> Result<Self> {
        let damaged = |error: serde_json::Error| Error::internal("a schedule is damaged").with_source(error);
        Ok(Self {
            id: setting.id.parse()?,
            workspace_id: setting.workspace_id.clone(),
            definition: Definition::kept(&setting.definition)?,
            revision: setting.revision,
            managed_by: setting.managed_by,
            applied: setting.applied.clone(),
            progress: serde_json::from_str(setting.progress.as_str()).map_err(damaged)?,
            due_at: setting.due_at,
            created_at: setting.created_at,
            updated_at: setting.updated_at,
        })
    }

    /// The setting that a store keeps.
    pub fn into_setting(self) -> Setting {
        Setting {
            family: Family::Schedule,
            id: self.id.as_str().to_owned(),
            workspace_id: self.workspace_id,
            revision: self.revision,
            managed_by: self.managed_by,
            definition: self.definition.to_json(),
            applied: self.applied,
            progress: Json::from_value(serde_json::to_value(self.progress).unwrap_or_default()),
            due_at: self.due_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }

    /// When its ticks are.
    ///
    /// # Errors
    /// `validation` where its time zone is unknown.
    pub fn recurrence(&self, zones: &dyn Zones) -> Result<Recurrence> {
        self.definition.recurrence(self.progress.made_at, zones)
    }

    /// The runs that hold up its next tick while they are live.
    pub fn holding_up(&self) -> &[RunId] {
        match self.definition.overlap {
            Overlap::Allow => &[],
            Overlap::Skip | Overlap::QueueOne | Overlap::QueueAll | Overlap::CancelRunning => {
                &self.progress.live
            }
        }
    }

    /// Whether a file made it and a person has changed it since.
    pub fn is_drifted(&self) -> bool {
        self.applied.as_ref().is_some_and(|applied| *applied != self.definition.to_json())
    }
}
