//! What stands around the runs: workspaces, projects, agent tasks, workers and kinds; and the figures over them all.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::names::{AgentTaskId, Kind, ProjectId, WorkerId, WorkspaceId};
use crate::state::State;
use crate::time::Timestamp;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// Its name.
    pub id: WorkspaceId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A group of runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Its name.
    pub id: ProjectId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What runs are made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentTask {
    /// Its name.
    pub id: AgentTaskId,
    /// What it is about, for people.
    pub title: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerInfo {
    /// This start of it.
    pub id: WorkerId,
    /// The kinds it serves; none means any.
    pub kinds: Option<Vec<Kind>>,
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Runs it executes at once.
    pub concurrency: u32,
}

/// A worker as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// This start of it.
    pub id: WorkerId,
    /// The kinds it serves; none means any.
    pub kinds: Option<Vec<Kind>>,
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// Runs it executes at once.
    pub concurrency: u32,
    /// It was told to stop claiming.
    pub draining: bool,
    /// When it was last heard of.
    pub seen_at: Timestamp,
}

impl Worker {
    /// How long after its last word a worker counts as gone: three of the words it sends every five seconds.
    pub const GONE_AFTER: Duration = Duration::from_secs(15);

    /// Whether it would claim a run of `kind`.
    pub fn serves(&self, kind: &Kind) -> bool {
        !self.draining && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }
}

/// A kind somebody paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindSetting {
    /// The kind.
    pub kind: Kind,
    /// No run of it is claimed.
    pub paused: bool,
    /// Since when it is so; unknown of what was set before schema 11. Set to what it is already, it stays as it was.
    pub changed_at: Option<Timestamp>,
    /// Who did it.
    pub changed_by: Option<String>,
}

/// How one kind stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindStats {
    /// Due and free to be claimed.
    pub due: u64,
    /// Delayed or backing off.
    pub later: u64,
    /// Waiting for an approval at a gate.
    pub waiting: u64,
    /// Held by workers.
    pub running: u64,
    /// How long the oldest due run has been due.
    pub oldest_due_ms: Option<u64>,
}

/// The figures of a workspace. What is of the last hour is of sixty minutes of the clock, the present one and those before it; how it is
/// made, so that neither history nor a busy hour slows it, and how exact its times are, says [`crate::recent`].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Kind by kind, those that have live runs.
    pub kinds: BTreeMap<String, KindStats>,
    /// Runs that ended within the last hour and were not retried since, by state.
    pub ended_last_hour: BTreeMap<State, u64>,
    /// Median time from due to started, of the executions begun within the last hour.
    pub wait_p50_ms: Option<u64>,
    /// 99th percentile of the same.
    pub wait_p99_ms: Option<u64>,
    /// Median time of the last executions of the runs that succeeded or failed within the last hour.
    pub run_p50_ms: Option<u64>,
    /// 99th percentile of the same.
    pub run_p99_ms: Option<u64>,
    /// Tokens that steps gave to models within the last hour, whatever became of their runs.
    pub tokens_in_last_hour: u64,
    /// Tokens that models gave back within the last hour.
    pub tokens_out_last_hour: u64,
    /// Workers heard of within 15 s.
    pub workers: u64,
}
