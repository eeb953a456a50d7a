//! `runs tail`: follows a run live to its end.

use std::time::Duration;

use sprongus_core::ids::RunId;

use super::served;
use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::follow::{Show, to_the_end};
use crate::render::run::ending;
use crate::render::screen::Format;
use crate::times;

/// Which run, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id
    pub id: RunId,
    /// Stop following after this long; the run goes on
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub timeout: Option<Duration>,
}

/// Follows it. Exits as the run ended.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Reads).await?.runs;
    let run = runs.get(args.id).await?;
    served::note(app, runs.as_ref(), &run).await?;
    let run =
        to_the_end(&app.screen, runs.as_ref(), args.id, args.timeout, Show::stream(&app.screen)).await?;
    if app.screen.format == Format::People {
        app.screen.text(&ending(&run))?;
    }
    Ok(Exit::of_run(run.state))
}
