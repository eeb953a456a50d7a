//! Asks a model: a step of type `ai_action`.

use tokio::sync::watch;
use tokio::time::Instant;

use crate::attempt::{Attempt, Place};
use crate::declaration::{AiActionDeclaration, StepDeclaration};
use crate::ended::Ended;
use crate::process::StopReason;

/// Executes the step. `deadline` is the end of the whole attempt's time, or of CLEANUP's; the step's own `timeout` counts
/// besides. It ends soon after `stop` has a reason.
#[expect(clippy::unused_async, reason = "what is awaited comes with the executor")]
pub(crate) async fn execute(
    attempt: &mut Attempt,
    step: &StepDeclaration,
    _declared: &AiActionDeclaration,
    _place: &Place<'_>,
    _deadline: Option<Instant>,
    _stop: watch::Receiver<Option<StopReason>>,
) -> Ended {
    Ended::failed(attempt.trouble(step, "not built", false))
}
