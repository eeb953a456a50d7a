//! `runs reject`: does not let a run pass the gate it waits at; it fails for good.

use sprongus_core::run::Answer;
use sprongus_core::values::ids::StepId;

use crate::app::App;
use crate::commands::gates::answer;
use crate::commands::runs::select::run_ref::RunRef;
use crate::exit::failure::Outcome;

/// Which run, and why not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
    /// Reason, recorded as the run's error
    #[arg(long)]
    pub reason: String,
    /// Step of the gate (default: the one the run is waiting at)
    #[arg(long, value_name = "STEP-ID")]
    pub step: Option<StepId>,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    answer::give(app, &args.id, args.step, Answer::Rejected, Some(args.reason)).await
}
