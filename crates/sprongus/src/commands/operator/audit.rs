//! `audit`: what operators did.

use sprongus_core::values::text::excerpt;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::{OperatorEvent, OperatorEventType, OperatorFilter};

use crate::app::App;
use crate::cli::times;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::screen::Format;
use crate::render::table::Table;

/// What to do with it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List operator events, newest first: tokens, workspaces, projects, kinds, workers, retention
    List(ListArgs),
}

/// Which events, and how many.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only events of this type, such as operator.token_created (repeatable)
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<OperatorEventType>,
    /// Only events by this actor: a token name, or a user of this machine
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only events at or after this time
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub since: Option<Timestamp>,
    /// Only events before this time
    #[arg(long, value_name = "TIME", value_parser = times::instant)]
    pub before: Option<Timestamp>,
    /// Maximum number of results, 1 to 100
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
    /// Continue after a previous page: its `nextCursor`
    #[arg(long)]
    pub cursor: Option<String>,
}

pub async fn run(command: Command, app: &App) -> Outcome {
    let Command::List(args) = command;
    let filter = OperatorFilter {
        types: args.types,
        actor: args.actor,
        since: args.since,
        before: args.before,
        limit: args.limit,
        cursor: args.cursor,
    };
    let page = app.connect(Access::Existing).await?.admin.operator_events(&filter).await?;
    app.screen.list(&page, |event| event.id.to_string(), || table(&page.data, app.screen.now()))?;
    if let Some(cursor) = page.next_cursor.as_ref().filter(|_| app.screen.format == Format::People) {
        app.screen.note(&format!("more results: add --cursor {cursor}"));
    }
    Ok(Exit::Done)
}

fn table(events: &[OperatorEvent], now: Timestamp) -> String {
    let mut table = Table::new(["WHEN", "TYPE", "SUBJECT", "BY", "TOKEN", "CHANGE"]);
    for event in events {
        table.row([
            ago(event.at, now).into(),
            event.kind.as_str().into(),
            excerpt(event.subject.as_deref().unwrap_or_default(), 40).into(),
            excerpt(&event.actor, 32).into(),
            event.token_id.map(|id| id.to_string()).unwrap_or_default().into(),
            excerpt(&change(event), 80).into(),
        ]);
    }
    table.render("No operator events.")
}

/// What differs between before and after, in a line.
fn change(event: &OperatorEvent) -> String {
    let state = |state: &Option<sprongus_core::json::Json>| match state.as_ref().map(|state| state.to_value())
    {
        Some(serde_json::Value::Object(members)) => members,
        Some(_) | None => serde_json::Map::new(),
    };
    let (before, after) = (state(&event.before), state(&event.after));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value) && !value.is_null());
    let texts = changed.map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name} {text}"),
        None => format!("{name} {value}"),
    });
    texts.collect::<Vec<_>>().join(", ")
}
