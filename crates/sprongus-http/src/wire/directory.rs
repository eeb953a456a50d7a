//! What stands around the runs: workspaces, projects, agent tasks, workers, kinds; figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sprongus_core::calendar::zone::ZoneData;
use sprongus_core::run::state::State;
use sprongus_core::values::names::{AgentTaskId, Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, KindStats, Project, Stats, Worker, WorkerInfo, Workspace,
};

/// A tenant.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Workspace))]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceBody {
    /// Its name, unique on the server.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: WorkspaceId,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

impl From<WorkspaceBody> for Workspace {
    fn from(body: WorkspaceBody) -> Self {
        Self { id: body.id, created_at: body.created_at }
    }
}

/// A group of runs.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Project))]
#[serde(rename_all = "camelCase")]
pub struct ProjectBody {
    /// Its name, unique in the workspace.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: ProjectId,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

impl From<ProjectBody> for Project {
    fn from(body: ProjectBody) -> Self {
        Self { id: body.id, created_at: body.created_at }
    }
}

/// Creates a workspace.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = WorkspaceRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewWorkspaceBody {
    /// Id: `[a-z0-9][a-z0-9-]{0,63}`.
    #[cfg_attr(feature = "server", schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,63}$"))]
    pub id: WorkspaceId,
}

/// Creates a project.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ProjectRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewProjectBody {
    /// Id: `[a-z0-9][a-z0-9-]{0,63}`.
    #[cfg_attr(feature = "server", schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,63}$"))]
    pub id: ProjectId,
}

/// Creates an agent task.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = AgentTaskRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAgentTaskBody {
    /// Id: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`; default: a new ULID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"))]
    pub id: Option<AgentTaskId>,
    /// Title, for people; up to 512 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The project it belongs to; default: the whole workspace, or the project that the token is restricted to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub project_id: Option<ProjectId>,
}

/// An agent task: what runs are created for.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = AgentTask))]
#[serde(rename_all = "camelCase")]
pub struct AgentTaskBody {
    /// Its name, unique in the workspace.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: AgentTaskId,
    /// Title, for people.
    pub title: Option<String>,
    /// The project it belongs to; null for the whole workspace.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub project_id: Option<ProjectId>,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

impl From<AgentTaskBody> for AgentTask {
    fn from(body: AgentTaskBody) -> Self {
        Self { id: body.id, title: body.title, project_id: body.project_id, created_at: body.created_at }
    }
}

/// A worker's description of itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = WorkerWord))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerWordBody {
    /// The kinds it serves; default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub kinds: Option<Vec<Kind>>,
    /// Host name of its machine; up to 255 bytes.
    #[cfg_attr(feature = "server", schema(max_length = 255))]
    pub host: String,
    /// Process id on that machine.
    #[cfg_attr(feature = "server", schema(value_type = i64, minimum = 0, maximum = 4_294_967_295_i64))]
    pub pid: u32,
    /// Its version; up to 64 bytes.
    #[cfg_attr(feature = "server", schema(max_length = 64))]
    pub version: String,
    /// Number of runs it executes at once.
    #[cfg_attr(feature = "server", schema(value_type = i64, minimum = 0, maximum = 4_294_967_295_i64))]
    pub concurrency: u32,
    /// The zone data that its process reads schedules by; default: it reads none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone_data: Option<ZoneDataBody>,
}

/// Time zone data.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ZoneData))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ZoneDataBody {
    /// The release of the IANA Time Zone Database, or `unknown`; up to 64 bytes.
    #[cfg_attr(feature = "server", schema(max_length = 64, example = "2026f"))]
    pub version: String,
    /// The folder it was read from, or `bundled`; up to 255 bytes.
    #[cfg_attr(feature = "server", schema(max_length = 255, example = "/usr/share/zoneinfo"))]
    pub source: String,
}

impl From<ZoneDataBody> for ZoneData {
    fn from(body: ZoneDataBody) -> Self {
        let ZoneDataBody { version, source } = body;
        Self { source, version }
    }
}

impl WorkerWordBody {
    /// As the core has it; `id` comes from the path.
    pub fn into_info(self, id: WorkerId) -> WorkerInfo {
        WorkerInfo {
            id,
            kinds: self.kinds,
            host: self.host,
            pid: self.pid,
            version: self.version,
            concurrency: self.concurrency,
            zone_data: self.zone_data.map(ZoneData::from),
        }
    }
}

impl From<&WorkerInfo> for WorkerWordBody {
    fn from(info: &WorkerInfo) -> Self {
        Self {
            kinds: info.kinds.clone(),
            host: info.host.clone(),
            pid: info.pid,
            version: info.version.clone(),
            concurrency: info.concurrency,
            zone_data: info
                .zone_data
                .clone()
                .map(|ZoneData { source, version }| ZoneDataBody { version, source }),
        }
    }
}

/// The response to a worker's announcement.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = WorkerAnswer))]
pub struct WorkerAnswerBody {
    /// Whether it should stop claiming and finish its runs.
    pub drain: bool,
}

/// A live worker.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Worker))]
#[serde(rename_all = "camelCase")]
pub struct WorkerBody {
    /// Worker id, new for each start.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: WorkerId,
    /// The kinds it serves; null for any.
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub kinds: Option<Vec<Kind>>,
    /// Host name of its machine; null to tokens restricted to projects.
    pub host: Option<String>,
    /// Process id on that machine; likewise.
    pub pid: Option<u32>,
    /// The version of its program.
    pub version: String,
    /// Number of runs it executes at once.
    pub concurrency: u32,
    /// Whether it has been drained: it claims nothing more.
    pub draining: bool,
    /// When it was last seen.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub seen_at: Timestamp,
    /// The zone data that its process reads schedules by; null if it reads none, to tokens restricted to projects, and of older workers.
    #[serde(default)]
    pub zone_data: Option<ZoneDataBody>,
}

impl From<WorkerBody> for Worker {
    fn from(body: WorkerBody) -> Self {
        Self {
            id: body.id,
            kinds: body.kinds,
            host: body.host,
            pid: body.pid,
            version: body.version,
            concurrency: body.concurrency,
            draining: body.draining,
            seen_at: body.seen_at,
            zone_data: body.zone_data.map(ZoneData::from),
        }
    }
}

/// The kind to pause or resume.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = KindName))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindNameBody {
    /// The kind, such as `script.pull`.
    #[cfg_attr(feature = "server", schema(value_type = String, pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$"))]
    pub kind: Kind,
}

/// A kind that has been paused or resumed.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = KindSetting))]
#[serde(rename_all = "camelCase")]
pub struct KindBody {
    /// The kind, such as `script.pull`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub kind: Kind,
    /// Whether it is paused: its runs are not claimed.
    pub paused: bool,
    /// When this was set; null if unknown.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub changed_at: Option<Timestamp>,
    /// Who paused or resumed it last: the name of a token.
    pub changed_by: Option<String>,
}

impl From<KindBody> for KindSetting {
    fn from(body: KindBody) -> Self {
        let KindBody { kind, paused, changed_at, changed_by } = body;
        Self { kind, paused, changed_at, changed_by }
    }
}

/// Counts for one kind.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = KindStats))]
#[serde(rename_all = "camelCase")]
pub struct KindStatsBody {
    /// Due and not claimed.
    pub due: u64,
    /// Delayed or backing off.
    pub later: u64,
    /// Waiting for approval at a gate.
    #[serde(default)]
    pub waiting: u64,
    /// Held by workers.
    pub running: u64,
    /// How long the oldest due run has been due.
    pub oldest_due_ms: Option<u64>,
}

/// Figures of a workspace; totals cover the last hour: sixty clock minutes, including the current one.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Stats))]
#[serde(rename_all = "camelCase")]
pub struct StatsBody {
    /// Kinds with live runs.
    pub kinds: BTreeMap<String, KindStatsBody>,
    /// Runs that ended within the last hour and were not retried since, by state.
    #[cfg_attr(feature = "server", schema(value_type = BTreeMap<String, u64>))]
    pub ended_last_hour: BTreeMap<State, u64>,
    /// Median time from due to started, for attempts started within the last hour; accurate to a sixteenth.
    pub wait_p50_ms: Option<u64>,
    /// 99th percentile of the same.
    pub wait_p99_ms: Option<u64>,
    /// Median duration of the last attempts of runs that succeeded or failed within the last hour.
    pub run_p50_ms: Option<u64>,
    /// 99th percentile of the same.
    pub run_p99_ms: Option<u64>,
    /// Tokens sent to models by steps within the last hour, whatever the outcome of their runs.
    #[serde(default)]
    pub tokens_in_last_hour: u64,
    /// Tokens received from models within the last hour.
    #[serde(default)]
    pub tokens_out_last_hour: u64,
    /// Workers seen within the last 15 s.
    pub workers: u64,
}

impl From<StatsBody> for Stats {
    fn from(body: StatsBody) -> Self {
        let kinds = body.kinds.into_iter().map(|(kind, stats)| {
            let stats = KindStats {
                due: stats.due,
                later: stats.later,
                waiting: stats.waiting,
                running: stats.running,
                oldest_due_ms: stats.oldest_due_ms,
            };
            (kind, stats)
        });
        Self {
            kinds: kinds.collect(),
            ended_last_hour: body.ended_last_hour,
            wait_p50_ms: body.wait_p50_ms,
            wait_p99_ms: body.wait_p99_ms,
            run_p50_ms: body.run_p50_ms,
            run_p99_ms: body.run_p99_ms,
            tokens_in_last_hour: body.tokens_in_last_hour,
            tokens_out_last_hour: body.tokens_out_last_hour,
            workers: body.workers,
        }
    }
}
