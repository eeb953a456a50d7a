//! What a run waits for: the one answer that the command line, the API and the dashboard give.
//!
//! [`reason`] says which of a run's reasons is told: the first that holds, in the order of [`Reason::ALL`]. [`waiting`] adds what is
//! known about it. A run that is executed or has ended waits for nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::directory::{KindSetting, Worker};
use crate::error::Error;
use crate::ids::{RunId, StepId};
use crate::names::{AgentTaskId, Kind, ProjectId, WorkerId};
use crate::run::Run;
use crate::state::State;
use crate::text::excerpt;
use crate::time::Timestamp;

/// Why a queued run is not executed, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// An approval.
    Gate,
    /// A delay or a backoff.
    Time,
    /// Somebody paused its kind.
    KindPaused,
    /// A worker that takes it.
    Worker,
}

impl Reason {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Gate, Self::Time, Self::KindPaused, Self::Worker];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Time => "time",
            Self::KindPaused => "kind_paused",
            Self::Worker => "worker",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            Error::validation(format!("unknown reason to wait: {}", excerpt(text, 64)))
                .with_hint(format!("use one of: {words}"))
        })
    }
}

/// Why a run is not due yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeCause {
    /// It was enqueued for later.
    Delay,
    /// Its last attempt failed.
    Backoff,
}

/// How the workers stand that would take a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// None serves its kind.
    None,
    /// Those that serve its kind were told to stop claiming.
    Draining,
    /// All hold as many runs as they execute at once.
    AllBusy,
    /// One has room: it is about to take what is first in the queue.
    Available,
}

/// What a run waits for, since when, and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// An approval.
    Gate {
        /// Since when it waits there.
        since: Timestamp,
        /// The step that waits.
        step_id: StepId,
        /// That step's name, where it was recorded and looked up.
        step: Option<String>,
        /// When the gate expires and the run fails; none waits for ever.
        until: Option<Timestamp>,
    },
    /// A delay or a backoff.
    Time {
        /// When it was put off.
        since: Timestamp,
        /// When it is due.
        until: Timestamp,
        /// Which of the two.
        cause: TimeCause,
    },
    /// Somebody paused its kind.
    KindPaused {
        /// Since when it is due and its kind paused, both.
        since: Timestamp,
        /// Who paused it; unknown of what was paused before schema 11.
        by: Option<String>,
        /// When; likewise.
        at: Option<Timestamp>,
    },
    /// A worker.
    Worker {
        /// Since when it is due.
        since: Timestamp,
        /// How those that would take it stand.
        workers: Serving,
        /// Its place among the due runs of its kind, 1 being the next; none in lists, and behind [`MOST_COUNTED`].
        place: Option<u64>,
    },
}

/// [`Waiting`] as it is written: every field, those of other reasons as `null`.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    reason: &'a str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    cause: Option<TimeCause>,
    step_id: Option<StepId>,
    step: Option<&'a str>,
    by: Option<&'a str>,
    at: Option<Timestamp>,
    workers: Option<Serving>,
    place: Option<u64>,
}

impl Serialize for Waiting {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let common =
            Written { reason: self.reason().as_str(), since: Some(self.since()), ..Written::default() };
        let written = match self {
            Self::Gate { step_id, step, until, .. } => {
                Written { step_id: Some(*step_id), step: step.as_deref(), until: *until, ..common }
            }
            Self::Time { until, cause, .. } => Written { until: Some(*until), cause: Some(*cause), ..common },
            Self::KindPaused { by, at, .. } => Written { by: by.as_deref(), at: *at, ..common },
            Self::Worker { workers, place, .. } => {
                Written { workers: Some(*workers), place: *place, ..common }
            }
        };
        written.serialize(out)
    }
}

/// What a run waits for, in words: "waits for TEXT, LABEL TIME".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What it waits for.
    pub text: String,
    /// What the time is.
    pub label: &'static str,
    /// A time.
    pub time: Timestamp,
    /// Whether it goes on waiting until somebody does something.
    pub is_amiss: bool,
}

/// The last place in the queue that is counted; what stands behind it has none.
pub const MOST_COUNTED: u64 = 10_000;

impl Waiting {
    /// The reason in a word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Gate { .. } => Reason::Gate,
            Self::Time { .. } => Reason::Time,
            Self::KindPaused { .. } => Reason::KindPaused,
            Self::Worker { .. } => Reason::Worker,
        }
    }

    /// In words for people: "waits for" goes before them, and a time behind them.
    pub fn words(&self) -> Words {
        let (text, label, time, is_amiss) = match self {
            Self::Gate { since, step_id, step, until } => {
                let name = step.as_deref().map_or_else(|| step_id.to_string(), |name| excerpt(name, 64));
                let (label, time) = until.map_or(("since", *since), |until| ("expires", until));
                (format!("approval of {name}"), label, time, true)
            }
            Self::Time { until, cause, .. } => {
                let text = match cause {
                    TimeCause::Delay => "its scheduled time",
                    TimeCause::Backoff => "its next attempt, as the last one failed",
                };
                (text.to_owned(), "due", *until, false)
            }
            Self::KindPaused { since, by, at } => {
                let by = by.as_deref().map(|by| format!(" by {}", excerpt(by, 40))).unwrap_or_default();
                let (label, time) = at.map_or(("due", *since), |at| ("paused", at));
                (format!("its kind, which was paused{by}"), label, time, true)
            }
            Self::Worker { since, workers, place } => {
                let text = match workers {
                    Serving::None => "a worker: none serves its kind",
                    Serving::Draining => "a worker: those that serve its kind are draining",
                    Serving::AllBusy => "a worker: those that serve its kind are busy",
                    Serving::Available => "a worker",
                };
                let place = place.map(|place| format!(", number {place} in the queue")).unwrap_or_default();
                let is_amiss = matches!(workers, Serving::None | Serving::Draining);
                (format!("{text}{place}"), "due", *since, is_amiss)
            }
        };
        Words { text, label, time, is_amiss }
    }

    /// Since when.
    pub fn since(&self) -> Timestamp {
        match self {
            Self::Gate { since, .. }
            | Self::Time { since, .. }
            | Self::KindPaused { since, .. }
            | Self::Worker { since, .. } => *since,
        }
    }
}

/// What has to be known of a workspace to say what its runs wait for.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The kinds somebody paused or resumed.
    pub kinds: Vec<KindSetting>,
    /// The workers that live.
    pub workers: Vec<Worker>,
    /// How many runs each worker holds; one that holds none may be absent.
    pub held: BTreeMap<WorkerId, u64>,
}

impl Around {
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
pub fn waiting(run: &Run, around: &Around, now: Timestamp) -> Option<Waiting> {
    let pause = around.pause(run);
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
        Reason::Worker => Waiting::Worker { since: run.due_at, workers: around.serving(run), place: None },
    };
    Some(waiting)
}

/// A gate that waits for an approval: a line of the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenGate {
    /// The run that waits.
    pub run_id: RunId,
    /// What it does.
    pub kind: Kind,
    /// Its project.
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
