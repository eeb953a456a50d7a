//! What stands around the runs: workspaces, projects, agent tasks, workers and kinds; and the figures over them all.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::calendar::zone::ZoneData;
use crate::error::{Error, ErrorCode, Result};
use crate::rules::enqueue::{out_of_reach, refuse_secrets, taken};
use crate::run::state::State;
use crate::values::ids::TokenId;
use crate::values::names::{AgentTaskId, Kind, ProjectId, WorkerId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

/// The longest title of an agent task.
const MAX_TITLE_BYTES: usize = 512;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workspace {
    /// 1 to 64 characters; `default` is always there.
    pub id: WorkspaceId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The refusal of a workspace that nobody made.
pub fn unknown_workspace(id: &WorkspaceId) -> Error {
    Error::not_found(format_args!("workspace: {id}")).with_hint("create it with `sprongus workspaces create`")
}

/// A group of runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Project {
    /// Unique in its workspace.
    pub id: ProjectId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What runs are made for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentTask {
    /// Unique in its workspace.
    pub id: AgentTaskId,
    /// What it is about, for people.
    pub title: Option<String>,
    /// The project it belongs to; none means all of the workspace, which callers who are narrowed to projects do not see.
    pub project_id: Option<ProjectId>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl AgentTask {
    /// Whether making `new` again may be answered with this one.
    ///
    /// # Errors
    /// `conflict`, which does not say to whom the id belongs.
    pub fn answers(self, new: &NewAgentTask, caller: &Caller) -> Result<Self> {
        let is_meant = new.project_id.is_none() || new.project_id == self.project_id;
        if is_meant && caller.may_touch(self.project_id.as_ref()) { Ok(self) } else { Err(taken()) }
    }
}

/// What is asked when an agent task is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAgentTask {
    /// Unique in its workspace.
    pub id: AgentTaskId,
    /// What it is about, for people; up to 512 bytes.
    pub title: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
}

impl NewAgentTask {
    /// One of the workspace, without a title.
    pub fn new(id: AgentTaskId) -> Self {
        Self { id, title: None, project_id: None }
    }

    /// Checks the request of a caller. One who is narrowed to one project means that one where he names none.
    ///
    /// # Errors
    /// `validation`; `not_found` for a project that the caller may not touch; `secret_in_input`.
    pub fn checked(mut self, caller: &Caller) -> Result<Self> {
        if self.project_id.is_none()
            && let Some([only]) = caller.projects.as_deref()
        {
            self.project_id = Some(only.clone());
        }
        if !caller.may_touch(self.project_id.as_ref()) {
            return Err(out_of_reach(self.project_id.as_ref()));
        }
        let title = self.title.as_deref();
        if title.is_some_and(|title| title.len() > MAX_TITLE_BYTES || title.chars().any(char::is_control)) {
            return Err(Error::validation(format!(
                "a title must be at most {MAX_TITLE_BYTES} bytes of printable text"
            )));
        }
        refuse_secrets(&[("/id", &json!(self.id)), ("/title", &json!(title))])?;
        Ok(self)
    }
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
    /// The version of sprongus it runs, such as `0.1.0`.
    pub version: String,
    /// Runs it executes at once.
    pub concurrency: u32,
    /// The zone data that its process reads schedules by; none where it reads none, behind a server.
    pub zone_data: Option<ZoneData>,
}

/// A worker as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// This start of it.
    pub id: WorkerId,
    /// The kinds it serves; none means any.
    pub kinds: Option<Vec<Kind>>,
    /// The machine it runs on; none to callers who are narrowed to projects.
    pub host: Option<String>,
    /// Its process there; likewise.
    pub pid: Option<u32>,
    /// The version of sprongus it runs, such as `0.1.0`.
    pub version: String,
    /// Runs it executes at once.
    pub concurrency: u32,
    /// It was told to stop claiming.
    pub draining: bool,
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// The zone data that its process reads schedules by; none where it reads none, behind a server, or does not say, being older; none
    /// to callers who are narrowed to projects.
    pub zone_data: Option<ZoneData>,
}

impl Worker {
    /// How long after its last word a worker counts as gone: three of the words it sends every five seconds.
    pub const GONE_AFTER: Duration = Duration::from_secs(15);

    /// Whether `caller` may speak for a worker that was last heard of at `seen_at`, with the API token `token_id`: only one that is gone
    /// speaks with another token.
    ///
    /// # Errors
    /// `conflict`, which says nothing of that worker.
    pub fn check_own(
        token_id: Option<TokenId>,
        seen_at: Timestamp,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<()> {
        if token_id == caller.token_id || now.since(seen_at) >= Self::GONE_AFTER {
            return Ok(());
        }
        Err(Self::id_taken())
    }

    /// The refusal of a worker's word under an id that a worker with another API token has.
    pub fn id_taken() -> Error {
        Error::new(ErrorCode::Conflict, "the worker id is already in use")
            .with_hint("use a new worker id for each start of the worker")
    }

    /// Whether workers that read schedules do so by different zone data. Two folders of one release have the same.
    pub fn zone_data_differs(workers: &[Self]) -> bool {
        let mut releases =
            workers.iter().filter_map(|worker| worker.zone_data.as_ref()).map(ZoneData::release);
        releases.next().is_some_and(|first| releases.any(|other| other != first))
    }

    /// Whether it would claim a run of `kind`.
    pub fn serves(&self, kind: &Kind) -> bool {
        !self.draining && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind))
    }
}

/// A kind somebody paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindSetting {
    /// The kind that is paused or was resumed.
    pub kind: Kind,
    /// No run of it is claimed.
    pub paused: bool,
    /// Since when it is so; unknown of what was set before schema 11. Set to what it is already, it stays as it was.
    pub changed_at: Option<Timestamp>,
    /// The actor who paused or resumed it last.
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
/// made, so that neither history nor a busy hour slows it, and how exact its times are, says [`crate::figures::recent`].
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
