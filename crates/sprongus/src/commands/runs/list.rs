//! `runs list`: a page of runs, newest first.

use sprongus_core::run::list::ListFilter;

use super::select::filter::FilterArgs;
use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::run::table;
use crate::render::screen::Format;

/// Which runs, and how many.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Maximum number of results, 1 to 100
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
    /// Continue after a previous page: its `nextCursor`
    #[arg(long)]
    pub cursor: Option<String>,
}

/// Prints the page.
pub async fn run(args: Args, app: &App) -> Outcome {
    let filter = ListFilter { limit: args.limit, cursor: args.cursor, ..args.filter.filter() };
    let runs = app.connect(Access::Existing).await?.runs;
    let page = runs.list(&filter).await?;
    app.screen.list(&page, |run| run.id.to_string(), || table(&page.data, app.screen.now()))?;
    if let Some(cursor) = page.next_cursor.as_ref().filter(|_| app.screen.format == Format::People) {
        app.screen.note(&format!("more results: add --cursor {cursor}"));
    }
    Ok(Exit::Done)
}
