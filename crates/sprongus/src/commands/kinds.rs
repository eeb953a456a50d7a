//! `kinds`: pausing and resuming them.

use sprongus_core::directory::KindSetting;
use sprongus_core::list::Page;
use sprongus_core::names::Kind;
use sprongus_core::text::excerpt;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::render::age::ago;
use crate::render::style::{ATTENTION, GOOD};
use crate::render::table::{Cell, Table};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// The kinds that somebody paused or resumed
    List,
    /// Let no run of a kind be claimed; what runs goes on
    Pause {
        /// Which kind
        kind: Kind,
    },
    /// Let its runs be claimed again
    Resume {
        /// Which kind
        kind: Kind,
    },
}

/// Does it.
pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::List => {
            let runs = app.connect(Access::Existing).await?.runs;
            let page = Page { data: runs.kinds().await?, next_cursor: None };
            let now = app.screen.now();
            app.screen.list(
                &page,
                |setting| setting.kind.to_string(),
                || {
                    let mut table = Table::new(["KIND", "STATE", "SINCE", "BY"]);
                    for setting in &page.data {
                        let (word, style) = word(setting);
                        let since = setting.changed_at.map_or_else(|| "–".to_owned(), |at| ago(at, now));
                        let by = setting.changed_by.as_deref().unwrap_or("–");
                        table.row([
                            setting.kind.as_str().into(),
                            Cell::styled(word, style),
                            since.into(),
                            excerpt(by, 40).into(),
                        ]);
                    }
                    table.render("no kind was ever paused")
                },
            )?;
        }
        Command::Pause { kind } => set(app, &kind, true).await?,
        Command::Resume { kind } => set(app, &kind, false).await?,
    }
    Ok(Exit::Done)
}

async fn set(app: &App, kind: &Kind, paused: bool) -> Outcome<()> {
    let runs = app.connect(Access::Creating).await?.runs;
    let setting = runs.pause_kind(kind, paused).await?;
    app.screen.answer(&setting, kind.as_str(), || format!("{kind} is {}\n", word(&setting).0))
}

fn word(setting: &KindSetting) -> (&'static str, anstyle::Style) {
    if setting.paused { ("paused", ATTENTION) } else { ("open", GOOD) }
}
