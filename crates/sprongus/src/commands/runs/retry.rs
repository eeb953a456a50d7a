//! `runs retry`: gives failed or canceled runs a new budget of attempts.

use sprongus_core::run::state::State;

use super::select::chosen::{self, ChosenArgs, Report, Verb};
use crate::app::App;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

const RETRY: Verb = Verb { name: "retry", states: &[State::Failed, State::Canceled] };

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub chosen: ChosenArgs,
}

/// Does it, after asking.
pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let Some(found) = chosen::choose(&args.chosen, app, runs.as_ref(), &RETRY).await? else {
        return Ok(Exit::Done);
    };
    let mut report = Report::new(app, &args.chosen);
    for run in found {
        // What was shown is what is retried. A run that had not ended is refused by its state, which says more.
        let if_epoch = run.state.is_final().then_some(run.epoch);
        report.add(runs.retry(run.id, if_epoch).await)?;
    }
    Ok(report.finish())
}
