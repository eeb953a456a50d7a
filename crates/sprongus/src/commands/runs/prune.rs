//! `runs prune`: takes the ended runs that retention lets go.

use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::failure::Outcome;

/// How.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Count them, and take none
    #[arg(long)]
    pub dry_run: bool,
}

/// Takes them, or counts them.
pub async fn run(args: Args, app: &App) -> Outcome {
    let declared = app.declaration()?.map(|declaration| declaration.retention);
    let retention = declared.unwrap_or_default().or_default();
    let runs = app.connect(Access::Existing).await?.runs;
    let pruned = runs.prune(retention, args.dry_run).await?;
    app.screen.answer(&pruned, "", || {
        let counts: Vec<String> = pruned.runs.iter().map(|(state, runs)| format!("{runs} {state}")).collect();
        let counts = if counts.is_empty() { "no runs".to_owned() } else { counts.join(", ") };
        let verb = if args.dry_run { "would take" } else { "took" };
        format!("{verb} {counts}\n")
    })?;
    Ok(Exit::Done)
}
