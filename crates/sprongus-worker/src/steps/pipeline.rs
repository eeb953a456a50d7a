//! A kind declared in `sprongus.toml`, as an executor: what is made ready before its steps, and what is reported after
//! them. The steps themselves are in [`crate::steps::sequence`].

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::ErrorCode;
use sprongus_core::rules::backoff::Backoff;
use sprongus_core::run::Outcome;
use sprongus_core::values::text::printable;

use crate::declaration::{Declaration, GateDeclaration, KindDeclaration, StepAction, StepDeclaration};
use crate::execution::once;
use crate::execution::recorder::Recorder;
use crate::execution::{End, Execute, Executing, Execution, Work};
use crate::orphans::{self, Stray};
use crate::process::StopReason;
use crate::secrets::{Resolved, resolve};
use crate::steps::attempt::Attempt;
use crate::steps::command::spec::check_arguments;
use crate::steps::context::AttemptContext;
use crate::steps::restore::{self, NotRestored, drop_kept, gate_of};
use crate::steps::sequence::{self, Verdict};
use crate::template::{RunNames, TemplateContext, TemplateFault};
use crate::workdir::{NoRoom, Workdir};

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
            let recorder = Recorder::start(Arc::clone(&work.tools.runs), Arc::clone(&work.active));
            let execution = match ready(&kind, &project_dir, &work, &recorder).await {
                Ok((attempt, folders)) => {
                    let mut execution = run(&kind, &work, &recorder, attempt, &folders).await;
                    if end_strays(&work, &recorder, &folders).await {
                        execution.gone_at = crate::execution::recorder::now();
                    }
                    folders.remove().await;
                    execution
                }
                // Nothing was begun, and what waits for it behind a gate stays where it is.
                Err(NotReady { no_room: Some(why), .. }) if !work.active.cleanup => {
                    recorder.say(None, format!("released: {why}")).await;
                    Execution { end: End::NoRoom(why), gone_at: crate::execution::recorder::now() }
                }
                Err(NotReady { error, retryable, no_room: _ }) => {
                    recorder.say(None, error.clone()).await;
                    // What was kept at a gate that this run will not go behind any more.
                    if work.resume.is_some() || work.active.cleanup {
                        drop_kept(&work).await;
                    }
                    Execution::failed(error, retryable)
                }
            };
            recorder.end().await;
            execution
        })
    }

    fn needs_workdir(&self) -> bool {
        true
    }
}

/// How long what left its group has from TERM to KILL.
const STRAYS_GRACE: Duration = Duration::from_secs(1);

/// Ends what the attempt's commands have left running outside of their groups, and names it; whether there was anything.
async fn end_strays(work: &Work, recorder: &Recorder, folders: &Workdir) -> bool {
    let lost = work.active.stopped() == Some(StopReason::LeaseLost);
    let (root, grace) = (folders.root().to_owned(), if lost { Duration::ZERO } else { STRAYS_GRACE });
    let ended = tokio::task::spawn_blocking(move || orphans::end_strays(&root, grace)).await;
    let ended = ended.unwrap_or_default();
    for Stray { pid, name } in &ended {
        let name = printable(name);
        tracing::warn!(run = %work.run.id, pid, program = %name, "killed a process that had left its command's process group");
        recorder
            .say(None, format!("[killed {name} (process {pid}), which had left its command's process group]"))
            .await;
    }
    !ended.is_empty()
}

/// Why not even the first step was begun.
struct NotReady {
    error: String,
    retryable: bool,
    /// That this machine has no room is no fault of the run's.
    no_room: Option<NoRoom>,
}

impl From<NotRestored> for NotReady {
    fn from(NotRestored { error, retryable, no_room }: NotRestored) -> Self {
        Self { error, retryable, no_room }
    }
}

fn for_good(error: String) -> NotReady {
    NotReady { error, retryable: false, no_room: None }
}

async fn ready(
    kind: &Arc<KindDeclaration>,
    project_dir: &Path,
    work: &Work,
    recorder: &Recorder,
) -> Result<(Attempt, Workdir), NotReady> {
    if let Some(resume) = &work.resume {
        gate_of(kind, resume)?;
    }
    // The schema speaks of the input as it was enqueued, as it did to whoever enqueued it.
    if let Some(schema) = &kind.input_schema {
        schema.check(&work.run.input.to_value()).map_err(|violations| {
            let all: Vec<_> = violations.iter().map(ToString::to_string).collect();
            for_good(format!("the input does not match its schema: {}", all.join("; ")))
        })?;
    }
    let folder = work.tools.secrets.as_deref();
    let Resolved { input, masks } =
        resolve(&work.run.input, &kind.name, &kind.secrets, folder).map_err(for_good)?;
    let asked = work.run.input.to_value();
    let certain = check_templates(kind, project_dir, work, &asked, &input)
        .map_err(|fault| for_good(masks.text(&fault)))?;
    let done = earlier(kind, work).await?;
    let (owned, project) = (Arc::clone(kind), work.run.project_id.clone());
    let mut attempt = Attempt::new(owned, project_dir.to_owned(), project, asked, input, masks, done);
    for command in certain.into_iter().filter_map(|step| step.action.command()) {
        attempt.hand_out_to(command, folder).map_err(for_good)?;
    }
    let folders = Workdir::make(&work.tools.scratch, &work.active.hold, attempt.input_text()).await.map_err(
        |error| {
            let why = NoRoom::of(&error);
            NotReady { error: why.to_string(), retryable: true, no_room: Some(why) }
        },
    )?;
    if let Some(resume) = &work.resume {
        let restored = restore::behind(kind, &attempt, folders, work, resume, recorder).await?;
        attempt.carry_on(restored.gate, restored.passed, restored.carried, &resume.steps);
        return Ok((attempt, restored.folders));
    }
    let called_off = restore::called_off_at_gate(kind, work).await;
    if called_off.is_some() || may_have_kept(kind, work) {
        attempt.note_kept();
    }
    let folders = match called_off {
        Some(steps) => {
            attempt.take_outputs(&steps);
            restore::for_cleanup(&attempt, folders, work, recorder).await?
        }
        None => folders,
    };
    Ok((attempt, folders))
}

/// Whether an execution before this one may have kept a work directory that nobody wants any more.
fn may_have_kept(kind: &KindDeclaration, work: &Work) -> bool {
    let asks =
        |step: &StepDeclaration| matches!(step.action, StepAction::Gate(GateDeclaration::Approval { .. }));
    work.active.hold.epoch > 1 && kind.steps.iter().any(asks)
}

async fn earlier(kind: &KindDeclaration, work: &Work) -> Result<HashMap<String, String>, NotReady> {
    if !kind.steps.iter().any(|step| step.once) {
        return Ok(HashMap::new());
    }
    let once = |name: &str| kind.steps.iter().any(|step| step.once && step.name == name);
    once::completed(work.tools.runs.as_ref(), &work.active, once).await.map_err(|error| NotReady {
        error: format!("cannot read the steps of earlier attempts: {}", error.message()),
        retryable: error.code() != ErrorCode::NotFound,
        no_room: None,
    })
}

/// A name of the input that does not resolve, and a secret of the input in an argument, fail the run before any process starts;
/// what earlier steps will print is not known yet, so of those only the names are checked. Answers the steps that will run, as far
/// as that is certain.
fn check_templates<'k>(
    kind: &'k KindDeclaration,
    project_dir: &Path,
    work: &Work,
    asked: &serde_json::Value,
    input: &serde_json::Value,
) -> Result<Vec<&'k StepDeclaration>, String> {
    let id = work.run.id.to_string();
    let tick = work.run.scheduled_for.map(|tick| tick.to_string());
    let run = RunNames {
        id: &id,
        kind: work.run.kind.as_str(),
        attempt: work.run.attempt,
        epoch: work.run.epoch,
        scheduled_for: tick.as_deref(),
    };
    let named = |input| {
        let outputs = kind.steps.iter().map(|step| (step.name.as_str(), Some("")));
        TemplateContext::new(run, input, project_dir, outputs)
    };
    let context = named(input);
    // Where they are the same, the input has no secrets.
    let shown = (asked != input).then(|| named(asked));
    let mut certain = Vec::new();
    for step in &kind.steps {
        match &step.condition {
            // Whether it runs is not known yet.
            Some(condition) if !condition.names_used().steps.is_empty() => continue,
            Some(condition) if !condition.holds(&context).map_err(|fault| fault.to_string())? => continue,
            Some(_) | None => {}
        }
        for template in step.action.templates() {
            if let Err(fault @ (TemplateFault::Unresolved { .. } | TemplateFault::Null { .. })) =
                template.render(&context)
            {
                return Err(fault.to_string());
            }
        }
        if let (Some(command), Some(shown)) = (step.action.command(), &shown)
            && let Ok(argv) = command.render(&context)
        {
            check_arguments(kind, command, &argv, shown)
                .map_err(|why| format!("step {:?}: {why}", step.name))?;
        }
        certain.push(step);
    }
    Ok(certain)
}

async fn run(
    kind: &KindDeclaration,
    work: &Work,
    recorder: &Recorder,
    mut attempt: Attempt,
    folders: &Workdir,
) -> Execution {
    let active = &work.active;
    let context = AttemptContext { active, tools: &work.tools, recorder, folders };
    let verdict = if active.cleanup { Verdict::Stopped } else { sequence::work(&mut attempt, context).await };
    if matches!(verdict, Verdict::Waits) {
        return Execution::waits();
    }
    if active.stopped() != Some(StopReason::LeaseLost) {
        sequence::clean_up(&mut attempt, context).await;
        if attempt.may_have_kept() {
            drop_kept(work).await;
        }
    }
    let gone_at = attempt.gone_at();
    let outcome = match verdict {
        Verdict::Done => attempt.success(recorder).await,
        Verdict::Stopped | Verdict::Waits => Outcome::Release,
        Verdict::Failed { error, retryable } => {
            let shape = kind.backoff;
            let (base, factor, max, jitter) = (shape.base, shape.factor, shape.max, shape.jitter);
            let wait = Backoff { base, factor, max, jitter }.wait(active.attempt, fastrand::f64());
            Outcome::Fail { error, retryable, retry_in: Some(wait) }
        }
    };
    Execution { end: End::Report(outcome), gone_at: gone_at.unwrap_or_else(crate::execution::recorder::now) }
}
