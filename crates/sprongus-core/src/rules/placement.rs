//! Where a run stands in a store's two indexes: the runs that can be claimed, and the runs that time will change.

use super::claim::owes_cleanup;
use crate::run::Run;
use crate::run::state::State;
use crate::values::names::BlockedOn;
use crate::values::time::Timestamp;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement<'a> {
    /// It can be claimed.
    Ready {
        /// When it expires, if nobody starts it before.
        until: Option<Timestamp>,
    },
    /// It cannot, and time changes it then: a delay or a backoff ends, or a gate, a lease or the run itself expires.
    At(Timestamp),
    /// It is queued and cannot be claimed, until a rule says otherwise.
    Blocked {
        /// What it waits for.
        on: &'a BlockedOn,
        /// When it expires, if nobody starts it before.
        until: Option<Timestamp>,
    },
    /// Only somebody's word changes it: it has ended, or waits at a gate without an end.
    None,
}

impl<'a> Placement<'a> {
    /// The place of `run` at `now`.
    pub fn of(run: &'a Run, now: Timestamp) -> Self {
        match run.state {
            State::Queued => Self::of_queued(run, now),
            State::Running => Self::at(run.lease_expires_at),
            State::Failed | State::Canceled if owes_cleanup(run) => Self::Ready { until: None },
            State::Failed | State::Canceled => Self::at(run.lease_expires_at),
            State::Succeeded => Self::None,
        }
    }

    fn of_queued(run: &'a Run, now: Timestamp) -> Self {
        let until = run.expire_at.filter(|_| run.started_at.is_none());
        match (run.waiting_for(), &run.blocked_on) {
            (Some(gate), _) => Self::at(gate.until),
            (None, Some(on)) => Self::Blocked { on, until },
            (None, None) if run.run_at <= now => Self::Ready { until },
            (None, None) => Self::At(until.map_or(run.run_at, |until| until.min(run.run_at))),
        }
    }

    fn at(time: Option<Timestamp>) -> Self {
        time.map_or(Self::None, Self::At)
    }

    /// Whether it is among those that can be claimed.
    pub const fn is_ready(self) -> bool {
        match self {
            Self::Ready { .. } => true,
            Self::At(_) | Self::Blocked { .. } | Self::None => false,
        }
    }

    /// When to look at it again, if time changes it.
    pub const fn timer(self) -> Option<Timestamp> {
        match self {
            Self::Ready { until } | Self::Blocked { until, .. } => until,
            Self::At(time) => Some(time),
            Self::None => None,
        }
    }
}
