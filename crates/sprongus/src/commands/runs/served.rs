//! Whether anybody will claim a run; said on the side, because a run that nobody serves waits without a word.

use sprongus_core::run::Run;
use sprongus_core::state::State;
use sprongus_core::{Result, Runs};

use crate::app::App;
use crate::render::screen::Format;
use crate::render::style::{ATTENTION, paint};

/// What the person could do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Start a worker, or ask again with `--work`.
    WorkerOrWork,
    /// Start a worker.
    Worker,
    /// Nothing: it is executed here.
    Here,
}

/// Says so when nobody will.
///
/// # Errors
/// `unavailable`.
pub async fn note(app: &App, runs: &dyn Runs, run: &Run, remedy: Remedy) -> Result<()> {
    if run.state != State::Queued || run.waiting_for().is_some() || app.screen.format == Format::Quiet {
        return Ok(());
    }
    if let Some(text) = unserved(runs, run, remedy).await? {
        app.screen.note(&format!("{} {text}", paint(ATTENTION, "note:")));
    }
    Ok(())
}

async fn unserved(runs: &dyn Runs, run: &Run, remedy: Remedy) -> Result<Option<String>> {
    let kind = &run.kind;
    let or_work = match remedy {
        Remedy::WorkerOrWork => ", or add `--work`",
        Remedy::Worker | Remedy::Here => "",
    };
    if remedy != Remedy::Here {
        let workers = runs.workers().await?;
        if workers.is_empty() {
            return Ok(Some(format!("no worker is running here; start one with `sprongus worker`{or_work}")));
        }
        if !workers.iter().any(|worker| worker.serves(kind)) {
            let start = format!("start one with `sprongus worker` where it is declared{or_work}");
            return Ok(Some(format!("no worker here serves {kind}; {start}")));
        }
    }
    let is_paused = runs.kinds().await?.iter().any(|setting| setting.paused && setting.kind == *kind);
    Ok(is_paused.then(|| format!("{kind} is paused; `sprongus kinds resume {kind}` lets it go on")))
}
