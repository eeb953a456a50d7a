//! Where a run stands in a store's two indexes: the runs that can be claimed, and the runs that time will change.

use super::claim::owes_cleanup;
use crate::run::Run;
use crate::state::State;
use crate::time::Timestamp;

/// A run's place in the claim index and in the timer index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// It can be claimed now.
    pub ready: bool,
    /// Look at it again then.
    pub timer_at: Option<Timestamp>,
}

/// The places of `run` at `now`.
pub fn schedule(run: &Run, now: Timestamp) -> Schedule {
    match run.state {
        State::Queued => {
            let expire_at = run.expire_at.filter(|_| run.started_at.is_none());
            match run.waiting_for() {
                Some(gate) => Schedule { ready: false, timer_at: gate.until },
                None if run.run_at <= now => Schedule { ready: true, timer_at: expire_at },
                None => {
                    let due = Some(run.run_at);
                    Schedule { ready: false, timer_at: expire_at.min(due).or(due) }
                }
            }
        }
        State::Running => Schedule { ready: false, timer_at: run.lease_expires_at },
        State::Failed | State::Canceled => {
            Schedule { ready: owes_cleanup(run), timer_at: run.lease_expires_at }
        }
        State::Succeeded => Schedule { ready: false, timer_at: None },
    }
}
