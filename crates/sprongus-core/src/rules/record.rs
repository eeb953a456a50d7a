//! What a worker records beside its run's state: steps, with their events, and log lines.

use std::borrow::Cow;

use serde_json::json;

use super::{Act, LeaseCheck, Transition, check_lease, lease_lost};
use crate::error::{Error, ErrorCode, Result};
use crate::redact::{redact, redact_shapes};
use crate::run::event::EventType;
use crate::run::state::{State, Verb};
use crate::run::step::{LogLine, Step, StepReport, StepStatus};
use crate::run::{Hold, Run};
use crate::secrets::matching_rules;
use crate::values::ids::StepId;
use crate::values::text::{printable, storable};

/// The longest output kept of a step, in bytes.
pub const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// The longest line kept, in bytes.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// The most lines or steps in one call.
pub const MAX_RECORDS: usize = 10_000;

/// The most tokens that a step may have used either way: far beyond any model, and so few that no sum of them is ever too large to keep.
pub const MAX_TOKENS: u64 = 1_000_000_000;

/// Checks what is to be recorded.
///
/// # Errors
/// `validation`: too many at once, a step without a printable name of 1 to 128 bytes, or one with more than [`MAX_TOKENS`];
/// `secret_in_input`: a step's name looks like a secret. A line's step is checked likewise.
pub fn check(steps: &[StepReport], lines: &[LogLine]) -> Result<()> {
    if steps.len() > MAX_RECORDS || lines.len() > MAX_RECORDS {
        return Err(Error::validation(format!("at most {MAX_RECORDS} lines or steps in one call")));
    }
    let mut last = None;
    for name in lines.iter().filter_map(|line| line.step.as_deref()) {
        // Lines of one step come together.
        if last != Some(name) {
            check_name(name)?;
            last = Some(name);
        }
    }
    for step in steps {
        check_name(&step.name)?;
        if step.tokens_in.max(step.tokens_out) > Some(MAX_TOKENS) {
            return Err(Error::validation(format!("a step's tokens must be at most {MAX_TOKENS}")));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = !name.contains(['\n', '\t']) && matches!(printable(name), Cow::Borrowed(_));
    if name.is_empty() || name.len() > 128 || !is_plain {
        return Err(Error::validation("a step's name must be 1 to 128 bytes of printable text"));
    }
    if !matching_rules(name).is_empty() {
        return Err(Error::new(ErrorCode::SecretInInput, "the name of a step holds a secret"));
    }
    Ok(())
}

/// The lines as they are kept: without what looks like a secret or an e-mail address, none longer than [`MAX_LINE_BYTES`], none
/// with a NUL. Our own worker has masked them already; others may not have.
pub fn kept(mut lines: Vec<LogLine>) -> Vec<LogLine> {
    for line in &mut lines {
        if let Cow::Owned(text) = redact(&line.text) {
            line.text = text;
        }
        if let Cow::Owned(text) = storable(&line.text, MAX_LINE_BYTES) {
            line.text = text;
        }
    }
    lines
}

/// Whether the caller may record anything of the run.
///
/// # Errors
/// `lease_lost` when it holds neither the lease nor the closing lease.
pub fn admit(run: &Run, hold: &Hold, act: Act<'_>) -> Result<()> {
    match check_lease(run, hold, Verb::Record, act.now)? {
        LeaseCheck::Holds | LeaseCheck::Closes => Ok(()),
        LeaseCheck::LetGo => Err(lease_lost(run, hold, act.now)),
    }
}

/// Puts `reports` over the steps recorded under the same epoch. Each change of a step's status is one event; the same
/// report again changes nothing. Of the run nothing but its history changes.
///
/// # Errors
/// `lease_lost` as [`admit`].
pub fn steps(
    run: &Run,
    hold: &Hold,
    recorded: &[Step],
    reports: &[StepReport],
    act: Act<'_>,
) -> Result<Transition> {
    admit(run, hold, act)?;
    let mut change = Transition::of(run);
    change.steps.reserve(reports.len());
    for report in reports {
        let known =
            change.steps.iter().rev().chain(recorded).find(|step| step.ordinal == report.ordinal).cloned();
        let step = put(run, hold, known.as_ref(), report, act);
        if known.as_ref().map(|step| step.status) != Some(step.status) {
            push_status(&mut change, &step, act);
        }
        change.steps.retain(|other| other.ordinal != step.ordinal);
        change.steps.push(step);
    }
    Ok(change)
}

/// Tells how a step stands now.
pub(super) fn push_status(change: &mut Transition, step: &Step, act: Act<'_>) {
    let Some(kind) = event_of(step.status) else { return };
    let duration = step.duration().map(|taken| u64::try_from(taken.as_millis()).unwrap_or(u64::MAX));
    let mut payload = json!({
        "name": step.name, "phase": step.phase, "type": step.kind,
        "ordinal": step.ordinal, "attempt": step.attempt, "durationMs": duration,
    });
    for (name, tokens) in [("tokensIn", step.tokens_in), ("tokensOut", step.tokens_out)] {
        if let Some(tokens) = tokens {
            payload[name] = tokens.into();
        }
    }
    change.push_step_event(Some(step.id), kind, act, payload);
}

fn put(run: &Run, hold: &Hold, known: Option<&Step>, report: &StepReport, act: Act<'_>) -> Step {
    let begun = report.status != StepStatus::Pending && report.status != StepStatus::Skipped;
    let started_at = known.and_then(|step| step.started_at).or(begun.then_some(act.now));
    let ended = report.status.is_final();
    let completed_at = known.and_then(|step| step.completed_at).or(ended.then_some(act.now));
    Step {
        // A step carried over a gate keeps the id its events already name.
        id: known.map_or_else(|| StepId::of(run.id, hold.epoch, report.ordinal), |step| step.id),
        run_id: run.id,
        epoch: hold.epoch,
        attempt: run.attempt,
        ordinal: report.ordinal,
        phase: report.phase,
        name: report.name.clone(),
        kind: report.kind,
        status: report.status,
        output: report
            .output
            .as_deref()
            .map(|text| storable(&redact_shapes(text), MAX_OUTPUT_BYTES).into_owned()),
        tokens_in: report.tokens_in,
        tokens_out: report.tokens_out,
        started_at,
        completed_at: completed_at.filter(|_| ended),
    }
}

/// The steps as they are shown. Whoever had begun one may have gone without a word, by a lost lease or a report that left it open: what
/// nobody can end any more has ended, and has failed. The rows stay as they were written.
pub fn shown(run: &Run, steps: Vec<Step>) -> Vec<Step> {
    let of_gate = |step: &Step| run.gate.as_ref().is_some_and(|gate| gate.step_id == step.id);
    let held = match run.state {
        State::Running => true,
        // The closing lease, under which CLEANUP runs.
        State::Failed | State::Canceled => run.lease_expires_at.is_some(),
        State::Queued | State::Succeeded => false,
    };
    let close = |step: Step| {
        let goes_on = (step.epoch == run.epoch && held) || (of_gate(&step) && !run.state.is_final());
        match step.status {
            StepStatus::Pending | StepStatus::Running if goes_on => step,
            StepStatus::Pending => Step { status: StepStatus::Skipped, ..step },
            StepStatus::Running => {
                let at = run.finished_at.filter(|_| step.epoch == run.epoch);
                Step {
                    status: StepStatus::Failed,
                    completed_at: at.max(step.started_at.filter(|_| at.is_some())),
                    ..step
                }
            }
            StepStatus::Completed | StepStatus::Failed | StepStatus::Skipped => step,
        }
    };
    steps.into_iter().map(close).collect()
}

fn event_of(status: StepStatus) -> Option<EventType> {
    match status {
        StepStatus::Pending => None,
        StepStatus::Running => Some(EventType::StepStarted),
        StepStatus::Completed => Some(EventType::StepCompleted),
        StepStatus::Failed => Some(EventType::StepFailed),
        StepStatus::Skipped => Some(EventType::StepSkipped),
    }
}
