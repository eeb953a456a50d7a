//! `runs prune`: takes the ended runs that retention lets go.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};

use sprongus_core::ErrorCode;
use sprongus_core::run::retention::PruneMode;
use sprongus_core::run::state::State;

use crate::app::App;
use crate::commands::confirm;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show how many would be deleted, by kind, without deleting any
    #[arg(long)]
    pub dry_run: bool,
    /// Take them even where the clock may be wrong; do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Takes them, or counts them.
pub async fn run(args: Args, app: &App) -> Outcome {
    let declared = app.declaration()?.map(|declaration| declaration.retention.or_default());
    let runs = app.connect(Access::Existing).await?.runs;
    let retention = declared.unwrap_or_default();
    let mode = match (args.dry_run, args.yes) {
        (true, _) => PruneMode::DryRun,
        (false, true) => PruneMode::Confirmed,
        (false, false) => PruneMode::Checked,
    };
    let pruned = match runs.prune(&retention, mode).await {
        // The clock may be wrong; without a terminal the hint says what to do.
        Err(error) if error.code() == ErrorCode::Conflict && io::stdin().is_terminal() => {
            if !confirm::ask(app, &format!("{}. Delete them?", error.message()), false)? {
                app.screen.note("nothing was deleted");
                return Ok(Exit::Done);
            }
            runs.prune(&retention, PruneMode::Confirmed).await?
        }
        answer => answer?,
    };
    app.screen.answer(&pruned, "", || {
        let verb = if args.dry_run { "would delete" } else { "deleted" };
        let mut text = format!("{verb} {}\n", counts(&pruned.runs));
        for (kind, states) in &pruned.kinds {
            text.push_str(&format!("  {kind}: {}\n", counts(states)));
        }
        text
    })?;
    Ok(Exit::Done)
}

fn counts(runs: &BTreeMap<State, u64>) -> String {
    let counts: Vec<String> = runs.iter().map(|(state, runs)| format!("{runs} {state}")).collect();
    if counts.is_empty() { "no runs".to_owned() } else { counts.join(", ") }
}
