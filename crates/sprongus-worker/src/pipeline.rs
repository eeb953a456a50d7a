//! A kind declared in `sprongus.toml`, as an executor: what is made ready before its steps, and what is reported after
//! them. The steps themselves are in [`crate::attempt`].

use std::path::Path;
use std::sync::Arc;

use sprongus_core::error::ErrorCode;
use sprongus_core::rules::backoff::Backoff;
use sprongus_core::run::Outcome;

use crate::attempt::{Attempt, Place, Verdict};
use crate::declaration::{Declaration, KindDeclaration, StepAction};
use crate::execution::{Execute, Executing, Execution, Work};
use crate::once;
use crate::process::StopReason;
use crate::recorder::Recorder;
use crate::secrets::{Resolved, resolve};
use crate::template::{RunNames, TemplateContext, TemplateFault};
use crate::workdir::Workdir;

/// A declared kind.
#[derive(Clone)]
pub(crate) struct Pipeline {
    kind: Arc<KindDeclaration>,
    project_dir: Arc<Path>,
}

impl Pipeline {
    /// Every kind of a declaration.
    pub(crate) fn all(declaration: Declaration) -> impl Iterator<Item = (String, Self)> {
        // Commands run elsewhere, so the folder must not depend on where the worker was started.
        let absolute = std::path::absolute(&declaration.project_dir);
        let project_dir: Arc<Path> = absolute.unwrap_or(declaration.project_dir).into();
        declaration.kinds.into_iter().map(move |(name, kind)| {
            (name, Self { kind: Arc::new(kind), project_dir: Arc::clone(&project_dir) })
        })
    }
}

impl Execute for Pipeline {
    fn execute(&self, work: Work) -> Executing {
        let Self { kind, project_dir } = self.clone();
        Box::pin(async move {
            let recorder = Recorder::start(Arc::clone(&work.tools.runs), Arc::clone(&work.held));
            let execution = match ready(&kind, &project_dir, &work).await {
                Ok((attempt, folders)) => {
                    let execution = run(&kind, &work, &recorder, attempt, &folders).await;
                    folders.remove().await;
                    execution
                }
                Err(NotReady { error, retryable }) => {
                    recorder.say(None, error.clone()).await;
                    Execution::failed(error, retryable)
                }
            };
            recorder.end().await;
            execution
        })
    }
}

/// Why not even the first step was begun.
struct NotReady {
    error: String,
    retryable: bool,
}

fn for_good(error: String) -> NotReady {
    NotReady { error, retryable: false }
}

async fn ready(
    kind: &Arc<KindDeclaration>,
    project_dir: &Path,
    work: &Work,
) -> Result<(Attempt, Workdir), NotReady> {
    // The schema speaks of the input as it was enqueued, as it did to whoever enqueued it.
    if let Some(schema) = &kind.input_schema {
        schema.check(&work.run.input.to_value()).map_err(|violations| {
            let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
            for_good(format!("the input does not meet its schema: {}", all.join("; ")))
        })?;
    }
    let Resolved { input, masks } =
        resolve(&work.run.input, work.tools.secrets.as_deref()).map_err(for_good)?;
    check_templates(kind, project_dir, work, &input)
        .map_err(|fault| for_good(masks.text(&fault.to_string())))?;
    let done =
        once::completed(work.tools.runs.as_ref(), &work.held, kind).await.map_err(|error| NotReady {
            error: format!("the steps of earlier attempts cannot be read: {}", error.message()),
            retryable: error.code() != ErrorCode::NotFound,
        })?;
    let text = input.to_string().into_bytes();
    let folders = {
        let (scratch, hold) = (work.tools.scratch.clone(), work.held.hold.clone());
        tokio::task::spawn_blocking(move || Workdir::make(&scratch, &hold, &text)).await
    };
    let folders = match folders {
        Ok(Ok(folders)) => folders,
        Ok(Err(error)) => return Err(no_place(&error.to_string())),
        Err(error) => return Err(no_place(&error.to_string())),
    };
    Ok((Attempt::new(Arc::clone(kind), project_dir.to_owned(), input, masks, done), folders))
}

fn no_place(error: &str) -> NotReady {
    NotReady { error: format!("no work directory can be made: {error}"), retryable: true }
}

/// A name of the input that does not resolve fails the run before any process starts; what earlier steps will print is not
/// known yet, so of those only the names are checked.
fn check_templates(
    kind: &KindDeclaration,
    project_dir: &Path,
    work: &Work,
    input: &serde_json::Value,
) -> Result<(), TemplateFault> {
    let id = work.run.id.to_string();
    let run =
        RunNames { id: &id, kind: work.run.kind.as_str(), attempt: work.run.attempt, epoch: work.run.epoch };
    let outputs = kind.steps.iter().map(|step| (step.name.as_str(), Some("")));
    let context = TemplateContext::new(run, input, project_dir, outputs);
    for step in &kind.steps {
        let StepAction::Command(command) = &step.action;
        match command.render(&context) {
            Err(TemplateFault::Unresolved { name }) => return Err(TemplateFault::Unresolved { name }),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

async fn run(
    kind: &KindDeclaration,
    work: &Work,
    recorder: &Recorder,
    mut attempt: Attempt,
    folders: &Workdir,
) -> Execution {
    let held = &work.held;
    let place = Place { held, tools: &work.tools, recorder, folders };
    let verdict = if held.cleanup { Verdict::Stopped } else { attempt.work(&place).await };
    if held.stopped() != Some(StopReason::LeaseLost) {
        attempt.clean_up(&place).await;
    }
    let gone_at = attempt.gone_at;
    let outcome = match verdict {
        Verdict::Done => attempt.success(recorder).await,
        Verdict::Stopped => Outcome::Release,
        Verdict::Failed { error, retryable } => {
            let shape = kind.backoff;
            let (base, factor, max, jitter) = (shape.base, shape.factor, shape.max, shape.jitter);
            let wait = Backoff { base, factor, max, jitter }.wait(held.attempt, fastrand::f64());
            Outcome::Fail { error, retryable, retry_in: Some(wait) }
        }
    };
    Execution { outcome, gone_at: gone_at.unwrap_or_else(crate::recorder::now) }
}
