//! queued → running; or, for a run that has ended and owes a CLEANUP, handed out once more with the state as it is.

use std::time::Duration;

use serde_json::json;

use super::{Act, CLOSING_LEASE, Transition, claim_holds, is_permitted};
use crate::error::{Error, ErrorCode, Result};
use crate::run::event::EventType;
use crate::run::lease::{LeaseHash, LeaseToken};
use crate::run::state::{State, Verb};
use crate::run::step::Step;
use crate::run::{ClaimRequest, Claimed, Cleanup, Lease, Resume, Run};
use crate::values::ids::{StepId, TokenId};
use crate::values::names::WorkerId;
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

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
    check_lease_duration(request.lease)
}

/// Checks how long a lease is to last.
///
/// # Errors
/// `validation` outside 1 s to 1 h.
pub fn check_lease_duration(lease: Duration) -> Result<()> {
    if lease < LEASE_RANGE.0 || lease > LEASE_RANGE.1 {
        let given = lease.as_millis();
        return Err(Error::validation(format!("a lease must last 1 s to 1 h, in milliseconds: {given}")));
    }
    Ok(())
}

/// Gives the run to whoever asks, if it is there to be given; `hash` is that of the token they are told.
pub fn claim(run: &Run, request: &ClaimRequest, hash: LeaseHash, act: Act<'_>) -> Option<Transition> {
    let is_over = run.state.is_final();
    is_claimable(run, act.now).then(|| match is_over {
        true => hand_out(run, request, hash, act),
        false => start(run, request, hash, act),
    })
}

/// Whether the run is there to be given: it is due, or has ended and owes a CLEANUP.
pub fn is_claimable(run: &Run, now: Timestamp) -> bool {
    is_permitted(run, Verb::Claim)
        && if run.state.is_final() { owes_cleanup(run) } else { run.is_due(now) && !is_expired(run, now) }
}

/// Whether the run was to be started before now, and was not: its timer may still stand behind a thousand others.
pub fn is_expired(run: &Run, now: Timestamp) -> bool {
    run.started_at.is_none() && run.expire_at.is_some_and(|end| end <= now)
}

/// Whether an ended run waits for somebody to run its CLEANUP.
pub fn owes_cleanup(run: &Run) -> bool {
    run.state.is_final() && run.cleanup == Cleanup::Owed && run.lease_expires_at.is_none()
}

fn start(run: &Run, request: &ClaimRequest, hash: LeaseHash, act: Act<'_>) -> Transition {
    let resuming = run.resuming().is_some();
    let mut change = Transition::of(run);
    let next = &mut change.run;
    hold(next, request, request.lease, hash, act);
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
    let worker = &request.worker_id;
    let payload = json!({"attempt": next.attempt, "epoch": next.epoch, "workerId": worker, "waitMs": waited});
    change.push_event(EventType::Started, act, payload);
    change
}

fn hand_out(run: &Run, request: &ClaimRequest, hash: LeaseHash, act: Act<'_>) -> Transition {
    let mut change = Transition::of(run);
    let next = &mut change.run;
    hold(next, request, request.lease.min(CLOSING_LEASE), hash, act);
    next.closing_until = Some(act.now.plus(CLOSING_LEASE));
    next.cleanup = Cleanup::HandedOut;
    change
}

fn hold(next: &mut Run, request: &ClaimRequest, lease: Duration, hash: LeaseHash, act: Act<'_>) {
    next.epoch += 1;
    next.claimed_by = Some(request.worker_id.clone());
    next.claimed_at = Some(act.now);
    next.lease_hash = Some(hash);
    next.lease = lease;
    next.lease_expires_at = Some(act.now.plus(lease));
    next.last_report = None;
}

/// A claim that was given a name, as it is remembered: whose it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The worker that claimed.
    pub worker_id: WorkerId,
    /// The API token it came with.
    pub token_id: Option<TokenId>,
}

impl Remembered {
    /// Whether `caller` is whoever made the claim and may have its runs again.
    ///
    /// # Errors
    /// `conflict`, as [`name_taken`], when it was made by another worker or with another API token.
    pub fn check(&self, caller: &Caller, request: &ClaimRequest) -> Result<()> {
        if self.worker_id == request.worker_id && self.token_id == caller.token_id {
            return Ok(());
        }
        Err(name_taken())
    }
}

/// The refusal of a claim under a name that belongs to somebody else's, or to one that gave what the caller may not see. It says
/// nothing of that claim.
pub fn name_taken() -> Error {
    Error::new(ErrorCode::Conflict, "the claim id is already in use")
        .with_hint("use a new claimId for each claim")
}

/// A claim repeated by its name: the run under a new token, if it is still held under `epoch` of that claim. The token before is void.
/// No event: the hold is the same one.
///
/// # Errors
/// `conflict`, as [`name_taken`], when the run is one that the caller may not touch.
pub fn replay(
    run: &Run,
    caller: &Caller,
    worker: &WorkerId,
    epoch: u64,
    hash: LeaseHash,
    now: Timestamp,
) -> Result<Option<Run>> {
    if !caller.may_touch(run.project_id.as_ref()) {
        return Err(name_taken());
    }
    Ok(claim_holds(run, worker, epoch, now).then(|| Run { lease_hash: Some(hash), ..run.clone() }))
}

/// Of the steps recorded under the run's present epoch, those a claim behind a gate carried there: all of them, or none when the
/// claim carried nothing. A repeated claim is answered with these, as the first one was.
pub fn carried(run: &Run, steps: Vec<Step>) -> Vec<Step> {
    let own = |step: &Step| step.id == StepId::of(run.id, step.epoch, step.ordinal);
    if steps.iter().all(own) { Vec::new() } else { steps }
}

/// A claimed run as its worker gets it, with the claim's token; `steps` are those of the attempt, for a run that carries on behind a gate, and
/// `keeps_workdir` says whether its work directory was kept there.
pub fn handed(run: Run, token: &LeaseToken, steps: Vec<Step>, keeps_workdir: bool) -> Option<Claimed> {
    let lease = Lease {
        worker_id: run.claimed_by.clone()?,
        epoch: run.epoch,
        token: token.clone(),
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
