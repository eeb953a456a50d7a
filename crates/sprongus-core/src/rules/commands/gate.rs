//! A gate: running → queued and waiting; approved, it carries on in the same attempt; rejected, it fails for good,
//! and so does the gate's step.

use std::time::Duration;

use serde_json::json;

use crate::error::{Error, ErrorCode, Result};
use crate::redact::redact;
use crate::rules::finish::{digest, end, requeue};
use crate::rules::{Act, LeaseCheck, Transition, WriteSet, check_lease, lease_lost, replay};
use crate::run::event::EventType;
use crate::run::state::{Permit, State, Verb, permit};
use crate::run::step::Step;
use crate::run::{Answer, Gate, Hold, Run};
use crate::values::ids::StepId;
use crate::values::text::{excerpt, printable, truncate};

/// The longest comment or reason, in bytes.
pub const MAX_COMMENT_BYTES: usize = 4_096;

/// Lets go of the run until somebody answers at `step_id`, at most for `timeout`.
///
/// # Errors
/// `lease_lost` when the caller does not hold the run.
pub fn wait(
    run: &Run,
    hold: &Hold,
    step_id: StepId,
    timeout: Option<Duration>,
    act: Act<'_>,
) -> Result<WriteSet> {
    let report = digest("wait", hold, &step_id.to_string());
    match check_lease(run, hold, Verb::Wait, act.now)? {
        LeaseCheck::Holds => {}
        LeaseCheck::LetGo => return replay(run, hold, &report, act.now),
        LeaseCheck::Closes => return Err(lease_lost(run, hold, act.now)),
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    requeue(next, act);
    next.last_report = Some(report);
    next.lease_hash = run.lease_hash;
    let until = timeout.map(|longest| act.now.plus(longest));
    next.gate = Some(Gate { step_id, until, answer: None, by: None, comment: None, resumed: false });
    let timeout_ms = timeout.map(|longest| u64::try_from(longest.as_millis()).unwrap_or(u64::MAX));
    let payload = json!({"stepId": step_id, "timeoutMs": timeout_ms, "until": until});
    change.push_step_event(Some(step_id), EventType::Waiting, act, payload);
    Ok(change.into())
}

/// Answers the gate the run waits at; `step_id` names it, so that an answer cannot meet the next one. A rejection needs a
/// comment: it becomes the run's error, and the step the run waits at fails with it: `waits_at`, if it was recorded.
///
/// # Errors
/// `illegal_transition` when the run does not wait there; `validation` for a rejection without a reason.
pub fn answer(
    run: &Run,
    step_id: Option<StepId>,
    answer: Answer,
    comment: Option<&str>,
    waits_at: Option<&Step>,
    act: Act<'_>,
) -> Result<WriteSet> {
    // Masked before it is cut: half a secret is not seen for one.
    let comment = comment.map(|text| truncate(&redact(&printable(text)), MAX_COMMENT_BYTES).into_owned());
    if answer == Answer::Rejected && comment.as_deref().unwrap_or_default().trim().is_empty() {
        return Err(Error::validation("a rejection needs a reason"));
    }
    let verb = match answer {
        Answer::Approved => Verb::Approve,
        Answer::Rejected => Verb::Reject,
    };
    let gate = run.gate.as_ref().filter(|gate| step_id.is_none_or(|id| id == gate.step_id));
    let Some(gate) = gate else { return Err(not_waiting(run, verb)) };
    let is_repeat = gate.answer == Some(answer) && step_id.is_some();
    match permit(run.state, verb) {
        Permit::To(_) if gate.answer.is_none() => {}
        Permit::To(_) | Permit::Repeat(_) if is_repeat => return Ok(WriteSet::default()),
        Permit::To(_)
        | Permit::Holding(_)
        | Permit::Closing
        | Permit::Already
        | Permit::Repeat(_)
        | Permit::Refused(_) => return Err(not_waiting(run, verb)),
    }
    if gate.until.is_some_and(|until| until <= act.now) {
        return Err(Error::new(ErrorCode::IllegalTransition, "the gate has expired"));
    }
    let step_id = gate.step_id;
    let mut change = Transition::of(run);
    if let Some(gate) = &mut change.run.gate {
        gate.answer = Some(answer);
        gate.by = Some(act.actor.to_owned());
        gate.comment.clone_from(&comment);
    }
    let payload = json!({"stepId": step_id, "comment": comment});
    match answer {
        Answer::Approved => {
            change.run.due_at = change.run.run_at.max(act.now);
            change.push_step_event(Some(step_id), EventType::Approved, act, payload);
        }
        Answer::Rejected => {
            change.push_step_event(Some(step_id), EventType::Rejected, act, payload);
            change.fail_step(waits_at, act);
            end(&mut change.run, State::Failed, act);
            let error = format!("rejected: {}", comment.unwrap_or_default());
            let payload = json!({"error": error, "reason": "rejected"});
            change.run.error = Some(error);
            change.push_step_event(Some(step_id), EventType::Failed, act, payload);
        }
    }
    Ok(change.into())
}

fn not_waiting(run: &Run, verb: Verb) -> Error {
    let message = match run.waiting_for() {
        Some(gate) => {
            let at = gate.step_id.to_string();
            format!("cannot {}: the run is waiting at another step: {}", verb.as_str(), excerpt(&at, 64))
        }
        None => format!("cannot {}: not waiting at a gate: the run is {}", verb.as_str(), run.state),
    };
    Error::new(ErrorCode::IllegalTransition, message)
}
