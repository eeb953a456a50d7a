//! `runs status`: a run as it stands.

use sprongus_core::ids::RunId;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::render::run::block;
use crate::render::screen::Format;

/// Which run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id
    pub id: RunId,
}

/// Shows it.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let run = runs.get(args.id).await?;
    // Only people are shown steps and files beside their run; programs ask for them.
    let (steps, artifacts) = match app.screen.format {
        Format::People => (runs.steps(args.id).await?, runs.artifacts(args.id).await?),
        Format::Json | Format::Quiet => (Vec::new(), Vec::new()),
    };
    app.screen.answer(&run, &run.id.to_string(), || block(&run, &steps, &artifacts, app.screen.now()))?;
    Ok(Exit::Done)
}
