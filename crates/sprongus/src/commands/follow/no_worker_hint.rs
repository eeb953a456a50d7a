//! Whether anybody will claim a run; said on the side, because a run that nobody serves waits without a word.

use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::values::text::printable;
use sprongus_core::{Result, Runs};
use sprongus_worker::declaration::Declaration;

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

/// A kind that the `sprongus.toml` here does not declare, as it may well be misspelt.
pub struct Unknown {
    file: String,
    meant: Option<String>,
}

/// Whether the declaration here is without `kind`.
pub fn unknown(declaration: Option<&Declaration>, kind: &str) -> Option<Unknown> {
    let declaration =
        declaration.filter(|it| !it.kinds.contains_key(kind) && !it.broken.contains_key(kind))?;
    let file = declaration.path.display().to_string();
    Some(Unknown { file, meant: declaration.kind_like(kind).map(str::to_owned) })
}

/// Says so when nobody will; of a kind that is `unknown` here, first of all that it is.
///
/// # Errors
/// `unavailable`.
pub async fn note(
    app: &App,
    runs: &dyn Runs,
    run: &RunView,
    remedy: Remedy,
    unknown: Option<&Unknown>,
) -> Result<()> {
    if run.state != State::Queued || run.waiting_for.is_some() || app.screen.format == Format::Quiet {
        return Ok(());
    }
    if let Some(text) = unserved(runs, run, remedy, unknown).await? {
        match app.screen.format {
            Format::Json => app.screen.note(&text),
            Format::People | Format::Quiet => {
                app.screen.note(&format!("{} {text}", paint(ATTENTION, "note:")));
            }
        }
    }
    Ok(())
}

async fn unserved(
    runs: &dyn Runs,
    run: &RunView,
    remedy: Remedy,
    unknown: Option<&Unknown>,
) -> Result<Option<String>> {
    let kind = &run.kind;
    let or_work = match remedy {
        Remedy::WorkerOrWork => ", or add `--work`",
        Remedy::Worker | Remedy::Here => "",
    };
    let workers = if remedy == Remedy::Here { None } else { Some(runs.workers().await?) };
    let is_served = workers.as_ref().is_none_or(|workers| workers.iter().any(|worker| worker.serves(kind)));
    if let Some(Unknown { file, meant }) = unknown.filter(|_| !is_served) {
        let text = format!("{} does not declare {kind}", printable(file));
        let cancel = format!("cancel this one with `sprongus runs cancel {}`", run.id);
        return Ok(Some(match meant {
            Some(meant) => format!("{text}; did you mean {meant}? {cancel}"),
            None => format!("{text}, and no worker serves it"),
        }));
    }
    // While it is paused no worker would help.
    if runs.kinds().await?.iter().any(|setting| setting.paused && setting.kind == *kind) {
        return Ok(Some(format!("{kind} is paused; resume it with `sprongus kinds resume {kind}`")));
    }
    Ok(match workers {
        Some(workers) if workers.is_empty() => {
            Some(format!("no workers are running; start one with `sprongus worker`{or_work}"))
        }
        Some(_) if !is_served => {
            let start = format!("start one with `sprongus worker` where it is declared{or_work}");
            Some(format!("no worker serves {kind}; {start}"))
        }
        Some(_) | None => None,
    })
}
