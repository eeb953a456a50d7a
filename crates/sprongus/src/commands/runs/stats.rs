//! `runs stats`: the figures of the workspace.

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::render::stats::block;

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Shows them.
pub async fn run(_: Args, app: &App) -> Outcome {
    let stats = app.connect(Access::Reads).await?.runs.stats().await?;
    app.screen.answer(&stats, "", || block(&stats))?;
    Ok(Exit::Done)
}
