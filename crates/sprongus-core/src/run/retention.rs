//! How long ended runs are kept, in all and by kind, and what letting go of them took. When it is done, and in what batches, is a
//! store's and the housekeeping's; whether the clock may be believed by which they go, `service/clock.rs` says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::run::state::State;
use crate::values::names::Kind;
use crate::values::time::Timestamp;

/// How long ended runs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Those that succeeded: 30 days.
    pub succeeded: Duration,
    /// Those that failed or were canceled: 90 days.
    pub failed: Duration,
    /// Limits of their own for some kinds: none.
    pub kinds: BTreeMap<Kind, KindRetention>,
}

/// How long the ended runs of one kind are kept; what is left out is as for all kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindRetention {
    /// Those that succeeded.
    pub succeeded: Option<Duration>,
    /// Those that failed or were canceled.
    pub failed: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3_600);
        Self::new(DAY * 30, DAY * 90)
    }
}

impl Retention {
    /// The same for all kinds.
    pub fn new(succeeded: Duration, failed: Duration) -> Self {
        Self { succeeded, failed, kinds: BTreeMap::new() }
    }

    /// The instant before which a run of a kind without limits of its own goes if it ended in `state`; none while it is live.
    pub fn cutoff(&self, state: State, now: Timestamp) -> Option<Timestamp> {
        match state {
            State::Queued | State::Running => None,
            State::Succeeded => Some(now.minus(self.succeeded)),
            State::Failed | State::Canceled => Some(now.minus(self.failed)),
        }
    }

    /// The like for the kinds that have a limit of their own for `state`.
    pub fn own_cutoffs(&self, state: State, now: Timestamp) -> BTreeMap<&str, Timestamp> {
        let own = self.kinds.iter().filter_map(|(kind, own)| {
            let kept = match state {
                State::Queued | State::Running => None,
                State::Succeeded => own.succeeded,
                State::Failed | State::Canceled => own.failed,
            };
            Some((kind.as_str(), now.minus(kept?)))
        });
        own.collect()
    }

    /// The instant before which a run of `kind` goes if it ended in `state`; none while it is live.
    pub fn cutoff_of(&self, kind: &Kind, state: State, now: Timestamp) -> Option<Timestamp> {
        let own = self.own_cutoffs(state, now).get(kind.as_str()).copied();
        own.or_else(|| self.cutoff(state, now))
    }
}

/// How retention is applied when somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneMode {
    /// Counts, and takes nothing.
    DryRun,
    /// Takes, unless [`clock_gap`](crate::service::clock::clock_gap) finds a reason to doubt the clock.
    Checked,
    /// Takes: somebody has looked at the clock.
    Confirmed,
}

/// What retention took, or would take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Runs by the state they ended in.
    pub runs: BTreeMap<State, u64>,
    /// The same, kind by kind.
    pub kinds: BTreeMap<String, BTreeMap<State, u64>>,
}

impl Pruned {
    /// Counts `runs` more; none leave no trace.
    pub fn add(&mut self, kind: &str, state: State, runs: u64) {
        if runs > 0 {
            *self.runs.entry(state).or_default() += runs;
            *self.kinds.entry(kind.to_owned()).or_default().entry(state).or_default() += runs;
        }
    }

    /// Counts what another batch took.
    pub fn add_all(&mut self, other: &Self) {
        for (kind, states) in &other.kinds {
            states.iter().for_each(|(state, runs)| self.add(kind, *state, *runs));
        }
    }

    /// How many runs there were.
    pub fn total(&self) -> u64 {
        self.runs.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_its_own_limit_where_it_names_one() {
        let at = Timestamp::from_millis;
        let minute = Duration::from_secs(60);
        let own = KindRetention { succeeded: Some(minute), failed: None };
        let kinds = BTreeMap::from([("note".parse().unwrap(), own)]);
        let retention = Retention { kinds, ..Retention::new(minute * 2, minute * 3) };
        let cutoff = |kind: &str, state| retention.cutoff_of(&kind.parse().unwrap(), state, at(300_000));
        assert_eq!(cutoff("note", State::Succeeded), Some(at(240_000)));
        assert_eq!(cutoff("mail", State::Succeeded), Some(at(180_000)));
        assert_eq!(cutoff("note", State::Canceled), Some(at(120_000)));
        assert_eq!(cutoff("note", State::Queued), None);
        assert_eq!(retention.own_cutoffs(State::Failed, at(0)), BTreeMap::new());
    }
}
