//! failed or canceled → queued, because a person asked: a new budget of attempts, the epoch kept.

use serde_json::json;

use crate::error::{Error, ErrorCode, Result};
use crate::rules::finish::requeue;
use crate::rules::{Act, Transition, WriteSet};
use crate::run::Run;
use crate::run::event::EventType;
use crate::run::state::{Permit, Verb, permit, refusal};

/// Marks a run that was retried and not claimed since, so that a repeat is known.
const REPORT: &str = "retry";

/// Gives the run another budget. With `if_epoch`, only if nobody has claimed it since the caller looked, so that a repeat
/// after a lost answer cannot grant a second budget.
///
/// # Errors
/// `illegal_transition` unless the run has failed or was canceled; `conflict` when it is past `if_epoch`.
pub fn retry(run: &Run, if_epoch: Option<u64>, act: Act<'_>) -> Result<WriteSet> {
    match permit(run.state, Verb::Retry) {
        Permit::To(_) => {}
        Permit::Repeat(_) if if_epoch == Some(run.epoch) && run.last_report.as_deref() == Some(REPORT) => {
            return Ok(WriteSet::default());
        }
        Permit::Holding(_) | Permit::Closing | Permit::Already | Permit::Repeat(_) | Permit::Refused(_) => {
            return Err(refusal(ErrorCode::IllegalTransition, Verb::Retry, run.state));
        }
    }
    if let Some(epoch) = if_epoch
        && epoch != run.epoch
    {
        let message = format!("the run is at epoch {}, not {epoch}", run.epoch);
        return Err(Error::new(ErrorCode::Conflict, message));
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    next.attempt = 0;
    next.crashes = 0;
    next.progress = 0;
    next.error = None;
    next.result = None;
    next.output_ref = None;
    next.finished_at = None;
    next.closing_until = None;
    next.gate = None;
    next.expire_at = None;
    next.run_at = act.now;
    requeue(next, act);
    next.last_report = Some(REPORT.to_owned());
    change.push_event(
        EventType::Retried,
        act,
        json!({"from": run.state, "attempts": run.attempt, "endedAt": run.finished_at}),
    );
    Ok(change.into())
}
