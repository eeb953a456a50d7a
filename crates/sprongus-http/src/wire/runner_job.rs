//! Runs in the words of the runner jobs' design: its statuses, its field names, UUIDs. The same words as the views `runner_jobs`,
//! `job_steps` and `job_events` on Postgres.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::event::Event;
use sprongus_core::run::state::State;
use sprongus_core::run::step::Step;
use sprongus_core::run::view::RunView;
use sprongus_core::values::time::Timestamp;

use super::{given, millis};

/// Status of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RunnerJobStatus))]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// Queued and not yet due: delayed, backing off, or waiting at a gate.
    Pending,
    /// Queued and due.
    Queued,
    /// Held by a worker.
    Running,
    /// Succeeded.
    Completed,
    /// Failed, with no attempts left.
    Failed,
    /// Canceled.
    Cancelled,
}

impl JobStatus {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// How `run` stands at `now`.
    pub fn of(run: &RunView, now: Timestamp) -> Self {
        match run.state {
            State::Queued if run.is_due(now) => Self::Queued,
            State::Queued => Self::Pending,
            State::Running => Self::Running,
            State::Succeeded => Self::Completed,
            State::Failed => Self::Failed,
            State::Canceled => Self::Cancelled,
        }
    }

    /// The state of the runs that stand so.
    pub const fn state(self) -> State {
        match self {
            Self::Pending | Self::Queued => State::Queued,
            Self::Running => State::Running,
            Self::Completed => State::Succeeded,
            Self::Failed => State::Failed,
            Self::Cancelled => State::Canceled,
        }
    }
}

/// Creates a job and queues it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RunnerJobRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewJobBody {
    /// What it does, such as `script.pull`.
    #[serde(rename = "type")]
    #[cfg_attr(
        feature = "server",
        schema(example = "agent.review", pattern = "^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")
    )]
    pub kind: String,
    /// The agent task it belongs to, which must exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_task_id: Option<String>,
    /// 0 to 100, higher first; default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    pub priority: Option<u32>,
    /// Input: any JSON up to 1 MiB; default: `{}`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub data: Option<Value>,
}

impl NewJobBody {
    /// As the core has it; the key comes from the header.
    pub fn into_new(self, idempotency_key: Option<String>) -> NewRun {
        NewRun {
            kind: self.kind,
            agent_task_id: self.agent_task_id,
            priority: self.priority,
            input: self.data.map(Json::from_value),
            idempotency_key,
            ..NewRun::default()
        }
    }
}

/// A run in the runner jobs format.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RunnerJob))]
#[serde(rename_all = "camelCase")]
pub struct JobBody {
    /// Id: a UUID.
    #[cfg_attr(feature = "server", schema(format = Uuid))]
    pub id: String,
    /// The workspace it belongs to.
    pub workspace_id: String,
    /// The agent task it belongs to.
    pub agent_task_id: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<String>,
    /// What it does, such as `script.pull`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where the job stands; `PENDING` and `QUEUED` are one state of a run, not due and due.
    pub status: JobStatus,
    /// 0 to 100; higher is claimed first.
    pub priority: u8,
    /// Percent done.
    pub progress_percent: u8,
    /// Its input: any JSON.
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub data: Json,
    /// Its result: any JSON; null until it has one.
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub result: Option<Json>,
    /// Error of the last attempt.
    pub error: Option<String>,
    /// The worker that holds it, or held it when it ended.
    pub runner_id: Option<String>,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When the first attempt started.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub completed_at: Option<Timestamp>,
    /// When it last changed.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

impl JobBody {
    /// The job that a run is, at `now`.
    pub fn of(run: &RunView, now: Timestamp) -> Self {
        Self {
            id: run.id.to_uuid_text(),
            workspace_id: run.workspace_id.to_string(),
            agent_task_id: run.agent_task_id.as_ref().map(ToString::to_string),
            project_id: run.project_id.as_ref().map(ToString::to_string),
            kind: run.kind.to_string(),
            status: JobStatus::of(run, now),
            priority: run.priority,
            progress_percent: run.progress,
            data: run.input.clone(),
            result: run.result.clone(),
            error: run.error.clone(),
            runner_id: run.claimed_by.as_ref().map(ToString::to_string),
            created_at: run.created_at,
            started_at: run.started_at,
            completed_at: run.finished_at,
            updated_at: run.updated_at,
        }
    }
}

/// A job's step.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = JobStep))]
#[serde(rename_all = "camelCase")]
pub struct JobStepBody {
    /// Id: a UUID.
    #[cfg_attr(feature = "server", schema(format = Uuid))]
    pub id: String,
    /// The job it belongs to.
    #[cfg_attr(feature = "server", schema(format = Uuid))]
    pub job_id: String,
    /// Position in the job.
    pub ordinal: u32,
    /// The attempt it belongs to.
    pub attempt: u32,
    /// `SETUP`, `EXECUTION`, `VALIDATION` or `CLEANUP`.
    pub phase: String,
    /// Name in the declaration.
    pub name: String,
    /// `COMMAND`, `AI_ACTION`, `GATE` or `ARTIFACT`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `FAILED` or `SKIPPED`.
    pub status: String,
    /// What it printed; cut at 64 KiB.
    pub output: Option<String>,
    /// Tokens sent to a model.
    pub tokens_input: Option<u64>,
    /// Tokens received from a model.
    pub tokens_output: Option<u64>,
    /// When it started.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub completed_at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
}

impl From<&Step> for JobStepBody {
    fn from(step: &Step) -> Self {
        Self {
            id: step.id.to_uuid_text(),
            job_id: step.run_id.to_uuid_text(),
            ordinal: step.ordinal,
            attempt: step.attempt,
            phase: step.phase.as_str().to_ascii_uppercase(),
            name: step.name.clone(),
            kind: step.kind.as_str().to_ascii_uppercase(),
            status: step.status.as_str().to_ascii_uppercase(),
            output: step.output.clone(),
            tokens_input: step.tokens_in,
            tokens_output: step.tokens_out,
            started_at: step.started_at,
            completed_at: step.completed_at,
            duration_ms: step.duration().map(millis),
        }
    }
}

/// One immutable event of a job's history.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = JobEvent))]
#[serde(rename_all = "camelCase")]
pub struct JobEventBody {
    /// Id: a UUID.
    #[cfg_attr(feature = "server", schema(format = Uuid))]
    pub id: String,
    /// The job it belongs to.
    #[cfg_attr(feature = "server", schema(format = Uuid))]
    pub job_id: String,
    /// The step it belongs to, if any.
    #[cfg_attr(feature = "server", schema(format = Uuid))]
    pub step_id: Option<String>,
    /// Position in the job's history.
    pub seq: u64,
    /// Such as `run.started`; new types may be added.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened, by the database's clock.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub timestamp: Timestamp,
    /// Who did it: the name of a user or a token, the id of a worker, or `system`.
    pub actor: String,
    /// Details, depending on the type.
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub payload: Json,
}

impl From<&Event> for JobEventBody {
    fn from(event: &Event) -> Self {
        Self {
            id: event.id().to_uuid_text(),
            job_id: event.run_id.to_uuid_text(),
            step_id: event.step_id.map(|id| id.to_uuid_text()),
            seq: event.seq,
            kind: event.kind.as_str().to_owned(),
            timestamp: event.at,
            actor: event.actor.clone(),
            payload: event.payload.clone(),
        }
    }
}

/// A job with its steps and events.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = RunnerJobDetail))]
pub struct JobDetailBody {
    /// The job.
    #[serde(flatten)]
    pub job: JobBody,
    /// Steps, by attempt and ordinal.
    pub steps: Vec<JobStepBody>,
    /// Events, oldest first; the first 1,000.
    pub events: Vec<JobEventBody>,
}
