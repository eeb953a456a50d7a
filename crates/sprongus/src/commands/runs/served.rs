//! Whether anybody will claim a run; said on the side, because a run that nobody serves waits without a word.

use sprongus_core::run::Run;
use sprongus_core::state::State;
use sprongus_core::{Result, Runs};

use crate::app::App;
use crate::render::style::{ATTENTION, paint};

/// Says so when nobody will.
///
/// # Errors
/// `unavailable`.
pub async fn note(app: &App, runs: &dyn Runs, run: &Run) -> Result<()> {
    if run.state != State::Queued || run.waiting_for().is_some() {
        return Ok(());
    }
    let workers = runs.workers().await?;
    let kind = &run.kind;
    let text = if workers.is_empty() {
        "no worker is running here; start one with `sprongus worker`, or add `--work`".to_owned()
    } else if !workers.iter().any(|worker| worker.serves(kind)) {
        format!(
            "no worker here serves {kind}; start one with `sprongus worker` where it is declared, or add `--work`"
        )
    } else if runs.kinds().await?.iter().any(|setting| setting.paused && setting.kind == *kind) {
        format!("{kind} is paused; `sprongus kinds resume {kind}` lets it go on")
    } else {
        return Ok(());
    };
    app.screen.note(&format!("{} {text}", paint(ATTENTION, "note:")));
    Ok(())
}
