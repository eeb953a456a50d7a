//! The steps of one attempt, in phase order: which run, which are passed over, and what comes of them.
//!
//! SETUP, EXECUTION and VALIDATION stop at the first failure that is not to be continued on; the steps behind it are
//! recorded as skipped. CLEANUP runs after whatever happened but a lost lease, each of its steps whatever the one before
//! did; a failing one changes no state.

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::rules::CLOSING_LEASE;
use sprongus_core::run::step::{StepReport, StepStatus};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::declaration::{GateDeclaration, Phase, StepAction};
use crate::process::StopReason;
use crate::steps::attempt::Attempt;
use crate::steps::context::{AttemptContext, StepContext};
use crate::steps::outcome::{FailureScope, StepFailure, StepOutcome, report};
use crate::steps::{ai_action, approval, artifact, command};

/// How long CLEANUP may take in all when the worker goes down: its service manager will not wait longer.
const CLEANUP_AT_SHUTDOWN: Duration = Duration::from_secs(10);

/// How the work of an attempt ended.
pub(crate) enum Verdict {
    Done,
    Failed {
        error: String,
        retryable: bool,
    },
    /// It was told to stop, or had nothing to do but CLEANUP.
    Stopped,
    /// It waits at a gate, and is not ours any more.
    Waits,
}

/// How a step of an attempt ended.
enum StepVerdict {
    /// It is done, or not wanted.
    Done,
    Failed(StepFailure),
    /// The run waits at it.
    Waits,
}

/// Runs everything but CLEANUP.
pub(crate) async fn work(attempt: &mut Attempt, context: AttemptContext<'_>) -> Verdict {
    let kind = Arc::clone(attempt.kind());
    let AttemptContext { active, recorder, .. } = context;
    let deadline = kind.timeout.map(|limit| Instant::now() + limit.saturating_sub(attempt.time_used()));
    let mut verdict = Verdict::Done;
    let remaining: Vec<_> = kind.steps.iter().filter(|step| attempt.is_to_run(step)).collect();
    for step in remaining {
        if active.stopped().is_some() {
            verdict = Verdict::Stopped;
        }
        if !matches!(verdict, Verdict::Done) {
            recorder.step(report(step, StepStatus::Skipped, None)).await;
            continue;
        }
        match run(attempt, &StepContext::new(context, step, deadline, active.watch())).await {
            StepVerdict::Done => {}
            StepVerdict::Waits => return Verdict::Waits,
            StepVerdict::Failed(failure) if failure.scope == FailureScope::Stopped => {
                verdict = Verdict::Stopped;
            }
            StepVerdict::Failed(failure) if step.continue_on_error && failure.scope == FailureScope::Step => {
            }
            StepVerdict::Failed(StepFailure { mut error, retryable, .. }) => {
                if let Some(left_out) = attempt.left_out() {
                    error = format!("{error}\n{left_out}");
                }
                verdict = Verdict::Failed { error, retryable };
            }
        }
    }
    verdict
}

/// Runs CLEANUP. Of all that may stop it only a lost lease does: a canceled run is cleaned up too.
pub(crate) async fn clean_up(attempt: &mut Attempt, context: AttemptContext<'_>) {
    let kind = Arc::clone(attempt.kind());
    let AttemptContext { active, recorder, .. } = context;
    let limit =
        if active.stopped() == Some(StopReason::Shutdown) { CLEANUP_AT_SHUTDOWN } else { CLOSING_LEASE };
    let deadline = Some(Instant::now() + limit);
    let (lost, stop) = watch::channel(None);
    let forward = async {
        active.until_lost().await;
        lost.send_replace(Some(StopReason::LeaseLost));
        std::future::pending::<std::convert::Infallible>().await
    };
    let steps = async {
        for step in kind.steps.iter().filter(|step| step.phase == Phase::Cleanup) {
            let step = StepContext::new(context, step, deadline, stop.clone());
            if let StepVerdict::Failed(failure) = run(attempt, &step).await {
                recorder.say(Some(&step.step.name), format!("CLEANUP failed: {}", failure.error)).await;
            }
        }
    };
    tokio::select! {
        () = steps => {}
        never = forward => match never {},
    }
}

/// One step, from its condition to its record.
async fn run(attempt: &mut Attempt, context: &StepContext<'_>) -> StepVerdict {
    let (step, recorder) = (context.step, context.recorder);
    let wanted = match &step.condition {
        Some(condition) => condition.holds(&attempt.names(step, context.active)),
        None => Ok(true),
    };
    let mut outcome = match wanted {
        Ok(false) => {
            context.record(StepStatus::Skipped, None).await;
            return StepVerdict::Done;
        }
        Ok(true) => {
            let once = step.once && step.phase != Phase::Cleanup;
            if let Some(output) = attempt.done_before(step).filter(|_| once).map(str::to_owned) {
                context.record(StepStatus::Skipped, Some(output.clone())).await;
                attempt.take_output(step, output);
                return StepVerdict::Done;
            }
            context.record(StepStatus::Running, None).await;
            match execute(attempt, context).await {
                Some(outcome) => outcome,
                None => return StepVerdict::Waits,
            }
        }
        Err(fault) => StepOutcome::failed(attempt.failure(step, &format!("if: {fault}"), false)),
    };
    attempt.take(step, context.active, &mut outcome);
    let StepOutcome { output, tokens_in, tokens_out, failure, .. } = outcome;
    let status = if failure.is_none() { StepStatus::Completed } else { StepStatus::Failed };
    let kept = output.as_ref().map(|output| attempt.masks().output(output));
    recorder.step(StepReport { tokens_in, tokens_out, ..report(step, status, kept) }).await;
    // What must not be done twice, or was paid for, is kept before anything else is begun: this worker may die in it.
    if step.once || tokens_in.is_some() || tokens_out.is_some() {
        recorder.flush().await;
    }
    if let Some(output) = output {
        attempt.take_output(step, output.text);
    }
    failure.map_or(StepVerdict::Done, StepVerdict::Failed)
}

/// Answers nothing when the run waits at the step.
async fn execute(attempt: &mut Attempt, context: &StepContext<'_>) -> Option<StepOutcome> {
    let step = context.step;
    if let Err(why) = attempt.hand_out(step, context.tools.secrets.as_deref()) {
        return Some(StepOutcome::failed(attempt.failure(step, &why, false)));
    }
    Some(match &step.action {
        StepAction::Command(command) | StepAction::Gate(GateDeclaration::Command(command)) => {
            command::execute(attempt, command, context).await
        }
        StepAction::AiAction(declared) => ai_action::execute(attempt, declared, context).await,
        StepAction::Artifact(declared) => artifact::execute(attempt, declared, context).await,
        StepAction::Gate(GateDeclaration::Approval { timeout }) => {
            // From here on a work directory may be kept, whatever is heard of it.
            attempt.note_kept();
            return approval::execute(attempt, *timeout, context).await;
        }
    })
}
