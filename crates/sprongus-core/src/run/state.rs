//! The states of a run and the one table of what each verb may do in each of them. Read this page first.
//!
//! The table says *whether*; the rules in [`crate::rules`] say *what then*. Every rule asks [`permit`] before it looks at
//! anything else, and the conformance suite holds both stores to every cell.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};
use crate::values::text::excerpt;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting to be claimed: due, delayed, backing off, or held by a gate. Leaves by claim, cancel, a rejected gate or its
    /// `expireAt`.
    Queued,
    /// Held by one worker under a lease. Leaves by succeed, fail, release, wait, cancel, or when the lease runs out.
    Running,
    /// Done, with a result. Leaves never.
    Succeeded,
    /// Given up: attempts used up, refused for good, crashed too often, rejected or expired. Leaves by retry.
    Failed,
    /// Called off. Leaves by retry.
    Canceled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The state's name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the run has ended, a retry aside.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Canceled => true,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            Error::validation(format!("not a state: {}", excerpt(text, 64)))
                .with_hint("use queued, running, succeeded, failed or canceled; `--waiting gate` lists runs that wait at a gate")
        })
    }
}

/// What can be done to a run that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// A worker takes the run.
    Claim,
    /// The worker lives, and holds it.
    Heartbeat,
    /// The worker tells how far it is.
    Progress,
    /// The worker records steps, log lines or artifacts.
    Record,
    /// The attempt is over and has a result.
    Succeed,
    /// The attempt is over and has an error.
    Fail,
    /// The worker gives the run back untouched.
    Release,
    /// The run waits for a person at a gate.
    Wait,
    /// A person lets it pass.
    Approve,
    /// A person does not.
    Reject,
    /// A person calls it off.
    Cancel,
    /// A person wants it again.
    Retry,
    /// Its CLEANUP is done and its process gone.
    Cleaned,
    /// The lease ran out.
    LoseLease,
    /// It was not started before its `expireAt`, or nobody answered its gate in time.
    Expire,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 15] = [
        Self::Claim,
        Self::Heartbeat,
        Self::Progress,
        Self::Record,
        Self::Succeed,
        Self::Fail,
        Self::Release,
        Self::Wait,
        Self::Approve,
        Self::Reject,
        Self::Cancel,
        Self::Retry,
        Self::Cleaned,
        Self::LoseLease,
        Self::Expire,
    ];

    /// The verb's name, as errors and documents use it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Heartbeat => "heartbeat",
            Self::Progress => "progress",
            Self::Record => "step, log, artifact",
            Self::Succeed => "succeed",
            Self::Fail => "fail",
            Self::Release => "release",
            Self::Wait => "wait",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Cleaned => "cleaned",
            Self::LoseLease => "lease expiry",
            Self::Expire => "expiry",
        }
    }
}

/// What the table says of a verb in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// It may, and leads to one of these.
    To(&'static [State]),
    /// It may while the caller holds the live lease, and leads to one of these.
    Holding(&'static [State]),
    /// It may while the caller holds the closing lease; the state stays.
    Closing,
    /// It changes nothing: the run already is what the verb would make it.
    Already,
    /// Only the same report again, by the epoch that made it, is answered as it was then; anything else is refused.
    Repeat(ErrorCode),
    /// It is refused with this code.
    Refused(ErrorCode),
}

/// The one table: State × Verb. A new state or verb does not compile until each of its cells is filled.
#[rustfmt::skip]
pub const fn permit(state: State, verb: Verb) -> Permit {
    use ErrorCode::{IllegalTransition, LeaseLost};
    use Permit::{Already, Closing, Holding, Refused, Repeat, To};
    use State::{Canceled, Failed, Queued, Running, Succeeded};
    match (verb, state) {
        (Verb::Claim, Queued) => To(&[Running]),
        // Handed out once more when a CLEANUP is owed and nobody holds the run: the state stays.
        (Verb::Claim, Failed) => To(&[Failed]),
        (Verb::Claim, Canceled) => To(&[Canceled]),
        (Verb::Claim, Running | Succeeded) => Refused(IllegalTransition),

        (Verb::Heartbeat, Running) => Holding(&[Running]),
        (Verb::Heartbeat, Failed | Canceled) => Closing,
        (Verb::Heartbeat, Queued | Succeeded) => Refused(LeaseLost),

        (Verb::Progress, Running) => Holding(&[Running]),
        (Verb::Progress, Queued | Succeeded | Failed | Canceled) => Refused(LeaseLost),

        (Verb::Record, Running) => Holding(&[Running]),
        (Verb::Record, Failed | Canceled) => Closing,
        (Verb::Record, Queued | Succeeded) => Refused(LeaseLost),

        (Verb::Succeed, Running) => Holding(&[Succeeded]),
        (Verb::Succeed, Succeeded) => Repeat(LeaseLost),
        (Verb::Succeed, Queued | Failed | Canceled) => Refused(LeaseLost),

        (Verb::Fail, Running) => Holding(&[Queued, Failed]),
        (Verb::Fail, Queued | Failed) => Repeat(LeaseLost),
        (Verb::Fail, Succeeded | Canceled) => Refused(LeaseLost),

        (Verb::Release, Running) => Holding(&[Queued]),
        (Verb::Release, Queued) => Repeat(LeaseLost),
        (Verb::Release, Succeeded | Failed | Canceled) => Refused(LeaseLost),

        (Verb::Wait, Running) => Holding(&[Queued]),
        (Verb::Wait, Queued) => Repeat(LeaseLost),
        (Verb::Wait, Succeeded | Failed | Canceled) => Refused(LeaseLost),

        (Verb::Approve, Queued) => To(&[Queued]),
        (Verb::Approve, Running | Succeeded | Failed | Canceled) => Repeat(IllegalTransition),

        (Verb::Reject, Queued) => To(&[Failed]),
        (Verb::Reject, Running | Succeeded | Failed | Canceled) => Repeat(IllegalTransition),

        (Verb::Cancel, Queued | Running) => To(&[Canceled]),
        (Verb::Cancel, Canceled) => Already,
        (Verb::Cancel, Succeeded | Failed) => Refused(IllegalTransition),

        (Verb::Retry, Failed | Canceled) => To(&[Queued]),
        // With the epoch named, a retry whose answer was lost is told from a second wish.
        (Verb::Retry, Queued) => Repeat(IllegalTransition),
        (Verb::Retry, Running | Succeeded) => Refused(IllegalTransition),

        (Verb::Cleaned, Failed | Canceled) => Closing,
        (Verb::Cleaned, Queued | Running | Succeeded) => Refused(LeaseLost),

        (Verb::LoseLease, Running) => To(&[Queued, Failed]),
        // A closing lease that runs out leaves the state alone.
        (Verb::LoseLease, Failed) => To(&[Failed]),
        (Verb::LoseLease, Canceled) => To(&[Canceled]),
        (Verb::LoseLease, Queued | Succeeded) => Refused(IllegalTransition),

        (Verb::Expire, Queued) => To(&[Failed]),
        (Verb::Expire, Running | Succeeded | Failed | Canceled) => Refused(IllegalTransition),
    }
}

/// The states a verb may be used in, for the error that refuses it elsewhere.
pub fn states_for(verb: Verb) -> Vec<State> {
    State::ALL
        .into_iter()
        .filter(|&state| matches!(permit(state, verb), Permit::To(_) | Permit::Holding(_) | Permit::Closing))
        .collect()
}

/// The error that names both: the state the run is in, and those the verb needs.
pub fn refusal(code: ErrorCode, verb: Verb, state: State) -> Error {
    let needed = states_for(verb).iter().map(|state| state.as_str()).collect::<Vec<_>>().join(" or ");
    let verb = verb.as_str();
    Error::new(code, format!("cannot {verb}: the run is {state}, not {needed}"))
}

#[cfg(test)]
mod tests;
