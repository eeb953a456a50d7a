//! `runs prune`: takes the ended runs that retention lets go.

use std::collections::BTreeMap;

use sprongus_core::state::State;

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

/// How.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Count them, kind by kind, and take none
    #[arg(long)]
    pub dry_run: bool,
}

/// Takes them, or counts them.
pub async fn run(args: Args, app: &App) -> Outcome {
    let declared = app.declaration()?.map(|declaration| declaration.retention.or_default());
    let runs = app.connect(Access::Existing).await?.runs;
    let pruned = runs.prune(&declared.unwrap_or_default(), args.dry_run).await?;
    app.screen.answer(&pruned, "", || {
        let verb = if args.dry_run { "would take" } else { "took" };
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
