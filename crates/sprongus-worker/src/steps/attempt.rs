//! The steps of one attempt, in phase order: which run, which are passed over, and what comes of them.
//!
//! SETUP, EXECUTION and VALIDATION stop at the first failure that is not to be continued on; the steps behind it are
//! recorded as skipped. CLEANUP runs after whatever happened but a lost lease, each of its steps whatever the one before
//! did; a failing one changes no state.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sprongus_core::json::{self, Json};
use sprongus_core::names::ProjectId;
use sprongus_core::rules::CLOSING_LEASE;
use sprongus_core::run::Outcome;
use sprongus_core::step::{Phase, StepReport, StepStatus, StepType};
use sprongus_core::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::declaration::{
    self, CommandTemplate, GateDeclaration, KindDeclaration, StepAction, StepDeclaration,
};
use crate::execution::Tools;
use crate::execution::active_run::Held;
use crate::execution::recorder::Recorder;
use crate::process::{OutputBudget, StopReason};
use crate::secrets::{Masks, resolve_one, warn_if_short};
use crate::steps::command::output_file::Outputs;
use crate::steps::outcome::{Ended, Over, Trouble};
use crate::steps::{ai_action, approval, artifact, command};
use crate::template::{RunNames, TemplateContext, TemplateFault};
use crate::workdir::Workdir;

/// How long CLEANUP may take in all when the worker goes down: its service manager will not wait longer.
const CLEANUP_AT_SHUTDOWN: Duration = Duration::from_secs(10);

/// How the work of an attempt ended.
pub(crate) enum Verdict {
    Done,
    Failed {
        error: String,
        retryable: bool,
    },
    /// It was told to stop, or had nothing to do but CLEANUP.
    Stopped,
    /// It waits at a gate, and is not ours any more.
    Waits,
}

/// What comes of a step.
enum Came {
    /// It is done, or not wanted.
    Done,
    Stuck(Trouble),
    /// The run waits at it.
    Waits,
}

/// An attempt, with what its steps have left so far.
pub(crate) struct Attempt {
    pub(crate) kind: Arc<KindDeclaration>,
    pub(crate) project_dir: PathBuf,
    /// The run's project.
    pub(crate) project: Option<ProjectId>,
    /// The run's input as it was enqueued, references and all.
    pub(crate) asked: Value,
    /// With its secrets resolved.
    pub(crate) input: Value,
    /// The same as text.
    pub(crate) text: Vec<u8>,
    pub(crate) masks: Masks,
    /// The secrets that `sprongus.toml` hands to commands, by reference.
    pub(crate) handed: HashMap<String, String>,
    /// Outputs of `once` steps that need not run again.
    pub(crate) done: HashMap<String, String>,
    /// Outputs of the steps that ran, as they were printed.
    pub(crate) outputs: HashMap<String, String>,
    pub(crate) said: Outputs,
    pub(crate) budget: OutputBudget,
    /// The gate it goes on behind: up to it nothing runs again.
    pub(crate) behind: Option<u32>,
    /// How long it took before the gate.
    pub(crate) used: Duration,
    began: Instant,
    /// Whether a work directory was kept at a gate at which it does not wait.
    pub(crate) kept: bool,
    /// What was in the work directory before the gate and could not be kept, a line each.
    pub(crate) left_out: Option<String>,
    /// When the last process was gone.
    pub(crate) gone_at: Option<Timestamp>,
}

/// Where and under what a step runs.
pub(crate) struct Place<'a> {
    pub(crate) held: &'a Held,
    pub(crate) tools: &'a Tools,
    pub(crate) recorder: &'a Recorder,
    pub(crate) folders: &'a Workdir,
}

impl Attempt {
    pub(crate) fn new(
        kind: Arc<KindDeclaration>,
        project_dir: PathBuf,
        asked: Value,
        input: Value,
        masks: Masks,
        done: HashMap<String, String>,
    ) -> Self {
        let text = input.to_string().into_bytes();
        Self {
            kind,
            project_dir,
            project: None,
            asked,
            input,
            text,
            masks,
            handed: HashMap::new(),
            done,
            outputs: HashMap::new(),
            said: Outputs::default(),
            budget: OutputBudget::default(),
            behind: None,
            used: Duration::ZERO,
            began: Instant::now(),
            kept: false,
            left_out: None,
            gone_at: None,
        }
    }

    /// How long it took so far, the time at gates aside.
    pub(crate) fn time_used(&self) -> Duration {
        self.used + self.began.elapsed()
    }

    /// Runs everything but CLEANUP.
    pub(crate) async fn work(&mut self, place: &Place<'_>) -> Verdict {
        let kind = Arc::clone(&self.kind);
        let Place { held, recorder, .. } = *place;
        let deadline = kind.timeout.map(|limit| Instant::now() + limit.saturating_sub(self.time_used()));
        let mut verdict = Verdict::Done;
        let before = |step: &&StepDeclaration| self.behind.is_none_or(|gate| step.ordinal > gate);
        let steps: Vec<_> = kind.steps.iter().filter(before).collect();
        for step in steps.into_iter().filter(|step| step.phase != declaration::Phase::Cleanup) {
            if held.stopped().is_some() {
                verdict = Verdict::Stopped;
            }
            if !matches!(verdict, Verdict::Done) {
                recorder.step(report(step, StepStatus::Skipped, None)).await;
                continue;
            }
            match self.step(step, place, deadline, held.watch()).await {
                Came::Done => {}
                Came::Waits => return Verdict::Waits,
                Came::Stuck(trouble) if trouble.over == Over::Stopped => verdict = Verdict::Stopped,
                Came::Stuck(trouble) if step.continue_on_error && trouble.over == Over::No => {}
                Came::Stuck(Trouble { mut error, retryable, .. }) => {
                    if let Some(left_out) = &self.left_out {
                        error = format!("{error}\n{left_out}");
                    }
                    verdict = Verdict::Failed { error, retryable };
                }
            }
        }
        verdict
    }

    /// Runs CLEANUP. Of all that may stop it only a lost lease does: a canceled run is cleaned up too.
    pub(crate) async fn clean_up(&mut self, place: &Place<'_>) {
        let kind = Arc::clone(&self.kind);
        let Place { held, recorder, .. } = *place;
        let limit =
            if held.stopped() == Some(StopReason::Shutdown) { CLEANUP_AT_SHUTDOWN } else { CLOSING_LEASE };
        let deadline = Some(Instant::now() + limit);
        let (lost, stop) = watch::channel(None);
        let forward = async {
            held.until_lost().await;
            lost.send_replace(Some(StopReason::LeaseLost));
            std::future::pending::<std::convert::Infallible>().await
        };
        let gone_at = self.gone_at;
        let steps = async {
            for step in kind.steps.iter().filter(|step| step.phase == declaration::Phase::Cleanup) {
                if let Came::Stuck(trouble) = self.step(step, place, deadline, stop.clone()).await {
                    recorder.say(Some(&step.name), format!("CLEANUP failed: {}", trouble.error)).await;
                }
            }
        };
        tokio::select! {
            () = steps => {}
            never = forward => match never {},
        }
        // What is told of a canceled run is when its work was gone, not its CLEANUP.
        self.gone_at = gone_at.or(self.gone_at);
    }

    /// One step, from its condition to its record.
    async fn step(
        &mut self,
        step: &StepDeclaration,
        place: &Place<'_>,
        deadline: Option<Instant>,
        stop: watch::Receiver<Option<StopReason>>,
    ) -> Came {
        let recorder = place.recorder;
        let ended = match self.is_wanted(step, place) {
            Ok(false) => {
                recorder.step(report(step, StepStatus::Skipped, None)).await;
                return Came::Done;
            }
            Ok(true) => {
                let once = step.once && step.phase != declaration::Phase::Cleanup;
                if let Some(output) = self.done.get(&step.name).filter(|_| once).cloned() {
                    recorder.step(report(step, StepStatus::Skipped, Some(output.clone()))).await;
                    self.outputs.insert(step.name.clone(), output);
                    return Came::Done;
                }
                recorder.step(report(step, StepStatus::Running, None)).await;
                match self.execute(step, place, deadline, stop).await {
                    Some(ended) => ended,
                    None => return Came::Waits,
                }
            }
            Err(fault) => Ended::failed(self.trouble(step, &format!("if: {fault}"), false)),
        };
        let Ended { output, tokens_in, tokens_out, trouble } = ended;
        let status = if trouble.is_none() { StepStatus::Completed } else { StepStatus::Failed };
        let kept = output.as_ref().map(|output| self.masks.output(output));
        recorder.step(StepReport { tokens_in, tokens_out, ..report(step, status, kept) }).await;
        // What must not be done twice, or was paid for, is kept before anything else is begun: this worker may die in it.
        if step.once || tokens_in.is_some() || tokens_out.is_some() {
            recorder.flush().await;
        }
        if let Some(output) = output {
            self.outputs.insert(step.name.clone(), output.text);
        }
        trouble.map_or(Came::Done, Came::Stuck)
    }

    /// Whether the step's condition holds.
    fn is_wanted(&self, step: &StepDeclaration, place: &Place<'_>) -> Result<bool, TemplateFault> {
        step.condition.as_ref().map_or(Ok(true), |condition| condition.holds(&self.names(step, place)))
    }

    /// Answers nothing when the run waits at the step.
    async fn execute(
        &mut self,
        step: &StepDeclaration,
        place: &Place<'_>,
        deadline: Option<Instant>,
        stop: watch::Receiver<Option<StopReason>>,
    ) -> Option<Ended> {
        Some(match &step.action {
            StepAction::Command(command) | StepAction::Gate(GateDeclaration::Command(command)) => {
                command::execute(self, step, command, place, deadline, stop).await
            }
            StepAction::AiAction(action) => {
                ai_action::execute(self, step, action, place, deadline, stop).await
            }
            StepAction::Artifact(artifact) => {
                artifact::execute(self, step, artifact, place, deadline, stop).await
            }
            StepAction::Gate(GateDeclaration::Approval { timeout }) => {
                return approval::execute(self, step, *timeout, place).await;
            }
        })
    }

    /// What names stand for in the templates of `step`.
    pub(crate) fn names(&self, step: &StepDeclaration, place: &Place<'_>) -> TemplateContext {
        self.named(&self.input, &self.outputs, step, place)
    }

    /// The same for what leaves the machine: no secret has a name there.
    pub(crate) fn public_names(&self, step: &StepDeclaration, place: &Place<'_>) -> TemplateContext {
        let masked = self.outputs.iter().map(|(name, output)| (name.clone(), self.masks.text(output)));
        self.named(&self.asked, &masked.collect(), step, place)
    }

    /// The same for what may be seen on this machine: no secret has a name there, but e-mail addresses do.
    pub(crate) fn shown_names(&self, step: &StepDeclaration, place: &Place<'_>) -> TemplateContext {
        let masked = self.outputs.iter().map(|(name, output)| (name.clone(), self.masks.known(output)));
        self.named(&self.asked, &masked.collect(), step, place)
    }

    /// Resolves the secrets that `command` is handed, and masks them from then on.
    ///
    /// # Errors
    /// A sentence that names the reference.
    pub(crate) fn hand_out(
        &mut self,
        command: &CommandTemplate,
        folder: Option<&std::path::Path>,
    ) -> Result<(), String> {
        for reference in command.secrets() {
            if !self.handed.contains_key(reference) {
                let secret = resolve_one(reference, folder)?;
                warn_if_short(reference, &secret);
                self.masks.add(&secret);
                self.handed.insert(reference.to_owned(), secret);
            }
        }
        Ok(())
    }

    fn named(
        &self,
        input: &Value,
        outputs: &HashMap<String, String>,
        step: &StepDeclaration,
        place: &Place<'_>,
    ) -> TemplateContext {
        let hold = &place.held.hold;
        let id = hold.id.to_string();
        let (kind, attempt) = (place.held.kind.as_str(), place.held.attempt);
        let run = RunNames { id: &id, kind, attempt, epoch: hold.epoch };
        let earlier = self.kind.steps.iter().take_while(|other| other.ordinal < step.ordinal);
        let earlier =
            earlier.map(|other| (other.name.as_str(), outputs.get(&other.name).map(String::as_str)));
        TemplateContext::new(run, input, &self.project_dir, earlier)
    }

    /// What a well-ended attempt is reported with. A result that is no JSON is kept as the text it is: an hour's work
    /// must not be lost for want of two quotes.
    pub(crate) async fn success(&mut self, recorder: &Recorder) -> Outcome {
        let output_ref = self.said.output_ref.take();
        let output_ref = output_ref.map(|reference| self.masks.data(&reference).unwrap_or(reference));
        let Some(text) = self.said.result.take() else {
            return Outcome::Succeed { result: None, output_ref };
        };
        let mut value = match json::parse_value(text.as_bytes()) {
            Ok(value) => value,
            Err(fault) => {
                let why = self.masks.text(fault.detail());
                recorder
                    .say(
                        None,
                        format!("$SPRONGUS_OUTPUT: the result is no JSON and is kept as a text: {why}"),
                    )
                    .await;
                Value::String(text)
            }
        };
        self.masks.json(&mut value);
        let result = Some(value).filter(|value| !value.is_null()).map(Json::from_value);
        Outcome::Succeed { result, output_ref }
    }
}

/// A step as it is recorded.
pub(crate) fn report(step: &StepDeclaration, status: StepStatus, output: Option<String>) -> StepReport {
    let phase = match step.phase {
        declaration::Phase::Setup => Phase::Setup,
        declaration::Phase::Execution => Phase::Execution,
        declaration::Phase::Validation => Phase::Validation,
        declaration::Phase::Cleanup => Phase::Cleanup,
    };
    StepReport {
        ordinal: step.ordinal,
        name: step.name.clone(),
        phase,
        kind: match step.action {
            StepAction::Command(_) => StepType::Command,
            StepAction::AiAction(_) => StepType::AiAction,
            StepAction::Gate(_) => StepType::Gate,
            StepAction::Artifact(_) => StepType::Artifact,
        },
        status,
        output,
        tokens_in: None,
        tokens_out: None,
    }
}
