//! `kinds`: what there is, and pausing and resuming it.

use std::collections::BTreeMap;

use serde::Serialize;
use sprongus_core::run::list::Page;
use sprongus_core::values::names::Kind;
use sprongus_core::values::text::excerpt;
use sprongus_core::workspace::directory::{KindSetting, KindStats};

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::age::ago;
use crate::render::style::{ATTENTION, BAD, GOOD};
use crate::render::table::{Cell, Table};

/// What to do with them.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List kinds that are declared here, have live runs, are served by workers, or are paused
    List,
    /// Stop workers from starting runs of this kind; running ones continue
    Pause {
        /// Name of the kind
        kind: Kind,
    },
    /// Let workers start runs of this kind again
    Resume {
        /// Name of the kind
        kind: Kind,
    },
}

/// A kind, and how it stands.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(flatten)]
    setting: KindSetting,
    /// Whether the `sprongus.toml` here declares it.
    declared: bool,
    /// Workers that would claim its runs.
    workers: u64,
    #[serde(flatten)]
    stats: KindStats,
}

pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::List => list(app).await?,
        Command::Pause { kind } => set(app, &kind, true).await?,
        Command::Resume { kind } => set(app, &kind, false).await?,
    }
    Ok(Exit::Done)
}

async fn list(app: &App) -> Outcome<()> {
    let runs = app.connect(Access::Existing).await?.runs;
    let declaration = app.usable_declaration()?;
    let (mut stats, workers) = (runs.stats().await?.kinds, runs.workers().await?);
    let mut settings: BTreeMap<Kind, KindSetting> =
        runs.kinds().await?.into_iter().map(|setting| (setting.kind.clone(), setting)).collect();
    let declared: Vec<&String> =
        declaration.iter().flat_map(|it| it.kinds.keys().chain(it.broken.keys())).collect();
    let served = workers.iter().flat_map(|worker| worker.kinds.iter().flatten()).cloned();
    let named = declared.iter().map(|name| name.as_str()).chain(stats.keys().map(String::as_str));
    let all: Vec<Kind> = named.filter_map(|name| name.parse().ok()).chain(served).collect();
    for kind in all {
        settings.entry(kind.clone()).or_insert_with(|| KindSetting {
            kind,
            paused: false,
            changed_at: None,
            changed_by: None,
        });
    }
    let lines = settings.into_values().map(|setting| Line {
        declared: declared.iter().any(|name| *name == setting.kind.as_str()),
        workers: workers.iter().filter(|worker| worker.serves(&setting.kind)).count() as u64,
        stats: stats.remove(setting.kind.as_str()).unwrap_or_default(),
        setting,
    });
    let page = Page { data: lines.collect(), next_cursor: None };
    app.screen.list(&page, |line| line.setting.kind.to_string(), || table(&page.data, app))
}

fn table(lines: &[Line], app: &App) -> String {
    let now = app.screen.now();
    let mut table =
        Table::new(["KIND", "STATE", "SINCE", "BY", "WORKERS", "DUE", "SCHEDULED", "APPROVALS", "RUNNING"]);
    for Line { setting, workers, stats, .. } in lines {
        let (word, style) = word(setting);
        let workers =
            if *workers == 0 && stats.due > 0 { Cell::styled("none", BAD) } else { Cell::number(workers) };
        table.row([
            setting.kind.as_str().into(),
            Cell::styled(word, style),
            setting.changed_at.map_or_else(String::new, |at| ago(at, now)).into(),
            excerpt(setting.changed_by.as_deref().unwrap_or_default(), 40).into(),
            workers,
            Cell::number(stats.due),
            Cell::number(stats.later),
            Cell::number(stats.waiting),
            Cell::number(stats.running),
        ]);
    }
    table.render("No kinds: none are declared here, have live runs or have been paused.")
}

async fn set(app: &App, kind: &Kind, paused: bool) -> Outcome<()> {
    let runs = app.connect(Access::Creating).await?.runs;
    let setting = runs.pause_kind(kind, paused).await?;
    app.screen.answer(&setting, kind.as_str(), || format!("{kind} is {}\n", word(&setting).0))
}

fn word(setting: &KindSetting) -> (&'static str, anstyle::Style) {
    if setting.paused { ("paused", ATTENTION) } else { ("open", GOOD) }
}
