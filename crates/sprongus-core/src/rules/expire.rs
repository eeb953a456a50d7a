//! What time alone does: a lease that runs out, a gate nobody answered, a run nobody started. The store finds what is due;
//! this says what becomes of it.

use serde_json::json;

use super::claim::is_expired;
use super::finish::{end, requeue};
use super::{Act, MAX_CRASHES, Transition, WriteSet, is_permitted};
use crate::run::Run;
use crate::run::event::EventType;
use crate::run::state::{State, Verb};
use crate::run::step::Step;

/// Due timers that one claim moves at most: what is behind them waits for the next.
pub const MOST_PER_CLAIM: u32 = 1_000;

/// Brings a run up to the present. An empty set: nothing of it is due, only its place in the store's indexes may have to move. The step
/// it waits at, if it was recorded, is `waits_at`.
pub fn expire(run: &Run, waits_at: Option<&Step>, act: Act<'_>) -> WriteSet {
    let due = if is_permitted(run, Verb::LoseLease) {
        lose_lease(run, act)
    } else if is_permitted(run, Verb::Expire) {
        expire_queued(run, waits_at, act)
    } else {
        None
    };
    due.map(WriteSet::from).unwrap_or_default()
}

fn lose_lease(run: &Run, act: Act<'_>) -> Option<Transition> {
    run.lease_expires_at.filter(|&end| end <= act.now)?;
    Some(if run.state.is_final() { lose_closing_lease(run) } else { crash(run, act) })
}

fn expire_queued(run: &Run, waits_at: Option<&Step>, act: Act<'_>) -> Option<Transition> {
    gate_ran_out(run, waits_at, act).or_else(|| unstarted_too_long(run, act))
}

fn crash(run: &Run, act: Act<'_>) -> Transition {
    let mut change = Transition::of(run);
    let next = &mut change.run;
    next.crashes += 1;
    let (attempt, most, crashes) = (run.attempt, run.max_attempts, next.crashes);
    let worker = run.claimed_by.clone();
    if attempt < most && crashes < MAX_CRASHES {
        requeue(next, act);
        let payload = json!({"attempt": attempt, "crashes": crashes, "epoch": run.epoch, "workerId": worker});
        change.push_event(EventType::LeaseLost, act, payload);
        return change;
    }
    end(next, State::Failed, act);
    let error = if crashes >= MAX_CRASHES {
        format!("lost its worker {crashes} times; the run may be crashing its workers")
    } else {
        format!("lost its worker on attempt {attempt} of {most}")
    };
    let payload = json!({
        "attempt": attempt, "crashes": crashes, "epoch": run.epoch,
        "error": error, "reason": "lease_lost", "workerId": worker,
    });
    next.error = Some(error);
    change.push_event(EventType::Failed, act, payload);
    change
}

/// The state stays; the run only stops being held, so that its CLEANUP can be handed out.
fn lose_closing_lease(run: &Run) -> Transition {
    let mut change = Transition::of(run);
    change.run.lease_expires_at = None;
    change.run.closing_until = None;
    change.run.lease_hash = None;
    change
}

fn gate_ran_out(run: &Run, waits_at: Option<&Step>, act: Act<'_>) -> Option<Transition> {
    let gate = run.waiting_for()?;
    gate.until.filter(|&until| until <= act.now)?;
    let step_id = gate.step_id;
    let mut change = Transition::of(run);
    change.fail_step(waits_at, act);
    end(&mut change.run, State::Failed, act);
    let error = "the gate expired without an answer";
    change.run.error = Some(error.to_owned());
    let payload = json!({"error": error, "reason": "approval_timed_out"});
    change.push_step_event(Some(step_id), EventType::Failed, act, payload);
    Some(change)
}

fn unstarted_too_long(run: &Run, act: Act<'_>) -> Option<Transition> {
    let expire_at = run.expire_at.filter(|_| is_expired(run, act.now))?;
    let mut change = Transition::of(run);
    end(&mut change.run, State::Failed, act);
    let error = format!("not started before it expired at {expire_at}");
    let payload = json!({"error": error, "reason": "expired"});
    change.run.error = Some(error);
    change.push_event(EventType::Failed, act, payload);
    Some(change)
}
