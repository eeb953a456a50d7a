//! The rules: what each verb makes of a run, as pure functions in the order they happen to one.
//!
//! A rule is given the run, the request, the present and who acts; it answers with a [`WriteSet`] (whole next runs, with their
//! events), or refuses. It reads no clock, touches no store and knows no transaction. A store may carry a rule's guard
//! in its SQL for speed; the conformance suite then holds that statement to the rule.

pub mod artifact;
pub mod backoff;
pub mod claim;
pub mod dispatch;
pub mod enqueue;
pub mod expire;
pub mod finish;
pub mod heartbeat;
pub mod order;
pub mod placement;
pub mod record;
pub mod schedule;
mod write_set;

use std::time::Duration;

use crate::error::{Error, ErrorCode, Result};
use crate::run::state::{Permit, State, Verb, permit, refusal};
use crate::run::{Hold, Run};
use crate::values::names::WorkerId;
use crate::values::time::Timestamp;

pub use write_set::{Transition, WriteSet};

/// The actor of what nobody asked for: a lease that ran out, a run that expired.
pub const SYSTEM: &str = "system";

/// How long an ended run may be held for its CLEANUP.
pub const CLOSING_LEASE: Duration = Duration::from_secs(600);

/// Lost leases after which a run is given up, whatever its attempts: it may be what kills its workers.
pub const MAX_CRASHES: u32 = 3;

/// When a verb is used, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// The present, by the store's clock.
    pub now: Timestamp,
    /// Who acts: a user, `token NAME` or [`SYSTEM`].
    pub actor: &'a str,
}

/// How a caller stands to a run it reports on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseCheck {
    /// It holds the live lease.
    Holds,
    /// It holds the closing lease of a run that has ended.
    Closes,
    /// It let go of the run, and nobody has claimed it since: perhaps this is that report again.
    LetGo,
}

/// The fence. Every report passes here: the table first, then epoch, lease token, worker and expiry. The token is what proves the
/// hold: whoever may look at a run knows the rest. Expiry counts even when nobody has claimed the run since; what is late is refused.
fn check_lease(run: &Run, hold: &Hold, verb: Verb, now: Timestamp) -> Result<LeaseCheck> {
    let proven = run.epoch == hold.epoch && run.lease_hash.is_some_and(|hash| hash == hold.token.hash());
    let live = proven && claim_holds(run, &hold.worker_id, hold.epoch, now);
    match permit(run.state, verb) {
        Permit::Holding(_) if live => Ok(LeaseCheck::Holds),
        Permit::Closing if live => Ok(LeaseCheck::Closes),
        Permit::Closing | Permit::Repeat(_) if proven => Ok(LeaseCheck::LetGo),
        Permit::Holding(_) | Permit::Closing | Permit::Repeat(_) => Err(lease_lost(run, hold, now)),
        Permit::Refused(ErrorCode::LeaseLost) => Err(lease_lost(run, hold, now)),
        Permit::To(_) | Permit::Already | Permit::Refused(_) => {
            Err(refusal(ErrorCode::IllegalTransition, verb, run.state))
        }
    }
}

/// Whether the claim that made `epoch` still holds the run for `worker`.
fn claim_holds(run: &Run, worker: &WorkerId, epoch: u64, now: Timestamp) -> bool {
    run.epoch == epoch
        && run.claimed_by.as_ref() == Some(worker)
        && run.lease_expires_at.is_some_and(|end| end > now)
}

/// The answer to a report by whoever has let go of the run: nothing is to be changed when it is the report that did so, once more.
fn replay(run: &Run, hold: &Hold, report: &str, now: Timestamp) -> Result<WriteSet> {
    if run.last_report.as_deref() == Some(report) {
        return Ok(WriteSet::default());
    }
    Err(lease_lost(run, hold, now))
}

/// Whether the table lets the verb be used on the run as it stands, by time or by whoever asks.
fn is_permitted(run: &Run, verb: Verb) -> bool {
    matches!(permit(run.state, verb), Permit::To(_))
}

/// Why the caller does not hold the run: it has ended, somebody else has it, or the time ran out.
fn lease_lost(run: &Run, hold: &Hold, now: Timestamp) -> Error {
    let why = match run.state {
        State::Succeeded | State::Failed | State::Canceled => format!("the run is {}", run.state),
        State::Queued => "the run has been queued again".to_owned(),
        State::Running if run.epoch != hold.epoch => {
            format!("epoch {} has passed, the run is at epoch {}", hold.epoch, run.epoch)
        }
        State::Running if run.claimed_by.as_ref() != Some(&hold.worker_id) => {
            "another worker holds the run".to_owned()
        }
        State::Running if run.lease_expires_at.is_some_and(|end| end <= now) => {
            let late = run.lease_expires_at.map(|end| now.since(end)).unwrap_or_default();
            format!("the lease expired {} ms ago", late.as_millis())
        }
        State::Running if hold.token.is_absent() => "the report has no lease token".to_owned(),
        State::Running => "the lease token is not from the latest claim".to_owned(),
    };
    Error::new(ErrorCode::LeaseLost, format!("lease lost: {why}"))
}

pub mod commands;
#[cfg(test)]
mod tests;
