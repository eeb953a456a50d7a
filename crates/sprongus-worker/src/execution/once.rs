//! Steps with `once = true`: what completed under an earlier claim of the run is not repeated.
//!
//! The step of the present attempt is recorded as `skipped`, with the output of the one that ran, because that is what
//! happened: nothing ran. What is reused is the output as it is kept, in which secrets and e-mail addresses are masked.

use std::collections::HashMap;

use sprongus_core::error::Result;
use sprongus_core::run::step::{Step, StepStatus};
use sprongus_core::runs::Runs;

use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::repeated;

/// The outputs of the steps that need not run again, by name, of those that are `once`.
///
/// # Errors
/// When the store cannot say.
pub(crate) async fn completed(
    runs: &dyn Runs,
    active: &ActiveRun,
    once: impl Fn(&str) -> bool,
) -> Result<HashMap<String, String>> {
    // Under its first claim a run has no earlier steps.
    if active.hold.epoch <= 1 {
        return Ok(HashMap::new());
    }
    let steps = repeated(active, || runs.steps(active.hold.id)).await?;
    let wanted = |step: &Step| {
        step.epoch < active.hold.epoch && step.status == StepStatus::Completed && once(&step.name)
    };
    let done = steps.into_iter().filter(wanted).map(|step| (step.name, step.output.unwrap_or_default()));
    Ok(done.collect())
}
