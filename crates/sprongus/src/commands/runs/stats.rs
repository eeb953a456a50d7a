//! `runs stats`: the figures of the workspace.

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::stats::block;

/// How.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Make the figures over time anew first, from the events that are there; beside the database alone
    #[arg(long)]
    pub rebuild: bool,
}

/// Shows them.
pub async fn run(args: Args, app: &App) -> Outcome {
    let connection = app.connect(Access::Existing).await?;
    if args.rebuild {
        let (service, caller) = connection.service()?;
        service.rebuild_figures(caller).await?;
        app.screen.note("the figures over time were made anew");
    }
    let stats = connection.runs.stats().await?;
    app.screen.answer(&stats, "", || block(&stats))?;
    Ok(Exit::Done)
}
