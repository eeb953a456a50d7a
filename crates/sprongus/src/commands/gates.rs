//! `gates`: the inbox of approvals.

pub mod answer;

use sprongus_core::run::list::ListFilter;
use sprongus_core::values::text::excerpt;

use super::runs::select::filter::FilterArgs;
use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::screen::Format;
use crate::render::table::Table;

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List gates waiting for approval, newest run first
    List(ListArgs),
}

/// Which of them, and how many.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Maximum number of results, 1 to 100
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
    /// Continue after a previous page: its `nextCursor`
    #[arg(long)]
    pub cursor: Option<String>,
}

pub async fn run(command: Command, app: &App) -> Outcome {
    let Command::List(args) = command;
    let filter = ListFilter { limit: args.limit, cursor: args.cursor, ..args.filter.filter() };
    let runs = app.connect(Access::Existing).await?.runs;
    let page = runs.gates(&filter).await?;
    let now = app.screen.now();
    app.screen.list(
        &page,
        |gate| gate.run_id.to_string(),
        || {
            let mut table = Table::new(["RUN", "KIND", "STEP", "PROJECT", "WAITING SINCE", "EXPIRES"]);
            for gate in &page.data {
                table.row([
                    gate.run_id.to_string().into(),
                    excerpt(gate.kind.as_str(), 64).into(),
                    excerpt(gate.step.as_deref().unwrap_or("–"), 64).into(),
                    gate.project_id.as_ref().map_or("", |project| project.as_str()).into(),
                    ago(gate.since, now).into(),
                    gate.until.map_or_else(|| "never".to_owned(), |until| ago(until, now)).into(),
                ]);
            }
            table.render("No gates are waiting for approval.")
        },
    )?;
    if app.screen.format == Format::People {
        if let Some(gate) = page.data.first() {
            let id = gate.run_id;
            app.screen.note(&format!("answer with `sprongus runs approve {id}` or `reject {id} --reason …`"));
        }
        if let Some(cursor) = &page.next_cursor {
            app.screen.note(&format!("more results: add --cursor {cursor}"));
        }
    }
    Ok(Exit::Done)
}
