//! Keeps files of the work directory: a step of type `artifact`. What its patterns may be is in `pattern`, which files they mean
//! in `walk`; here they are kept.

mod pattern;
mod walk;

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sprongus_core::artifact::ArtifactName;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::declaration::{ArtifactDeclaration, StepDeclaration};
use crate::execution::transient::may_pass;
use crate::execution::upload;
use crate::process::{Head, StopReason};
use crate::steps::ai_action::{passed, stopped};
use crate::steps::attempt::{Attempt, Place};
use crate::steps::outcome::Ended;
use pattern::Pattern;
use walk::Found;

/// How the keeping ended.
enum Kept {
    All,
    Failed { why: String, retryable: bool },
    TimedOut,
    Stopped(StopReason),
}

/// What was kept so far.
#[derive(Default)]
struct Keeping {
    /// The first of the names.
    first: Option<ArtifactName>,
    /// One `name size` a line.
    list: String,
}

/// Executes the step. `deadline` is the end of the whole attempt's time, or of CLEANUP's; the step's own `timeout` counts
/// besides. It ends soon after `stop` has a reason.
pub(crate) async fn execute(
    attempt: &mut Attempt,
    step: &StepDeclaration,
    declared: &ArtifactDeclaration,
    place: &Place<'_>,
    deadline: Option<Instant>,
    stop: watch::Receiver<Option<StopReason>>,
) -> Ended {
    let until = [step.timeout.map(|limit| Instant::now() + limit), deadline].into_iter().flatten().min();
    let mut keeping = Keeping::default();
    let kept = tokio::select! {
        biased;
        reason = stopped(stop) => Kept::Stopped(reason),
        () = passed(until) => Kept::TimedOut,
        kept = keep_all(attempt, step, declared, place, &mut keeping) => kept,
    };
    let Keeping { first, list } = keeping;
    let mut output = Head::default();
    output.push(list.as_bytes());
    let trouble = match kept {
        Kept::All => None,
        Kept::Failed { why, retryable } => Some(attempt.trouble(step, &why, retryable)),
        Kept::TimedOut => Some(attempt.timed_out(step, deadline)),
        Kept::Stopped(reason) => Some(attempt.stopped(step, reason)),
    };
    // What a command named comes first; of artifacts the run's first one.
    if let (None, None, Some(name)) = (&trouble, &attempt.said.output_ref, first) {
        attempt.said.output_ref = Some(name.reference(place.held.hold.id));
    }
    Ended { output: Some(output.output()), trouble, ..Ended::default() }
}

async fn keep_all(
    attempt: &Attempt,
    step: &StepDeclaration,
    declared: &ArtifactDeclaration,
    place: &Place<'_>,
    keeping: &mut Keeping,
) -> Kept {
    let patterns = match patterns(attempt, step, declared, place) {
        Ok(patterns) => patterns,
        Err(why) => return Kept::Failed { why, retryable: false },
    };
    let work = place.folders.work();
    let found = tokio::task::spawn_blocking(move || walk::find(&work, &patterns)).await;
    let Found { files, left_out } = match found {
        Ok(Ok(found)) => found,
        Ok(Err(fault)) => return Kept::Failed { why: fault.to_string(), retryable: fault.may_pass() },
        Err(error) => return Kept::Failed { why: error.to_string(), retryable: true },
    };
    for left in left_out {
        let line = attempt.masks.text(&format!("[left out: {left}]"));
        place.recorder.say(Some(&step.name), line).await;
    }
    // A name is shown as it is, so one that is masked would point at nothing.
    if files.iter().any(|name| attempt.masks.are_in(name.as_str())) {
        let why = "cannot be kept: the name of a file holds a secret; name it otherwise".to_owned();
        return Kept::Failed { why, retryable: false };
    }
    for name in files {
        if let Err(failed) = keep(place, &step.name, name, keeping).await {
            return failed;
        }
    }
    Kept::All
}

fn patterns(
    attempt: &Attempt,
    step: &StepDeclaration,
    declared: &ArtifactDeclaration,
    place: &Place<'_>,
) -> Result<Vec<Pattern>, String> {
    let names = attempt.names(step, place);
    let of = |template: &crate::template::Template| {
        let pieces = template.pieces(&names).map_err(|fault| fault.to_string())?;
        Pattern::of(&pieces).map_err(|fault| fault.to_string())
    };
    declared.paths.iter().map(of).collect()
}

async fn keep(place: &Place<'_>, step: &str, name: ArtifactName, keeping: &mut Keeping) -> Result<(), Kept> {
    let opened = {
        let (work, name) = (place.folders.work(), name.clone());
        tokio::task::spawn_blocking(move || walk::open(&work, Path::new(name.as_str()))).await
    };
    let file: Arc<File> = match opened.map_err(std::io::Error::other).flatten() {
        Ok(file) => Arc::new(file),
        Err(error) => {
            // It was there a moment ago: something is still at work in there.
            let why = format!("cannot be read: {} ({})", name, error.kind());
            return Err(Kept::Failed { why, retryable: true });
        }
    };
    let runs = place.tools.runs.as_ref();
    let body = || upload::bytes_of(Arc::clone(&file));
    let told = Some((place.recorder, step));
    match upload::keep(runs, place.held, &name, &upload::content_type(&name), body, told).await {
        Ok(artifact) => {
            // Writing to a string cannot fail.
            let _ = writeln!(keeping.list, "{} {}", artifact.name, artifact.size);
            keeping.first.get_or_insert(name);
            Ok(())
        }
        Err(error) => {
            let hint = format!("; {}", error.hint());
            let why = format!("cannot be kept: {name}: {}{hint}", error.message());
            Err(Kept::Failed { why, retryable: may_pass(error.code()) })
        }
    }
}
