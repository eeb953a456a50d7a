//! queued or running → canceled, at once and for good; a worker that holds the run learns it by its next heartbeat.

use serde_json::json;

use crate::error::{ErrorCode, Result};
use crate::rules::{Act, CLOSING_LEASE, Transition, WriteSet};
use crate::run::Run;
use crate::run::event::EventType;
use crate::run::state::{Permit, State, Verb, permit, refusal};
use crate::run::step::Step;

/// Calls the run off. One that is running keeps its lease, now a closing one, for its CLEANUP; where one waits at a gate, its step
/// `waits_at` fails with it.
///
/// # Errors
/// `illegal_transition` when the run has succeeded or failed.
pub fn cancel(run: &Run, waits_at: Option<&Step>, act: Act<'_>) -> Result<WriteSet> {
    match permit(run.state, Verb::Cancel) {
        Permit::To(_) => {}
        Permit::Already => return Ok(WriteSet::default()),
        Permit::Holding(_) | Permit::Closing | Permit::Repeat(_) | Permit::Refused(_) => {
            return Err(refusal(ErrorCode::IllegalTransition, Verb::Cancel, run.state));
        }
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    next.state = State::Canceled;
    next.finished_at = Some(act.now);
    next.blocked_on = None;
    next.last_report = None;
    match run.lease_expires_at {
        Some(end) => {
            let limit = act.now.plus(CLOSING_LEASE);
            next.closing_until = Some(limit);
            next.lease_expires_at = Some(end.min(limit));
        }
        None => next.lease_hash = None,
    }
    change.fail_step(waits_at, act);
    change.push_event(EventType::Canceled, act, json!({"from": run.state}));
    Ok(change.into())
}
