//! Letting go of a run until somebody answers at one of its steps.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sprongus_core::error::{Error, ErrorCode};
use sprongus_core::run::Gate;
use sprongus_core::runs::Runs;
use sprongus_core::values::ids::StepId;

use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::repeated;
use crate::process::StopReason;

/// Who let a run pass at a gate, and what was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Approval {
    /// The actor who approved.
    pub by: Option<String>,
    /// What was said with it.
    pub comment: Option<String>,
}

impl Approval {
    pub(crate) fn of(gate: &Gate) -> Self {
        Self { by: gate.by.clone(), comment: gate.comment.clone() }
    }

    /// As the output of the gate's step.
    pub(crate) fn output(&self) -> String {
        serde_json::json!({"by": self.by, "comment": self.comment}).to_string()
    }
}

/// Lets go of the run at the step. When this is answered well, the run is not ours any more, and that is no loss.
///
/// # Errors
/// Why it does not wait. When it was called off or is lost, that is noted in `active`.
pub(crate) async fn wait(
    runs: &dyn Runs,
    active: &ActiveRun,
    step: StepId,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    active.leaves(true);
    let answer = repeated(active, || runs.wait(&active.hold, step, timeout)).await;
    if let Err(error) = answer {
        active.leaves(false);
        if error.code() == ErrorCode::LeaseLost {
            learn_why(runs, active).await;
        }
        return Err(error);
    }
    Ok(())
}

/// A run that takes no word of us was called off, and is still ours to clean up; or it is somebody else's.
pub(crate) async fn learn_why(runs: &dyn Runs, active: &ActiveRun) {
    let beat = async || {
        let answers = runs.heartbeat(vec![active.hold.clone()], None).await?;
        answers.into_iter().next().unwrap_or_else(|| Err(Error::internal("a heartbeat had no answer")))
    };
    match repeated(active, beat).await {
        Ok(beat) if beat.cancel => active.stop(StopReason::Canceled),
        Ok(_) => {}
        Err(_) => active.stop(StopReason::LeaseLost),
    }
}
