//! What callers of [`crate::Runs`] see of a run. What only stores and rules need, such as the fingerprint and how the CLEANUP stands, is
//! not in it, so a client that reads it from another machine has all of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::json::Json;
use crate::run::event::Event;
use crate::run::follow::{News, ReadSoFar};
use crate::run::state::State;
use crate::run::step::NumberedLine;
use crate::run::waiting::reason::Waiting;
use crate::run::{Claimed, Gate, Hold, Lease, Resume, Run};
use crate::values::ids::{RunId, StepId};
use crate::values::names::{AgentTaskId, Kind, ProjectId, ScheduleId, WorkerId, WorkspaceId};
use crate::values::time::Timestamp;

/// A run as callers see it. As JSON: the contract's fields in the contract's order, absent values as `null`; behind them, from
/// `dueAt` on, what it does not list.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// A ULID: 26 characters.
    pub id: RunId,
    /// The workspace that owns it.
    pub workspace_id: WorkspaceId,
    /// The group it belongs to; none for system runs.
    pub project_id: Option<ProjectId>,
    /// What it was made for.
    pub agent_task_id: Option<AgentTaskId>,
    /// What it does, such as `script.pull`.
    pub kind: Kind,
    /// What it works on; `null` to callers who may not read runs.
    pub input: Json,
    /// One of the five states.
    pub state: State,
    /// 0 to 100; higher is claimed first.
    pub priority: u8,
    /// Percent done, 0 to 100, as last reported.
    pub progress: u8,
    /// Attempts started.
    pub attempt: u32,
    /// Attempts allowed.
    pub max_attempts: u32,
    /// Leases lost while it was running.
    pub crashes: u32,
    /// The gate it waits at now.
    pub waiting_for: Option<WaitingFor>,
    /// Not claimed before this.
    pub run_at: Timestamp,
    /// What makes a repeated enqueue give this run.
    pub idempotency_key: Option<String>,
    /// What it came to; none to callers who may not read runs.
    pub result: Option<Json>,
    /// Where its output lies; none to callers who may not read runs.
    pub output_ref: Option<String>,
    /// Why the last attempt failed; none to callers who may not read runs.
    pub error: Option<String>,
    /// Who holds it, or held it when it ended.
    pub claimed_by: Option<WorkerId>,
    /// When the present or last holder claimed it.
    pub claimed_at: Option<Timestamp>,
    /// When the first attempt started.
    pub started_at: Option<Timestamp>,
    /// When it succeeded, failed for good or was canceled.
    pub finished_at: Option<Timestamp>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it last changed; a heartbeat is no change.
    pub updated_at: Timestamp,
    /// Since when it could be claimed, or from when on it can; none while it waits at a gate.
    pub due_at: Option<Timestamp>,
    /// What it waits for ([`crate::run::waiting`]). Told by [`crate::Runs::get`] and [`crate::Runs::list`], none in other answers.
    pub waiting: Option<Waiting>,
    /// Counts the claims; never lowered.
    pub epoch: u64,
    /// Short pairs to find it by.
    pub tags: BTreeMap<String, String>,
    /// Still unstarted then, it fails.
    pub expire_at: Option<Timestamp>,
    /// When the lease on it ends, by the store's clock; none while nobody holds it. It may be past: until a claim or a server has moved
    /// the run on.
    pub lease_expires_at: Option<Timestamp>,
    /// The schedule that made it; it may be deleted since.
    pub schedule_id: Option<ScheduleId>,
    /// The tick of the schedule; none for a run that somebody triggered.
    pub scheduled_for: Option<Timestamp>,
    /// The revision of the schedule that made it.
    pub schedule_revision: Option<u32>,
}

/// The gate a run waits at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingFor {
    /// The step that waits for an approval.
    pub step_id: StepId,
    /// When waiting ends and the run fails; none waits for ever.
    pub until: Option<Timestamp>,
}

impl From<&Gate> for WaitingFor {
    fn from(gate: &Gate) -> Self {
        Self { step_id: gate.step_id, until: gate.until }
    }
}

impl RunView {
    /// `run` as callers see it, with what it waits for where that was looked up.
    pub fn new(run: Run, waiting: Option<Waiting>) -> Self {
        let (waiting_for, due_at) = (run.waiting_for().map(WaitingFor::from), run.claimable_at());
        let scheduled = run.scheduled.map(|by| (by.schedule_id, by.scheduled_for, by.revision));
        Self {
            id: run.id,
            workspace_id: run.workspace_id,
            project_id: run.project_id,
            agent_task_id: run.agent_task_id,
            kind: run.kind,
            input: run.input,
            state: run.state,
            priority: run.priority,
            progress: run.progress,
            attempt: run.attempt,
            max_attempts: run.max_attempts,
            crashes: run.crashes,
            waiting_for,
            run_at: run.run_at,
            idempotency_key: run.idempotency_key,
            result: run.result,
            output_ref: run.output_ref,
            error: run.error,
            claimed_by: run.claimed_by,
            claimed_at: run.claimed_at,
            started_at: run.started_at,
            finished_at: run.finished_at,
            created_at: run.created_at,
            updated_at: run.updated_at,
            due_at,
            waiting,
            epoch: run.epoch,
            tags: run.tags,
            expire_at: run.expire_at,
            lease_expires_at: run.lease_expires_at,
            scheduled_for: scheduled.as_ref().and_then(|(_, tick, _)| *tick),
            schedule_revision: scheduled.as_ref().map(|(.., revision)| *revision),
            schedule_id: scheduled.map(|(id, ..)| id),
        }
    }

    /// Whether it is queued, due, and waits at no gate.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == State::Queued && self.waiting_for.is_none() && self.run_at <= now
    }

    /// Leaves out what only those see who may read runs: what it works on, and what came of it.
    pub fn hide_content(&mut self) {
        self.input = Json::null();
        (self.result, self.output_ref, self.error) = (None, None, None);
    }
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self::new(run, None)
    }
}

/// A claimed run as its worker sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimedView {
    /// The run; flat in JSON.
    #[serde(flatten)]
    pub run: RunView,
    /// The hold on it.
    pub lease: Lease,
    /// Only its CLEANUP is wanted: it has ended.
    pub cleanup: bool,
    /// What to carry on from, behind a gate.
    pub resume: Option<Resume>,
    /// The trace of whoever enqueued it (W3C `traceparent`).
    pub traceparent: Option<String>,
}

impl ClaimedView {
    /// The hold that reports under this claim are made with.
    pub fn hold(&self) -> Hold {
        self.lease.hold(self.run.id)
    }
}

impl From<Claimed> for ClaimedView {
    fn from(claimed: Claimed) -> Self {
        let Claimed { mut run, lease, cleanup, resume } = claimed;
        let traceparent = run.traceparent.take();
        Self { run: run.into(), lease, cleanup, resume, traceparent }
    }
}

/// What is new of a run, as those see it who follow it. At most 1,000 events and 1,000 lines at once; ask again while there is something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewsView {
    /// The run as it stands.
    pub run: RunView,
    /// Events after those seen.
    pub events: Vec<Event>,
    /// Log lines after those seen.
    pub lines: Vec<NumberedLine>,
    /// How far one has read with these.
    pub read: ReadSoFar,
}

impl From<News> for NewsView {
    fn from(news: News) -> Self {
        let News { run, events, lines, read } = news;
        Self { run: run.into(), events, lines, read }
    }
}
