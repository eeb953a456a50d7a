//! A run, claimed or not, as it is read back; below it, what belongs to one.

pub mod artifact;
pub mod history;
pub mod step;
pub mod waiting;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use sprongus_core::json::Json;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::state::State;
use sprongus_core::run::view::{ClaimedView, RunView, WaitingFor};
use sprongus_core::run::{Gate, Lease, Resume};
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::names::{AgentTaskId, Kind, ProjectId, ScheduleId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;

use super::given;
#[cfg(feature = "server")]
use super::words::{PassedGate, StateName};
use step::StepBody;
use waiting::WaitingBody;

/// One durable piece of background work. Absent values are `null`, never missing.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Run))]
#[serde(rename_all = "camelCase")]
pub struct RunBody {
    /// Id: a ULID.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "01M80754D6E7K919GRYZ8BH27Q"))]
    pub id: RunId,
    /// The workspace it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "default"))]
    pub workspace_id: WorkspaceId,
    /// The project it belongs to; null for system runs.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub project_id: Option<ProjectId>,
    /// The agent task it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub agent_task_id: Option<AgentTaskId>,
    /// What it does, such as `script.pull`.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "script.pull"))]
    pub kind: Kind,
    /// Input: any JSON.
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub input: Value,
    /// Where it stands; `succeeded`, `failed` and `canceled` are final, unless it is retried.
    #[cfg_attr(feature = "server", schema(value_type = StateName))]
    pub state: State,
    /// 0 to 100; higher is claimed first.
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    pub priority: u8,
    /// Percent done, 0 to 100, as last reported.
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    pub progress: u8,
    /// Attempts started.
    pub attempt: u32,
    /// Maximum number of attempts.
    pub max_attempts: u32,
    /// Leases lost.
    pub crashes: u32,
    /// The gate it is waiting at.
    pub waiting_for: Option<WaitingForBody>,
    /// Not claimed before this time.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub run_at: Timestamp,
    /// Idempotency key: a repeated enqueue with it returns this run.
    pub idempotency_key: Option<String>,
    /// Result: any JSON.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub result: Option<Value>,
    /// Reference to its output.
    pub output_ref: Option<String>,
    /// Error of the last attempt.
    pub error: Option<String>,
    /// The worker that holds it, or held it when it ended.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub claimed_by: Option<WorkerId>,
    /// When that worker claimed it.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub claimed_at: Option<Timestamp>,
    /// When the first attempt started.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub finished_at: Option<Timestamp>,
    /// When it was enqueued.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it last changed; heartbeats do not count.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// The time from which it can be claimed; null while it waits at a gate.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// What it waits for. Told by `GET /v1/runs/{id}`, `GET /v1/runs` and `GET /v1/gates`; null elsewhere, and for what waits for
    /// nothing.
    #[serde(default)]
    pub waiting: Option<WaitingBody>,
    /// Number of claims. Every report carries it; a retry may include it.
    pub epoch: u64,
    /// Tags for filtering.
    pub tags: BTreeMap<String, String>,
    /// The run fails if it has not started by then.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub expire_at: Option<Timestamp>,
    /// When the lease of the worker that holds it expires; null while nobody holds it. It may be past until the run is returned to the queue.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    #[serde(default)]
    pub lease_expires_at: Option<Timestamp>,
    /// The schedule that created it.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub schedule_id: Option<ScheduleId>,
    /// The tick of the schedule; null for a run that was triggered.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub scheduled_for: Option<Timestamp>,
    /// The revision of the schedule that created it.
    #[serde(default)]
    pub schedule_revision: Option<u32>,
}

/// The gate a run is waiting at.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = WaitingFor))]
#[serde(rename_all = "camelCase")]
pub struct WaitingForBody {
    /// The waiting step.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub step_id: StepId,
    /// When the gate expires and the run fails; null without a timeout.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub until: Option<Timestamp>,
}

impl RunBody {
    /// The run as a caller sees it.
    pub fn into_view(self) -> RunView {
        let waiting_for =
            self.waiting_for.map(|gate| WaitingFor { step_id: gate.step_id, until: gate.until });
        // A result of `null` and none at all are one on the wire.
        let result = self.result.filter(|result| !result.is_null());
        RunView {
            id: self.id,
            workspace_id: self.workspace_id,
            project_id: self.project_id,
            agent_task_id: self.agent_task_id,
            kind: self.kind,
            input: Json::from_value(self.input),
            state: self.state,
            priority: self.priority,
            progress: self.progress,
            attempt: self.attempt,
            max_attempts: self.max_attempts,
            crashes: self.crashes,
            waiting_for,
            run_at: self.run_at,
            idempotency_key: self.idempotency_key,
            result: result.map(Json::from_value),
            output_ref: self.output_ref,
            error: self.error,
            claimed_by: self.claimed_by,
            claimed_at: self.claimed_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            due_at: self.due_at,
            waiting: self.waiting.and_then(WaitingBody::into_waiting),
            epoch: self.epoch,
            tags: self.tags,
            expire_at: self.expire_at,
            lease_expires_at: self.lease_expires_at,
            schedule_id: self.schedule_id,
            scheduled_for: self.scheduled_for,
            schedule_revision: self.schedule_revision,
        }
    }
}

/// A claimed run: the run's fields and its lease.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ClaimedRun))]
#[serde(rename_all = "camelCase")]
pub struct ClaimedBody {
    /// The run.
    #[serde(flatten)]
    pub run: RunBody,
    /// Its lease.
    pub lease: LeaseBody,
    /// Whether only its CLEANUP is left to do: the run has ended.
    pub cleanup: bool,
    /// State to resume from after a gate.
    pub resume: Option<ResumeBody>,
    /// Trace context of the enqueue (W3C `traceparent`).
    pub traceparent: Option<String>,
}

/// A worker's lease of a run.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Lease))]
#[serde(rename_all = "camelCase")]
pub struct LeaseBody {
    /// Id of the worker that holds the run.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token, required in every report and upload under this claim. Returned only here.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "spl_6f1c0f0a5e3d4b7f9a2c8d1e0b4a7c36"))]
    pub token: LeaseToken,
    /// How long it lasts without a heartbeat, by the worker's clock, from before it sent the claim.
    pub lease_ms: u64,
    /// When it expires by the store's clock; for people.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
}

/// What an execution needs to resume after a gate.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Resume))]
#[serde(rename_all = "camelCase")]
pub struct ResumeBody {
    /// The steps of the attempt so far.
    pub steps: Vec<StepBody>,
    /// The approved gate.
    #[cfg_attr(feature = "server", schema(value_type = PassedGate))]
    pub gate: Gate,
    /// Location of the kept work directory.
    pub workdir: Option<String>,
}

impl ClaimedBody {
    /// As the core has it.
    pub fn into_claimed(self) -> ClaimedView {
        let lease = Lease {
            worker_id: self.lease.worker_id,
            epoch: self.lease.epoch,
            token: self.lease.token,
            lease_ms: self.lease.lease_ms,
            expires_at: self.lease.expires_at,
        };
        let resume = self.resume.map(|resume| Resume {
            steps: resume.steps.into_iter().map(StepBody::into_step).collect(),
            gate: resume.gate,
            workdir: resume.workdir,
        });
        let (run, cleanup, traceparent) = (self.run.into_view(), self.cleanup, self.traceparent);
        ClaimedView { run, lease, cleanup, resume, traceparent }
    }
}
