//! The nouns of a run: the run itself, its lease, what is asked when one is made, and what is answered.

pub mod artifact;
mod claim;
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
pub mod view;
pub mod waiting;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::json::Json;
use crate::run::event::Event;
use crate::run::lease::LeaseHash;
use crate::run::state::State;
use crate::run::view::RunView;
use crate::schedule::Scheduled;
use crate::values::ids::{RunId, StepId};
use crate::values::names::{AgentTaskId, BlockedOn, Kind, ProjectId, WorkerId, WorkspaceId};
use crate::values::time::Timestamp;

pub use claim::{Beat, ClaimRequest, Claimed, Hold, Lease, Outcome, Report, Resume};

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
    /// The run goes on behind the gate.
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
    /// The actor who answered.
    pub by: Option<String>,
    /// What was said with it.
    pub comment: Option<String>,
    /// Whether a claim has carried the run on since.
    pub resumed: bool,
}

/// One durable piece of background work, as stores hold it and rules change it. Callers see a [`RunView`] of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// A ULID: 26 characters.
    pub id: RunId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// The group it belongs to; none for system runs.
    pub project_id: Option<ProjectId>,
    /// What it was made for.
    pub agent_task_id: Option<AgentTaskId>,
    /// What it does, such as `script.pull`; decides which worker executes it, and how.
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
    /// Leases lost while it was running; with the third it is given up.
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
    /// The schedule that made it.
    pub scheduled: Option<Scheduled>,
    /// `seq` of its latest event.
    pub last_seq: u64,
    /// When the first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it succeeded, failed for good or was canceled.
    pub finished_at: Option<Timestamp>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it last changed; a heartbeat is no change.
    pub updated_at: Timestamp,
}

impl Run {
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

/// When a new run is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Due {
    /// Now: at the time at which the store makes it.
    #[default]
    Now,
    /// At this time; a time that is past means now.
    At(Timestamp),
    /// A while after it was enqueued. The fingerprint holds the delay as given, so a repeat later is still a repeat.
    After(Duration),
}

/// What is asked when a run is made. Names are as the caller wrote them; [`crate::rules::enqueue`] checks them all at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRun {
    /// The caller's own id for it: the same id and request again is a replay.
    pub id: Option<RunId>,
    /// The kind, 1 to 128 characters.
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
    /// No run had the key or the id.
    Created,
    /// The same key, or id, and the same request had made it before.
    Existing,
}

/// An enqueue's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Enqueued {
    /// The run as it stands, new or not.
    pub run: RunView,
    /// Whether it was made now or before.
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
