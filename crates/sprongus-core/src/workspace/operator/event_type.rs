//! The types of events of a workspace: what operators do, and what happens without them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, Result};

/// What an operator did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperatorEventType {
    /// A token was created.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// A workspace was created.
    WorkspaceCreated,
    /// A workspace was deleted, with everything in it.
    WorkspaceDeleted,
    /// A project was created.
    ProjectCreated,
    /// A kind was paused.
    KindPaused,
    /// A kind was resumed.
    KindResumed,
    /// A worker was told to stop claiming.
    WorkerDrained,
    /// Retention took a batch of runs.
    Pruned,
    /// The figures over time were discarded, to be built again from the events.
    FiguresRebuilt,
    /// A schedule was created.
    ScheduleCreated,
    /// A schedule was given another definition.
    ScheduleUpdated,
    /// A schedule was paused.
    SchedulePaused,
    /// A schedule was resumed.
    ScheduleResumed,
    /// A schedule was deleted.
    ScheduleDeleted,
    /// A run of a schedule was enqueued by hand.
    ScheduleTriggered,
    /// Runs were enqueued for past ticks of a schedule.
    ScheduleBackfilled,
    /// Ticks of a schedule have no run, and why.
    ScheduleSkipped,
    /// A schedule cannot go on.
    ScheduleBroken,
    /// A schedule that was broken goes on.
    ScheduleRecovered,
}

impl OperatorEventType {
    /// Every type.
    pub const ALL: [Self; 20] = [
        Self::TokenCreated,
        Self::TokenRevoked,
        Self::WorkspaceCreated,
        Self::WorkspaceDeleted,
        Self::ProjectCreated,
        Self::KindPaused,
        Self::KindResumed,
        Self::WorkerDrained,
        Self::Pruned,
        Self::FiguresRebuilt,
        Self::ScheduleCreated,
        Self::ScheduleUpdated,
        Self::SchedulePaused,
        Self::ScheduleResumed,
        Self::ScheduleDeleted,
        Self::ScheduleTriggered,
        Self::ScheduleBackfilled,
        Self::ScheduleSkipped,
        Self::ScheduleBroken,
        Self::ScheduleRecovered,
    ];

    /// The type's name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenCreated => "operator.token_created",
            Self::TokenRevoked => "operator.token_revoked",
            Self::WorkspaceCreated => "operator.workspace_created",
            Self::WorkspaceDeleted => "operator.workspace_deleted",
            Self::ProjectCreated => "operator.project_created",
            Self::KindPaused => "operator.kind_paused",
            Self::KindResumed => "operator.kind_resumed",
            Self::WorkerDrained => "operator.worker_drained",
            Self::Pruned => "operator.pruned",
            Self::FiguresRebuilt => "operator.figures_rebuilt",
            Self::ScheduleCreated => "operator.schedule_created",
            Self::ScheduleUpdated => "operator.schedule_updated",
            Self::SchedulePaused => "operator.schedule_paused",
            Self::ScheduleResumed => "operator.schedule_resumed",
            Self::ScheduleDeleted => "operator.schedule_deleted",
            Self::ScheduleTriggered => "operator.schedule_triggered",
            Self::ScheduleBackfilled => "operator.schedule_backfilled",
            Self::ScheduleSkipped => "schedule.skipped",
            Self::ScheduleBroken => "schedule.broken",
            Self::ScheduleRecovered => "schedule.recovered",
        }
    }
}

impl OperatorEventType {
    /// Whether it is in the workspace's stream too ([`crate::run::stream`]): nobody did it, so nobody knows of it who is not told.
    pub const fn is_streamed(self) -> bool {
        match self {
            Self::ScheduleSkipped | Self::ScheduleBroken | Self::ScheduleRecovered => true,
            Self::TokenCreated
            | Self::TokenRevoked
            | Self::WorkspaceCreated
            | Self::WorkspaceDeleted
            | Self::ProjectCreated
            | Self::KindPaused
            | Self::KindResumed
            | Self::WorkerDrained
            | Self::Pruned
            | Self::FiguresRebuilt
            | Self::ScheduleCreated
            | Self::ScheduleUpdated
            | Self::SchedulePaused
            | Self::ScheduleResumed
            | Self::ScheduleDeleted
            | Self::ScheduleTriggered
            | Self::ScheduleBackfilled => false,
        }
    }
}

impl fmt::Display for OperatorEventType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for OperatorEventType {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| {
            let error = Error::validation("not an operator event type");
            if text.starts_with("run.") || text.starts_with("step.") {
                return error.with_hint("for the events of a run, use `sprongus runs events ID`");
            }
            error.with_hint(format!("use one of: {}", Self::ALL.map(Self::as_str).join(", ")))
        })
    }
}

impl Serialize for OperatorEventType {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}
