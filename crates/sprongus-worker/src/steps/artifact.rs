//! Keeps files of the work directory: a step of type `artifact`. What its patterns may be is in `pattern`, which files they mean
//! in `walk`; here they are kept.

mod pattern;
mod walk;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use sprongus_core::run::artifact::ArtifactName;

use crate::declaration::ArtifactDeclaration;
use crate::execution::transient::may_pass;
use crate::execution::upload;
use crate::process::{Head, StopReason};
use crate::steps::attempt::Attempt;
use crate::steps::context::StepContext;
use crate::steps::outcome::StepOutcome;
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
    /// What matches and is not kept, and why.
    left_out: BTreeSet<String>,
}

impl Keeping {
    /// What came of it, as the step's output: its last line says what is missing, for that is what people see first.
    fn output(&self, failure: Option<&str>) -> String {
        let left_out: Vec<_> = self.left_out.iter().map(String::as_str).collect();
        let left_out = (!left_out.is_empty()).then(|| format!("left out: {}", left_out.join("; ")));
        let lines =
            [Some(self.list.trim_end()).filter(|list| !list.is_empty()), left_out.as_deref(), failure];
        lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
    }
}

/// Executes the step.
pub(crate) async fn execute(
    attempt: &Attempt,
    declared: &ArtifactDeclaration,
    context: &StepContext<'_>,
) -> StepOutcome {
    let step = context.step;
    let mut keeping = Keeping::default();
    let kept = tokio::select! {
        biased;
        reason = context.until_stopped() => Kept::Stopped(reason),
        () = context.until_timed_out() => Kept::TimedOut,
        kept = keep_all(attempt, declared, context, &mut keeping) => kept,
    };
    let why = match &kept {
        Kept::Failed { why, .. } => Some(why.as_str()),
        Kept::All | Kept::TimedOut | Kept::Stopped(_) => None,
    };
    let mut output = Head::default();
    output.push(keeping.output(why).as_bytes());
    let first_artifact = keeping.first;
    let failure = match kept {
        Kept::All => None,
        Kept::Failed { why, retryable } => Some(attempt.failure(step, &why, retryable)),
        Kept::TimedOut => Some(attempt.timed_out(step, context.deadline)),
        Kept::Stopped(reason) => Some(attempt.stopped(step, reason)),
    };
    let output = Some(output.output());
    StepOutcome { output, first_artifact, failure, ..StepOutcome::default() }
}

async fn keep_all(
    attempt: &Attempt,
    declared: &ArtifactDeclaration,
    context: &StepContext<'_>,
    keeping: &mut Keeping,
) -> Kept {
    let patterns = match patterns(attempt, declared, context) {
        Ok(patterns) => patterns,
        Err(why) => return Kept::Failed { why, retryable: false },
    };
    let work = context.folders.work();
    let found = tokio::task::spawn_blocking(move || walk::find(&work, &patterns)).await;
    let Found { files, left_out } = match found {
        Ok(Ok(found)) => found,
        Ok(Err(fault)) => return Kept::Failed { why: fault.to_string(), retryable: fault.may_pass() },
        Err(error) => return Kept::Failed { why: error.to_string(), retryable: true },
    };
    keeping.left_out = left_out;
    for left in &keeping.left_out {
        let line = attempt.masks().text(&format!("[left out: {left}]"));
        context.recorder.say(Some(&context.step.name), line).await;
    }
    // A name is shown as it is, so one that is masked would point at nothing.
    if files.iter().any(|name| attempt.masks().are_in(name.as_str())) {
        let why = "cannot be stored: the name of a file contains a secret; rename it".to_owned();
        return Kept::Failed { why, retryable: false };
    }
    for name in files {
        if let Err(failed) = keep(context, name, keeping).await {
            return failed;
        }
    }
    Kept::All
}

fn patterns(
    attempt: &Attempt,
    declared: &ArtifactDeclaration,
    context: &StepContext<'_>,
) -> Result<Vec<Pattern>, String> {
    let names = attempt.names(context.step, context.active);
    let of = |template: &crate::template::Template| {
        let pieces = template.pieces(&names).map_err(|fault| fault.to_string())?;
        Pattern::of(&pieces).map_err(|fault| fault.to_string())
    };
    declared.paths.iter().map(of).collect()
}

async fn keep(context: &StepContext<'_>, name: ArtifactName, keeping: &mut Keeping) -> Result<(), Kept> {
    let opened = {
        let (work, name) = (context.folders.work(), name.clone());
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
    let runs = context.tools.runs.as_ref();
    let body = || upload::bytes_of(Arc::clone(&file));
    let log = Some((context.recorder, context.step.name.as_str()));
    match upload::keep(runs, context.active, &name, &upload::content_type(&name), body, log).await {
        Ok(artifact) => {
            // Writing to a string cannot fail.
            let _ = writeln!(keeping.list, "{} {}", artifact.name, artifact.size);
            keeping.first.get_or_insert(name);
            Ok(())
        }
        Err(error) => {
            let hint = format!("; {}", error.hint());
            let why = format!("cannot be stored: {name}: {}{hint}", error.message());
            Err(Kept::Failed { why, retryable: may_pass(error.code()) })
        }
    }
}
