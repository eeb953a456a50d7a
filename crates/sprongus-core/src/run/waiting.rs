//! What a run waits for: the one answer that the command line, the API and the dashboard give.
//!
//! [`reason()`] says which of a run's reasons is told: the first that holds, in the order of [`Reason::ALL`]. [`waiting()`] adds what is
//! known about it. A run that is executed or has ended waits for nothing.

pub mod reason;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::run::Run;
use crate::run::state::State;
use crate::values::ids::{RunId, StepId};
use crate::values::names::{AgentTaskId, Kind, ProjectId, WorkerId};
use crate::values::time::Timestamp;
use crate::workspace::directory::{KindSetting, Worker};

pub use reason::{Reason, Serving, TimeCause, Waiting, Words};

/// The last place in the queue that is counted; what stands behind it has none.
pub const MOST_COUNTED: u64 = 10_000;

/// What has to be known of a workspace to say what its runs wait for.
#[derive(Clone, Debug, Default)]
pub struct WaitContext {
    /// The kinds somebody paused or resumed.
    pub kinds: Vec<KindSetting>,
    /// The workers that live.
    pub workers: Vec<Worker>,
    /// How many runs each worker holds; one that holds none may be absent.
    pub held: BTreeMap<WorkerId, u64>,
}

impl WaitContext {
    /// The setting that pauses the kind of `run`.
    fn pause(&self, run: &Run) -> Option<&KindSetting> {
        self.kinds.iter().find(|setting| setting.paused && setting.kind == run.kind)
    }

    /// How the workers stand that would take `run`.
    pub fn serving(&self, run: &Run) -> Serving {
        let serves = |worker: &&Worker| worker.kinds.as_ref().is_none_or(|kinds| kinds.contains(&run.kind));
        let all: Vec<&Worker> = self.workers.iter().filter(serves).collect();
        let mut claiming = all.iter().filter(|worker| !worker.draining).peekable();
        if all.is_empty() {
            Serving::None
        } else if claiming.peek().is_none() {
            Serving::Draining
        } else if claiming
            .all(|worker| self.held.get(&worker.id).copied() >= Some(u64::from(worker.concurrency)))
        {
            Serving::AllBusy
        } else {
            Serving::Available
        }
    }
}

/// The reason that is told of `run`: the first that holds. None when it is executed or has ended.
pub fn reason(run: &Run, is_kind_paused: bool, now: Timestamp) -> Option<Reason> {
    match run.state {
        State::Queued if run.waiting_for().is_some() => Some(Reason::Gate),
        State::Queued if run.run_at > now => Some(Reason::Time),
        State::Queued if is_kind_paused => Some(Reason::KindPaused),
        State::Queued => Some(Reason::Worker),
        State::Running | State::Succeeded | State::Failed | State::Canceled => None,
    }
}

/// What `run` waits for. The step's name and the place in the queue, which have to be looked up for one run alone, are left out.
pub fn waiting(run: &Run, context: &WaitContext, now: Timestamp) -> Option<Waiting> {
    let pause = context.pause(run);
    let waiting = match reason(run, pause.is_some(), now)? {
        Reason::Gate => {
            let gate = run.waiting_for()?;
            Waiting::Gate { since: run.updated_at, step_id: gate.step_id, step: None, until: gate.until }
        }
        Reason::Time => {
            let cause = if run.error.is_some() { TimeCause::Backoff } else { TimeCause::Delay };
            Waiting::Time { since: run.updated_at, until: run.run_at, cause }
        }
        Reason::KindPaused => {
            let (at, by) =
                pause.map(|pause| (pause.changed_at, pause.changed_by.clone())).unwrap_or_default();
            Waiting::KindPaused { since: at.map_or(run.due_at, |at| at.max(run.due_at)), by, at }
        }
        Reason::Worker => Waiting::Worker { since: run.due_at, workers: context.serving(run), place: None },
    };
    Some(waiting)
}

/// A gate that waits for an approval: a line of the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenGate {
    /// The run that waits.
    pub run_id: RunId,
    /// The kind of that run.
    pub kind: Kind,
    /// The project of that run; none for system runs.
    pub project_id: Option<ProjectId>,
    /// What it was made for.
    pub agent_task_id: Option<AgentTaskId>,
    /// The step to approve.
    pub step_id: StepId,
    /// That step's name, if it was recorded.
    pub step: Option<String>,
    /// Since when it waits.
    pub since: Timestamp,
    /// When it expires and the run fails; none waits for ever.
    pub until: Option<Timestamp>,
}

impl OpenGate {
    /// The gate that `run` waits at; `step` is the name of its step.
    pub fn of(run: &Run, step: Option<String>) -> Option<Self> {
        let gate = run.waiting_for()?;
        Some(Self {
            run_id: run.id,
            kind: run.kind.clone(),
            project_id: run.project_id.clone(),
            agent_task_id: run.agent_task_id.clone(),
            step_id: gate.step_id,
            step,
            since: run.updated_at,
            until: gate.until,
        })
    }
}
