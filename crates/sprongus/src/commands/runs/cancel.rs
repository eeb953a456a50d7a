//! `runs cancel`: calls runs off.

use sprongus_core::run::state::State;

use super::select::chosen::{self, ChosenArgs, Report, Verb};
use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

const CANCEL: Verb = Verb { name: "cancel", states: &[State::Queued, State::Running] };

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub chosen: ChosenArgs,
}

/// Does it, after asking.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let Some(found) = chosen::choose(&args.chosen, app, runs.as_ref(), &CANCEL).await? else {
        return Ok(Exit::Done);
    };
    let mut report = Report::new(app, &args.chosen);
    for run in found {
        report.add(runs.cancel(run.id).await)?;
    }
    Ok(report.finish())
}
