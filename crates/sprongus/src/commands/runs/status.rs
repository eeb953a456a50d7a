//! `runs status`: a run as it stands.

use sprongus_core::run::event::EventType;
use sprongus_core::run::follow::MAX_NEWS;
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::{Result, Runs};

use crate::app::App;
use crate::commands::runs::select::run_ref::RunRef;
use crate::connect::Access;
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::render::run::{LastRelease, Released, block};
use crate::render::screen::Format;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run id, or six or more characters from its beginning or end, or @last
    pub id: RunRef,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    let runs = app.connect(Access::Existing).await?.runs;
    let id = args.id.find(app, runs.as_ref()).await?;
    let run = runs.get(id).await?;
    // Only people are shown steps and files beside their run; programs ask for them.
    let (steps, artifacts) = match app.screen.format {
        Format::People => (runs.steps(id).await?, runs.artifacts(id).await?),
        Format::Json | Format::Quiet => (Vec::new(), Vec::new()),
    };
    let released = match app.screen.format {
        Format::People if run.state == State::Queued => released(runs.as_ref(), &run).await?,
        Format::People | Format::Json | Format::Quiet => Released::default(),
    };
    app.screen
        .answer(&run, &run.id.to_string(), || block(&run, &steps, &artifacts, &released, app.screen.now()))?;
    Ok(Exit::Done)
}

/// How often the run was given back since it was enqueued. A run that was claimed no oftener than it has attempts never was.
async fn released(runs: &dyn Runs, run: &RunView) -> Result<Released> {
    let mut released = Released::default();
    if run.epoch <= u64::from(run.attempt) {
        return Ok(released);
    }
    let mut after = 0;
    loop {
        let events = runs.events(run.id, after, MAX_NEWS).await?;
        for event in events.iter().filter(|event| event.kind == EventType::Released) {
            let worker = event.payload.to_value()["workerId"].as_str().map(str::to_owned);
            released.times += 1;
            released.last =
                Some(LastRelease { at: event.at, by: worker.unwrap_or_else(|| event.actor.clone()) });
        }
        match events.last() {
            Some(last) => after = last.seq,
            None => return Ok(released),
        }
    }
}
