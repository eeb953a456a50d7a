//! Answering a gate; what `approve` and `reject` share.

use sprongus_core::run::Answer;
use sprongus_core::values::ids::StepId;

use crate::app::App;
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::run::line;

/// Gives the answer. Without a step it is the one the run waits at now; it is named to the store, so that the answer cannot
/// meet the next gate.
pub async fn give(
    app: &App,
    id: &RunRef,
    step: Option<StepId>,
    answer: Answer,
    comment: Option<String>,
) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = id.find(app, runs.as_ref()).await?;
    let step = match step {
        Some(step) => Some(step),
        None => runs.get(id).await?.waiting_for.map(|gate| gate.step_id),
    };
    let run = runs.answer(id, step, answer, comment).await?;
    app.screen.answer(&run, &run.id.to_string(), || line(&run))?;
    Ok(Exit::Done)
}
