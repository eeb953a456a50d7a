//! The nouns of a run: the run itself, its lease, what is asked when one is made, and what is answered.

pub mod artifact;
pub mod command;
pub mod event;
pub mod follow;
pub mod lease;
pub mod list;
pub mod request;
pub mod retention;
pub mod state;
pub mod step;
pub mod stream;
pub mod waiting;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::Error;
use crate::json::Json;
use crate::run::event::Event;
use crate::run::lease::{LeaseHash, LeaseToken};
use crate::run::state::State;
use crate::run::waiting::reason::Waiting;
use crate::values::ids::{RunId, StepId};
use crate::values::names::{AgentTaskId, BlockedOn, ClaimId, Kind, ProjectId, WorkerId, WorkspaceId};
use crate::values::time::Timestamp;

/// How a run's CLEANUP stands: whether an execution left something that still has to be put away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Nothing was started, or what was started has put its things away.
    None,
    /// An execution was started and has not said that it cleaned up.
    Owed,
    /// It was handed out a last time, for cleanup alone.
    HandedOut,
}

impl Cleanup {
    const ALL: [Self; 3] = [Self::None, Self::Owed, Self::HandedOut];

    /// The word for it in a database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Owed => "owed",
            Self::HandedOut => "handed_out",
        }
    }
}

impl FromStr for Cleanup {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|cleanup| cleanup.as_str() == text);
        known.ok_or_else(|| Error::internal("not a state of a run's CLEANUP"))
    }
}

/// A person's answer at a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It may pass.
    Approved,
    /// It may not; the run fails for good.
    Rejected,
}

/// The gate a run waits at, or passed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gate {
    /// The step that waits.
    pub step_id: StepId,
    /// When waiting ends and the run fails; without one it waits until it is answered.
    pub until: Option<Timestamp>,
    /// The answer, once there is one.
    pub answer: Option<Answer>,
    /// Who answered.
    pub by: Option<String>,
    /// What was said with it.
    pub comment: Option<String>,
    /// Whether a claim has carried the run on since.
    pub resumed: bool,
}

/// One durable piece of background work, as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// The tenant.
    pub workspace_id: WorkspaceId,
    /// The group it belongs to; none for system runs.
    pub project_id: Option<ProjectId>,
    /// What it was made for.
    pub agent_task_id: Option<AgentTaskId>,
    /// What it does.
    pub kind: Kind,
    /// What it works on.
    pub input: Json,
    /// Where it stands.
    pub state: State,
    /// 0 to 100; higher is claimed first.
    pub priority: u8,
    /// Percent done, 0 to 100, as the worker last told.
    pub progress: u8,
    /// Executions started.
    pub attempt: u32,
    /// Executions allowed.
    pub max_attempts: u32,
    /// Leases lost.
    pub crashes: u32,
    /// The gate it waits at or passed last.
    pub gate: Option<Gate>,
    /// Not claimed before this.
    pub run_at: Timestamp,
    /// Since when it could be claimed, or from when on it can. A backoff, a release, an approval and a lost lease set it anew, where
    /// `run_at`, which orders the queue, may stay. Of a run that waits at a gate it says nothing: see [`Run::claimable_at`].
    pub due_at: Timestamp,
    /// Still unstarted then, it fails.
    pub expire_at: Option<Timestamp>,
    /// What makes a repeated enqueue give this run.
    pub idempotency_key: Option<String>,
    /// What was asked for, in canonical form, as a hash: the same key with another one is refused.
    pub fingerprint: String,
    /// Short pairs to find it by.
    pub tags: BTreeMap<String, String>,
    /// What it came to.
    pub result: Option<Json>,
    /// Where its outcome lies.
    pub output_ref: Option<String>,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Counts the claims; never lowered. Every report carries it.
    pub epoch: u64,
    /// Who holds it, or held it when it ended.
    pub claimed_by: Option<WorkerId>,
    /// When the present or last holder took it.
    pub claimed_at: Option<Timestamp>,
    /// The hash of the token that the present or last claim told; none where there is no report that could count.
    pub lease_hash: Option<LeaseHash>,
    /// What keeps it from being claimed while it is queued, however due it is; who blocks a run sees to it that somebody frees it.
    pub blocked_on: Option<BlockedOn>,
    /// How long a heartbeat holds it.
    pub lease: Duration,
    /// Until when it is held; none when nobody does.
    pub lease_expires_at: Option<Timestamp>,
    /// Until when an ended run may be held for its CLEANUP at the longest.
    pub closing_until: Option<Timestamp>,
    /// Whether a CLEANUP is owed.
    pub cleanup: Cleanup,
    /// The last report that let go of the run, in short, so that its repeat is known.
    pub last_report: Option<String>,
    /// The trace of whoever enqueued it (W3C `traceparent`).
    pub traceparent: Option<String>,
    /// `seq` of its latest event.
    pub last_seq: u64,
    /// When the first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it last changed; a heartbeat is no change.
    pub updated_at: Timestamp,
    /// What it waits for ([`crate::run::waiting`]). No store knows it: it is filled in where a run is looked at, by [`crate::Runs::get`] and
    /// [`crate::Runs::list`], and none everywhere else.
    pub waiting: Option<Waiting>,
}

impl Run {
    /// Leaves out what only somebody may see who may read runs: what it works on, and what came of it.
    pub fn hide_content(&mut self) {
        self.input = Json::null();
        (self.result, self.output_ref, self.error) = (None, None, None);
    }

    /// The gate it waits at now.
    pub fn waiting_for(&self) -> Option<&Gate> {
        match self.state {
            State::Queued => self.gate.as_ref().filter(|gate| gate.answer.is_none()),
            State::Running | State::Succeeded | State::Failed | State::Canceled => None,
        }
    }

    /// The passed gate behind which the next claim carries on, in the same attempt.
    pub fn resuming(&self) -> Option<&Gate> {
        match self.state {
            State::Queued => {
                self.gate.as_ref().filter(|gate| gate.answer == Some(Answer::Approved) && !gate.resumed)
            }
            State::Running | State::Succeeded | State::Failed | State::Canceled => None,
        }
    }

    /// [`Run::due_at`]; none while the run waits at a gate, which no time ends.
    pub fn claimable_at(&self) -> Option<Timestamp> {
        self.waiting_for().is_none().then_some(self.due_at)
    }

    /// Whether it is due and free to be claimed.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let is_free = self.waiting_for().is_none() && self.blocked_on.is_none();
        self.state == State::Queued && is_free && self.run_at <= now
    }
}

/// What a gate tells those who look at a waiting run.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WaitingFor<'a> {
    step_id: StepId,
    until: &'a Option<Timestamp>,
}

/// A run as everybody sees it: the contract's fields in the contract's order, absent values as `null`; behind them what
/// the contract needs but does not list (`epoch`, `tags`, `expireAt`).
impl Serialize for Run {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let waiting = self.waiting_for().map(|gate| WaitingFor { step_id: gate.step_id, until: &gate.until });
        let mut run = out.serialize_struct("Run", 30)?;
        run.serialize_field("id", &self.id)?;
        run.serialize_field("workspaceId", &self.workspace_id)?;
        run.serialize_field("projectId", &self.project_id)?;
        run.serialize_field("agentTaskId", &self.agent_task_id)?;
        run.serialize_field("kind", &self.kind)?;
        run.serialize_field("input", &self.input)?;
        run.serialize_field("state", &self.state)?;
        run.serialize_field("priority", &self.priority)?;
        run.serialize_field("progress", &self.progress)?;
        run.serialize_field("attempt", &self.attempt)?;
        run.serialize_field("maxAttempts", &self.max_attempts)?;
        run.serialize_field("crashes", &self.crashes)?;
        run.serialize_field("waitingFor", &waiting)?;
        run.serialize_field("runAt", &self.run_at)?;
        run.serialize_field("idempotencyKey", &self.idempotency_key)?;
        run.serialize_field("result", &self.result)?;
        run.serialize_field("outputRef", &self.output_ref)?;
        run.serialize_field("error", &self.error)?;
        run.serialize_field("claimedBy", &self.claimed_by)?;
        run.serialize_field("claimedAt", &self.claimed_at)?;
        run.serialize_field("startedAt", &self.started_at)?;
        run.serialize_field("finishedAt", &self.finished_at)?;
        run.serialize_field("createdAt", &self.created_at)?;
        run.serialize_field("updatedAt", &self.updated_at)?;
        run.serialize_field("dueAt", &self.claimable_at())?;
        run.serialize_field("waiting", &self.waiting)?;
        run.serialize_field("epoch", &self.epoch)?;
        run.serialize_field("tags", &self.tags)?;
        run.serialize_field("expireAt", &self.expire_at)?;
        run.end()
    }
}

/// When a new run is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// At a time.
    At(Timestamp),
    /// A while after it was enqueued. The fingerprint holds the delay as given, so a repeat later is still a repeat.
    After(Duration),
}

/// What is asked when a run is made. Names are as the caller wrote them; [`crate::rules::enqueue`] checks them all at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRun {
    /// The caller's own id for it: the same id and request again is a replay.
    pub id: Option<RunId>,
    /// What it does.
    pub kind: String,
    /// The group it belongs to.
    pub project_id: Option<String>,
    /// What it is made for.
    pub agent_task_id: Option<String>,
    /// What it works on; `{}` when absent.
    pub input: Option<Json>,
    /// 1 to 255 printable characters; the same key and request again is a replay.
    pub idempotency_key: Option<String>,
    /// Executions allowed, 1 to 100; 3 when absent.
    pub max_attempts: Option<u32>,
    /// 0 to 100; 0 when absent.
    pub priority: Option<u32>,
    /// When it is due.
    pub due: Due,
    /// Still unstarted then, it fails.
    pub expire_at: Option<Timestamp>,
    /// Up to 16 short pairs to find it by.
    pub tags: BTreeMap<String, String>,
    /// The allowance of executions its kind declares, used where `max_attempts` is absent. No part of the fingerprint: a
    /// declaration may change between two enqueues of the same request.
    pub declared_max_attempts: Option<u32>,
}

impl NewRun {
    /// A run of `kind` with `input` and nothing else said.
    pub fn new(kind: impl Into<String>, input: Json) -> Self {
        Self { kind: kind.into(), input: Some(input), ..Self::default() }
    }
}

/// Whether an enqueue made the run or found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enqueue {
    /// It is new.
    Created,
    /// The same key, or id, and the same request had made it before.
    Existing,
}

/// An enqueue's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Enqueued {
    /// The run.
    pub run: Run,
    /// New or found.
    pub outcome: Enqueue,
}

/// A change as a store made it: the run after it, and the events it wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The run as it stands now.
    pub run: Run,
    /// What was written to its history; empty when nothing changed.
    pub events: Vec<Event>,
}

/// What a worker asks for when it wants work.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimRequest {
    /// The worker.
    pub worker_id: WorkerId,
    /// The kinds it serves; none means any.
    pub kinds: Option<Vec<Kind>>,
    /// At most so many, 1 to 1,000.
    pub limit: u32,
    /// How long the lease lasts without a heartbeat, 1 s to 1 h.
    pub lease: Duration,
    /// How long to wait for work when there is none, up to 60 s.
    pub wait: Duration,
    /// The claim's own name: the same again gives the same runs.
    pub claim_id: Option<ClaimId>,
}

impl ClaimRequest {
    /// The lease where nothing else is said.
    pub const DEFAULT_LEASE: Duration = Duration::from_secs(30);

    /// Up to `limit` runs of any kind, not waiting for work.
    pub fn new(worker_id: WorkerId, limit: u32) -> Self {
        let (lease, wait) = (Self::DEFAULT_LEASE, Duration::ZERO);
        Self { worker_id, kinds: None, limit, lease, wait, claim_id: None }
    }
}

/// A worker's hold on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// Who holds it.
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// What every report under it must bring. Told here alone; a repeat of the claim tells a new one.
    pub token: LeaseToken,
    /// How long it lasts without a heartbeat: what a worker should count with, on its own clock.
    pub lease_ms: u64,
    /// When it ends by the store's clock; for people.
    pub expires_at: Timestamp,
}

/// What an execution that carries on behind a gate is given.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resume {
    /// The steps of the attempt so far.
    pub steps: Vec<step::Step>,
    /// The gate that was passed.
    pub gate: Gate,
    /// The route of the kept work directory, if one was kept.
    pub workdir: Option<String>,
}

/// A claimed run.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The run.
    pub run: Run,
    /// The hold on it.
    pub lease: Lease,
    /// Only its CLEANUP is wanted: it has ended.
    pub cleanup: bool,
    /// What to carry on from.
    pub resume: Option<Resume>,
}

impl Claimed {
    /// What is said of it under this claim.
    pub fn hold(&self) -> Hold {
        let Lease { worker_id, epoch, token, .. } = self.lease.clone();
        Hold { id: self.run.id, worker_id, epoch, token }
    }
}

/// Which hold a report is made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The run.
    pub id: RunId,
    /// Who holds it.
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token which that claim told.
    pub token: LeaseToken,
}

/// A heartbeat's answer for one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// How long the lease lasts from now.
    pub lease_ms: u64,
    /// The run was called off: stop its process and clean up.
    pub cancel: bool,
    /// The worker should stop claiming and finish what it holds.
    pub drain: bool,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With a result.
    Succeed {
        /// What it came to.
        result: Option<Json>,
        /// Where it lies.
        output_ref: Option<String>,
    },
    /// With an error.
    Fail {
        /// Why; cut at 16 KiB.
        error: String,
        /// Whether another attempt may help.
        retryable: bool,
        /// How long to wait before it, up to 24 h; the default backoff when absent.
        retry_in: Option<Duration>,
    },
    /// Not at all: the run goes back, its attempt with it.
    Release,
}

/// One execution's end.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The run.
    pub id: RunId,
    /// Under which claim.
    pub epoch: u64,
    /// The token which that claim told.
    pub token: LeaseToken,
    /// How it ended.
    pub outcome: Outcome,
}

impl Hold {
    /// The end of an execution that is held so.
    pub fn report(&self, outcome: Outcome) -> Report {
        Report { id: self.id, epoch: self.epoch, token: self.token.clone(), outcome }
    }
}

impl Report {
    /// The hold it is made under by `worker`.
    pub fn hold(&self, worker: &WorkerId) -> Hold {
        Hold { id: self.id, worker_id: worker.clone(), epoch: self.epoch, token: self.token.clone() }
    }
}
