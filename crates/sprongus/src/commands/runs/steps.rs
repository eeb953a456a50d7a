//! `runs steps`: a run's steps, by attempt and order.

use sprongus_core::run::list::Page;

use crate::app::App;
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::steps::table;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = args.id.find(app, runs.as_ref()).await?;
    let page = Page { data: runs.steps(id).await?, next_cursor: None };
    app.screen.list(&page, |step| step.id.to_string(), || table(&page.data, app.screen.now()))?;
    Ok(Exit::Done)
}
