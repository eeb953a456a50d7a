//! `runs steps`: a run's steps, by attempt and order.

use sprongus_core::ids::RunId;
use sprongus_core::list::Page;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::render::steps::table;

/// Which run.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id
    pub id: RunId,
}

/// Shows them.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Reads).await?.runs;
    let page = Page { data: runs.steps(args.id).await?, next_cursor: None };
    app.screen.list(&page, |step| step.id.to_string(), || table(&page.data, app.screen.now()))?;
    Ok(Exit::Done)
}
