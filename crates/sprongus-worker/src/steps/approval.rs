//! Asks a person: a step of type `gate` with an `approval`. The work directory is kept, the run let go, and this execution is
//! over; what happens behind the gate is another one's ([`crate::steps::restore`]).

use std::time::Duration;

use sprongus_core::error::ErrorCode;
use sprongus_core::run::step::StepStatus;
use sprongus_core::values::ids::StepId;

use crate::execution::recorder::repeated;
use crate::execution::transient::may_pass;
use crate::execution::waiting::{learn_why, wait};
use crate::process::StopReason;
use crate::steps::attempt::Attempt;
use crate::steps::context::StepContext;
use crate::steps::outcome::{StepFailure, StepOutcome};
use crate::workdir::pack::{LeftOut, PackFault, pack};

/// Lets the run wait at the step. Answers nothing when it does, and otherwise why it does not.
pub(crate) async fn execute(
    attempt: &Attempt,
    timeout: Option<Duration>,
    context: &StepContext<'_>,
) -> Option<StepOutcome> {
    let step = context.step;
    let (active, recorder) = (context.active, context.recorder);
    // Whoever looks at a run that waits must find the step it waits at.
    recorder.flush().await;
    let left_out = tokio::select! {
        kept = keep(attempt, context) => match kept {
            Ok(left_out) => left_out,
            Err(trouble) => return Some(StepOutcome::failed(trouble)),
        },
        () = active.until_called_off() => return Some(StepOutcome::failed(called_off(attempt, context))),
    };
    let lines: Vec<_> = left_out.lines().map(|line| attempt.masks().text(&line)).collect();
    if !lines.is_empty() {
        // Whoever is asked looks at the step, and so does whoever misses something behind it.
        context.record(StepStatus::Running, Some(lines.join("\n"))).await;
    }
    for line in lines {
        recorder.say(Some(&step.name), line).await;
    }
    recorder.flush().await;
    let id = StepId::of(active.hold.id, active.hold.epoch, step.ordinal);
    let answer = wait(context.tools.runs.as_ref(), active, id, timeout).await;
    let error = answer.err()?;
    Some(StepOutcome::failed(if error.code() == ErrorCode::LeaseLost {
        called_off(attempt, context)
    } else {
        attempt.failure(context.step, &format!("cannot wait: {}", error.message()), true)
    }))
}

/// Keeps the work directory, however often its bytes have to be brought.
async fn keep(attempt: &Attempt, context: &StepContext<'_>) -> Result<LeftOut, StepFailure> {
    let (active, runs) = (context.active, &context.tools.runs);
    let state = serde_json::to_vec(&attempt.carried()).unwrap_or_default();
    let bring = || async {
        let packing = pack(context.folders.work(), state.clone());
        let answer = runs.keep_workdir(&active.hold, packing.body).await;
        let packed = packing.task.await;
        match (answer, packed) {
            (Ok(()), Ok(Ok(left_out))) => Ok(Ok(left_out)),
            // What cannot be packed now cannot be in a moment.
            (_, Ok(Err(fault @ (PackFault::TooLarge | PackFault::Unreadable { .. })))) => {
                Ok(Err(fault.to_string()))
            }
            (_, Err(panic)) => Ok(Err(format!("cannot keep the work directory: {panic}"))),
            (Ok(()), Ok(Err(fault @ PackFault::NobodyReads))) => Ok(Err(fault.to_string())),
            (Err(error), Ok(_)) if error.code() == ErrorCode::PayloadTooLarge => {
                Ok(Err(PackFault::TooLarge.to_string()))
            }
            (Err(error), Ok(_)) => Err(error),
        }
    };
    match repeated(active, bring).await {
        Ok(Ok(left_out)) => Ok(left_out),
        Ok(Err(why)) => Err(attempt.failure(context.step, &why, false)),
        Err(error) if error.code() == ErrorCode::LeaseLost => {
            learn_why(runs.as_ref(), active).await;
            Err(called_off(attempt, context))
        }
        Err(error) => {
            let why = format!("cannot keep the work directory: {}", error.message());
            Err(attempt.failure(context.step, &why, may_pass(error.code())))
        }
    }
}

fn called_off(attempt: &Attempt, context: &StepContext<'_>) -> StepFailure {
    attempt.stopped(context.step, context.active.stopped().unwrap_or(StopReason::LeaseLost))
}
