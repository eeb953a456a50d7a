//! `runs stats`: the figures of the workspace.

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::stats::block;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// First rebuild the figures over time from the stored events; not through a server
    #[arg(long)]
    pub rebuild: bool,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    let connection = app.connect(Access::Existing).await?;
    if args.rebuild {
        let (service, caller) = connection.service()?;
        service.rebuild_figures(caller).await?;
        app.screen.note("rebuilt the figures over time");
    }
    let stats = connection.runs.stats().await?;
    app.screen.answer(&stats, "", || block(&stats))?;
    Ok(Exit::Done)
}
