//! running → succeeded, failed or queued: a report lets go of the run.

use std::borrow::Cow;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::backoff::Backoff;
use super::{Act, LeaseCheck, Transition, WriteSet, check_lease, lease_lost, replay};
use crate::error::{Error, ErrorCode, Result};
use crate::json::Json;
use crate::redact::{redact, redact_shapes};
use crate::run::event::EventType;
use crate::run::state::{State, Verb};
use crate::run::{Cleanup, Hold, Outcome, Run};
use crate::secrets::holds_keyword;
use crate::values::text::{MAX_ERROR_BYTES, storable};
use std::time::Duration;

/// The longest wait a worker may ask for before the next attempt.
pub const MAX_RETRY_IN: Duration = Duration::from_secs(24 * 3_600);

/// The longest `outputRef`, in bytes.
pub const MAX_OUTPUT_REF_BYTES: usize = 4_096;

/// Checks what a worker reports.
///
/// # Errors
/// `validation`: a `retryInMs` over 24 h or an `outputRef` that is empty, over 4 KiB or not printable;
/// `payload_too_large`: a result over 1 MiB.
pub fn check(outcome: &Outcome) -> Result<()> {
    match outcome {
        Outcome::Succeed { result, output_ref } => {
            if let Some(result) = result
                && result.as_str().len() > crate::json::MAX_INPUT_BYTES
            {
                let size = result.as_str().len();
                return Err(Error::new(
                    ErrorCode::PayloadTooLarge,
                    format!("a result is at most 1 MiB: {size} bytes"),
                ));
            }
            if let Some(reference) = output_ref
                && (reference.is_empty()
                    || reference.len() > MAX_OUTPUT_REF_BYTES
                    || reference.chars().any(char::is_control))
            {
                return Err(Error::validation("outputRef must be 1 to 4096 bytes of printable text"));
            }
            Ok(())
        }
        Outcome::Fail { retry_in: Some(wait), .. } if *wait > MAX_RETRY_IN => {
            Err(Error::validation(format!("retryInMs must be 0 to 86400000: {}", wait.as_millis())))
        }
        Outcome::Fail { .. } | Outcome::Release => Ok(()),
    }
}

/// What is reported, without what looks like a secret. Our own worker has masked the values it knows; others may not have.
#[must_use]
pub fn masked(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Succeed { result, output_ref } => Outcome::Succeed {
            result: result.map(|result| masked_json(&result).unwrap_or(result)),
            output_ref: output_ref.map(|reference| redact_shapes(&reference).into_owned()),
        },
        Outcome::Fail { .. } | Outcome::Release => outcome,
    }
}

/// Nothing where there is nothing to mask.
fn masked_json(json: &Json) -> Option<Json> {
    if !holds_keyword(json.as_str()) {
        return None;
    }
    let mut value = json.to_value();
    mask_texts(&mut value).then(|| Json::from_value(value))
}

fn mask_texts(value: &mut Value) -> bool {
    match value {
        Value::String(text) => match redact_shapes(text) {
            Cow::Owned(masked) => {
                *text = masked;
                true
            }
            Cow::Borrowed(_) => false,
        },
        Value::Array(items) => items.iter_mut().fold(false, |any, item| mask_texts(item) | any),
        Value::Object(members) => {
            let mut any = false;
            let entries = std::mem::take(members).into_iter().map(|(key, mut member)| {
                any |= mask_texts(&mut member);
                let key = redact_shapes(&key);
                any |= matches!(key, Cow::Owned(_));
                (key.into_owned(), member)
            });
            *members = entries.collect();
            any
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Ends an execution. `draw` is a random number in 0..1 for the backoff where the report names no wait.
///
/// # Errors
/// `lease_lost` when the caller does not hold the run; `conflict` when it succeeded before with another result.
pub fn finish(run: &Run, hold: &Hold, outcome: &Outcome, draw: f64, act: Act<'_>) -> Result<WriteSet> {
    match outcome {
        Outcome::Succeed { result, output_ref } => {
            succeed(run, hold, result.as_ref(), output_ref.as_deref(), act)
        }
        Outcome::Fail { error, retryable, retry_in } => {
            // Our worker has masked it already; others may not have.
            let error = redact(error);
            let error = storable(&error, MAX_ERROR_BYTES);
            fail(run, hold, &error, *retryable, *retry_in, draw, act)
        }
        Outcome::Release => release(run, hold, act),
    }
}

fn succeed(
    run: &Run,
    hold: &Hold,
    result: Option<&Json>,
    output_ref: Option<&str>,
    act: Act<'_>,
) -> Result<WriteSet> {
    match check_lease(run, hold, Verb::Succeed, act.now)? {
        LeaseCheck::Holds => {}
        LeaseCheck::Closes => return Err(lease_lost(run, hold, act.now)),
        LeaseCheck::LetGo => {
            if run.claimed_by.as_ref() != Some(&hold.worker_id) {
                return Err(lease_lost(run, hold, act.now));
            }
            if run.result.as_ref() == result && run.output_ref.as_deref() == output_ref {
                return Ok(WriteSet::default());
            }
            return Err(Error::new(ErrorCode::Conflict, "the run already succeeded with a different result"));
        }
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    end(next, State::Succeeded, act);
    next.lease_hash = run.lease_hash;
    next.result = result.cloned();
    next.output_ref = output_ref.map(str::to_owned);
    next.error = None;
    next.progress = 100;
    next.cleanup = Cleanup::None;
    let payload = json!({"attempt": run.attempt, "outputRef": output_ref, "elapsedMs": elapsed(run, act)});
    change.push_event(EventType::Succeeded, act, payload);
    Ok(change.into())
}

fn fail(
    run: &Run,
    hold: &Hold,
    error: &str,
    retryable: bool,
    retry_in: Option<Duration>,
    draw: f64,
    act: Act<'_>,
) -> Result<WriteSet> {
    let report = digest("fail", hold, error);
    match check_lease(run, hold, Verb::Fail, act.now)? {
        LeaseCheck::Holds => {}
        LeaseCheck::LetGo => return replay(run, hold, &report, act.now),
        LeaseCheck::Closes => return Err(lease_lost(run, hold, act.now)),
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    next.error = Some(error.to_owned());
    next.cleanup = Cleanup::None;
    let attempt = run.attempt;
    if retryable && attempt < run.max_attempts {
        let wait = retry_in.unwrap_or_else(|| Backoff::default().wait(attempt, draw));
        next.run_at = act.now.plus(wait);
        requeue(next, act);
        next.last_report = Some(report);
        next.lease_hash = run.lease_hash;
        let payload = json!({
            "attempt": attempt, "error": error, "elapsedMs": elapsed(run, act),
            "retryInMs": u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "runAt": next.run_at,
        });
        change.push_event(EventType::RetryScheduled, act, payload);
    } else {
        end(next, State::Failed, act);
        next.last_report = Some(report);
        next.lease_hash = run.lease_hash;
        let reason = if retryable { "attempts_used_up" } else { "not_retryable" };
        let payload =
            json!({"attempt": attempt, "error": error, "reason": reason, "elapsedMs": elapsed(run, act)});
        change.push_event(EventType::Failed, act, payload);
    }
    Ok(change.into())
}

fn release(run: &Run, hold: &Hold, act: Act<'_>) -> Result<WriteSet> {
    let report = digest("release", hold, "");
    match check_lease(run, hold, Verb::Release, act.now)? {
        LeaseCheck::Holds => {}
        LeaseCheck::LetGo => return replay(run, hold, &report, act.now),
        LeaseCheck::Closes => return Err(lease_lost(run, hold, act.now)),
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    requeue(next, act);
    next.attempt = run.attempt.saturating_sub(1);
    next.progress = 0;
    next.cleanup = Cleanup::None;
    next.last_report = Some(report);
    next.lease_hash = run.lease_hash;
    change.push_event(EventType::Released, act, json!({"attempt": run.attempt, "workerId": hold.worker_id}));
    Ok(change.into())
}

/// Ends the run; who held it last stays to be seen. A report that ends it, and may be repeated, keeps its hash.
pub(super) fn end(next: &mut Run, state: State, act: Act<'_>) {
    next.state = state;
    next.finished_at = Some(act.now);
    next.blocked_on = None;
    next.lease_expires_at = None;
    next.lease_hash = None;
    next.last_report = None;
}

/// Puts the run back into the queue, held by nobody, and due from now on if it is due at all. Whoever let go of it by a report that may be
/// repeated keeps its hash.
pub(super) fn requeue(next: &mut Run, act: Act<'_>) {
    next.state = State::Queued;
    next.due_at = next.run_at.max(act.now);
    next.claimed_by = None;
    next.claimed_at = None;
    next.lease_expires_at = None;
    next.lease_hash = None;
    next.last_report = None;
}

/// A report in short: who made it, and what it said, so that its repeat is told from another one.
pub(super) fn digest(verb: &str, hold: &Hold, said: &str) -> String {
    if said.is_empty() {
        return format!("{verb}:{}", hold.worker_id);
    }
    let hash = Sha256::digest(said.as_bytes());
    let short: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{verb}:{}:{short}", hold.worker_id)
}

/// How long the present attempt has run.
fn elapsed(run: &Run, act: Act<'_>) -> u64 {
    let taken = run.claimed_at.map(|from| act.now.since(from)).unwrap_or_default();
    u64::try_from(taken.as_millis()).unwrap_or(u64::MAX)
}
