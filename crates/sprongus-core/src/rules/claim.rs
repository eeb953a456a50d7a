//! queued → running; or, for a run that has ended and owes a CLEANUP, handed out once more with the state as it is.

use std::time::Duration;

use serde_json::json;

use super::{Act, CLOSING_LEASE, Change};
use crate::error::{Error, Result};
use crate::event::EventType;
use crate::ids::StepId;
use crate::names::WorkerId;
use crate::run::{ClaimRequest, Claimed, Cleanup, Lease, Resume, Run};
use crate::state::State;
use crate::step::Step;
use crate::time::Timestamp;

/// The shortest and the longest lease.
pub const LEASE_RANGE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));

/// The most runs one claim may ask for.
pub const MAX_CLAIM: u32 = 1_000;

/// The longest wait for work.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// Checks what a worker asks for.
///
/// # Errors
/// `validation`: a limit outside 1 to 1,000, a lease outside 1 s to 1 h, a wait over 60 s.
pub fn check(request: &ClaimRequest) -> Result<()> {
    if request.limit == 0 || request.limit > MAX_CLAIM {
        return Err(Error::validation(format!("limit must be 1 to {MAX_CLAIM}: {}", request.limit)));
    }
    if request.wait > MAX_WAIT {
        return Err(Error::validation(format!("waitMs must be 0 to 60000: {}", request.wait.as_millis())));
    }
    check_lease(request.lease)
}

/// Checks how long a lease is to last.
///
/// # Errors
/// `validation` outside 1 s to 1 h.
pub fn check_lease(lease: Duration) -> Result<()> {
    if lease < LEASE_RANGE.0 || lease > LEASE_RANGE.1 {
        let given = lease.as_millis();
        return Err(Error::validation(format!("a lease lasts 1 s to 1 h, in milliseconds: {given}")));
    }
    Ok(())
}

/// Gives the run to `worker`, if it is there to be given.
pub fn claim(run: &Run, worker: &WorkerId, lease: Duration, act: Act<'_>) -> Option<Change> {
    match run.state {
        State::Queued if run.is_due(act.now) && !is_expired(run, act.now) => {
            Some(start(run, worker, lease, act))
        }
        State::Failed | State::Canceled if owes_cleanup(run) => Some(hand_out(run, worker, lease, act)),
        State::Queued | State::Running | State::Succeeded | State::Failed | State::Canceled => None,
    }
}

/// Whether the run was to be started before now, and was not: its timer may still stand behind a thousand others.
pub fn is_expired(run: &Run, now: Timestamp) -> bool {
    run.started_at.is_none() && run.expire_at.is_some_and(|end| end <= now)
}

/// Whether an ended run waits for somebody to run its CLEANUP.
pub fn owes_cleanup(run: &Run) -> bool {
    run.state.is_final() && run.cleanup == Cleanup::Owed && run.lease_expires_at.is_none()
}

fn start(run: &Run, worker: &WorkerId, lease: Duration, act: Act<'_>) -> Change {
    let resuming = run.resuming().is_some();
    let mut change = Change::of(run);
    let next = &mut change.run;
    hold(next, worker, lease, act);
    next.state = State::Running;
    next.started_at.get_or_insert(act.now);
    next.cleanup = Cleanup::Owed;
    if resuming {
        if let Some(gate) = &mut next.gate {
            gate.resumed = true;
        }
    } else {
        next.attempt += 1;
        next.progress = 0;
    }
    let waited = u64::try_from(act.now.since(run.due_at).as_millis()).unwrap_or(u64::MAX);
    let payload = json!({"attempt": next.attempt, "epoch": next.epoch, "workerId": worker, "waitMs": waited});
    change.tell(EventType::Started, act, payload);
    change
}

fn hand_out(run: &Run, worker: &WorkerId, lease: Duration, act: Act<'_>) -> Change {
    let mut change = Change::of(run);
    let next = &mut change.run;
    hold(next, worker, lease.min(CLOSING_LEASE), act);
    next.closing_until = Some(act.now.plus(CLOSING_LEASE));
    next.cleanup = Cleanup::HandedOut;
    change
}

fn hold(next: &mut Run, worker: &WorkerId, lease: Duration, act: Act<'_>) {
    next.epoch += 1;
    next.claimed_by = Some(worker.clone());
    next.claimed_at = Some(act.now);
    next.lease = lease;
    next.lease_expires_at = Some(act.now.plus(lease));
    next.last_report = None;
}

/// Of the steps recorded under the run's present epoch, those a claim behind a gate carried there: all of them, or none when the
/// claim carried nothing. A repeated claim is answered with these, as the first one was.
pub fn carried(run: &Run, steps: Vec<Step>) -> Vec<Step> {
    let own = |step: &Step| step.id == StepId::of(run.id, step.epoch, step.ordinal);
    if steps.iter().all(own) { Vec::new() } else { steps }
}

/// A claimed run as its worker gets it; `steps` are those of the attempt, for a run that carries on behind a gate, and
/// `keeps_workdir` says whether its work directory was kept there.
pub fn handed(run: Run, steps: Vec<Step>, keeps_workdir: bool) -> Option<Claimed> {
    let lease = Lease {
        worker_id: run.claimed_by.clone()?,
        epoch: run.epoch,
        lease_ms: u64::try_from(run.lease.as_millis()).unwrap_or(u64::MAX),
        expires_at: run.lease_expires_at?,
    };
    let cleanup = run.state.is_final();
    let resume = match &run.gate {
        Some(gate) if !cleanup && gate.resumed && !steps.is_empty() => {
            let workdir = keeps_workdir.then(|| format!("/v1/runs/{}/workdir", run.id));
            Some(Resume { steps, gate: gate.clone(), workdir })
        }
        Some(_) | None => None,
    };
    Some(Claimed { run, lease, cleanup, resume })
}
