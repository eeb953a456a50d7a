//! `runs tail`: follows a run live to its end.

use std::time::Duration;

use crate::app::App;
use crate::cli::times;
use crate::commands::follow::no_worker_hint::{self, Remedy};
use crate::commands::follow::{Limits, PATIENCE, Show, to_the_end};
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::run::ending;
use crate::render::screen::Format;

/// Which run, and for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
    /// Stop following after this long; the run continues
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub timeout: Option<Duration>,
    /// How long to keep retrying when the server does not respond (default: 5m)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub patience: Option<Duration>,
}

/// Follows it. Exits as the run ended.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = args.id.find(app, runs.as_ref()).await?;
    let run = runs.get(id).await?;
    no_worker_hint::note(app, runs.as_ref(), &run, Remedy::Worker, None).await?;
    let limits = Limits { timeout: args.timeout, patience: args.patience.unwrap_or(PATIENCE) };
    let run = to_the_end(&app.screen, runs.as_ref(), id, limits, Show::stream(&app.screen)).await?;
    if app.screen.format == Format::People {
        app.screen.text(&ending(&run))?;
    }
    Ok(Exit::of_run(run.state))
}
