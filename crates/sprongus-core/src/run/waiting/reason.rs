//! The reasons why a run waits, as values and in words.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use crate::error::Error;
use crate::values::ids::StepId;
use crate::values::text::excerpt;
use crate::values::time::Timestamp;

/// Why a queued run is not executed, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A person has to approve or reject.
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
    /// A person has to approve or reject.
    Gate {
        /// Since when it waits there.
        since: Timestamp,
        /// The step that waits.
        step_id: StepId,
        /// That step's name, where it was recorded and looked up; lists do not look it up.
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
    /// A worker has to claim it.
    Worker {
        /// Since when it is due.
        since: Timestamp,
        /// How those that would take it stand.
        workers: Serving,
        /// Its place among the due runs of its kind, 1 being the next; none in lists, and behind [`MOST_COUNTED`](super::MOST_COUNTED).
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
    /// The time that [`Words::label`] is about.
    pub time: Timestamp,
    /// Whether it goes on waiting until somebody does something.
    pub is_amiss: bool,
}

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
            Self::Gate { since, step, until, .. } => {
                let of = step.as_deref().map(|name| format!(" of {}", excerpt(name, 64))).unwrap_or_default();
                let (label, time) = until.map_or(("since", *since), |until| ("expires", until));
                (format!("approval{of}"), label, time, true)
            }
            Self::Time { until, cause, .. } => {
                let text = match cause {
                    TimeCause::Delay => "its scheduled time",
                    TimeCause::Backoff => "its next attempt, after a failure",
                };
                (text.to_owned(), "due", *until, false)
            }
            Self::KindPaused { since, by, at } => {
                let by = by.as_deref().map(|by| format!(" by {}", excerpt(by, 40))).unwrap_or_default();
                let (label, time) = at.map_or(("due", *since), |at| ("paused", at));
                (format!("its kind, paused{by}"), label, time, true)
            }
            Self::Worker { since, workers, place } => {
                let text = match workers {
                    Serving::None => "a worker: no worker serves its kind",
                    Serving::Draining => "a worker: all that serve its kind are draining",
                    Serving::AllBusy => "a worker: all that serve its kind are busy",
                    Serving::Available => "a worker",
                };
                let place = place.map(|place| format!(", number {place} in the queue")).unwrap_or_default();
                let is_amiss = matches!(workers, Serving::None | Serving::Draining);
                (format!("{text}{place}"), "due", *since, is_amiss)
            }
        };
        Words { text, label, time, is_amiss }
    }

    /// When it began to wait for this.
    pub fn since(&self) -> Timestamp {
        match self {
            Self::Gate { since, .. }
            | Self::Time { since, .. }
            | Self::KindPaused { since, .. }
            | Self::Worker { since, .. } => *since,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::ids::RunId;

    #[test]
    fn an_approval_is_of_a_step_whose_name_is_known() {
        let (since, step_id) = (Timestamp::from_millis(0), StepId::of(RunId::from_bits(1), 1, 0));
        let text = |step: Option<&str>| {
            let step = step.map(str::to_owned);
            Waiting::Gate { since, step_id, step, until: None }.words().text
        };
        assert_eq!(text(Some("sign-off")), "approval of sign-off");
        assert_eq!(text(None), "approval");
    }
}
