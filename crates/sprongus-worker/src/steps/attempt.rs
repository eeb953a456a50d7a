//! An attempt: what its steps know, and what they have left so far. Nothing outside of this file changes it but through what is here; the
//! executors of steps only read it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sprongus_core::json::{self, Json};
use sprongus_core::run::Outcome;
use sprongus_core::run::step::Step;
use sprongus_core::values::names::ProjectId;
use sprongus_core::values::time::Timestamp;
use tokio::time::Instant;

use crate::declaration::{
    CommandTemplate, GateDeclaration, KindDeclaration, Phase, StepAction, StepDeclaration,
};
use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::Recorder;
use crate::process::{OutputBudget, StopReason};
use crate::secrets::{Masks, resolve_one, warn_if_short};
use crate::steps::outcome::{FailureScope, StepFailure, StepOutcome};
use crate::steps::restore::carried::Carried;
use crate::template::{RunNames, TemplateContext};
use sprongus_core::values::duration::format_duration;

/// An attempt, with what its steps have left so far.
pub(crate) struct Attempt {
    kind: Arc<KindDeclaration>,
    project_dir: PathBuf,
    /// The run's project.
    project: Option<ProjectId>,
    /// The run's input as it was enqueued, references and all.
    asked: Value,
    /// With its secrets resolved.
    input: Value,
    /// The same as text.
    text: Vec<u8>,
    masks: Masks,
    /// The secrets that `sprongus.toml` hands to steps, by reference.
    handed: HashMap<String, String>,
    /// Outputs of `once` steps that need not run again.
    done: HashMap<String, String>,
    /// Outputs of the steps that ran, as they were printed.
    outputs: HashMap<String, String>,
    /// The run's result, as its steps named it last, as text.
    result: Option<String>,
    /// The run's `outputRef`, likewise.
    output_ref: Option<String>,
    budget: OutputBudget,
    /// The gate it goes on behind: up to it nothing runs again.
    behind: Option<u32>,
    /// How long it took before the gate.
    used: Duration,
    began: Instant,
    /// Whether a work directory may be kept at a gate at which it does not wait.
    may_have_kept: bool,
    /// What was in the work directory before the gate and could not be kept, a line each.
    left_out: Option<String>,
    /// When the last process of its work was gone.
    gone_at: Option<Timestamp>,
    /// When the last process of its CLEANUP was gone.
    cleanup_gone_at: Option<Timestamp>,
}

impl Attempt {
    /// An attempt of which nothing has run; `asked` is the run's input as it was enqueued, `input` the same with its secrets.
    pub(crate) fn new(
        kind: Arc<KindDeclaration>,
        project_dir: PathBuf,
        project: Option<ProjectId>,
        asked: Value,
        input: Value,
        masks: Masks,
        done: HashMap<String, String>,
    ) -> Self {
        let text = input.to_string().into_bytes();
        Self {
            kind,
            project_dir,
            project,
            asked,
            input,
            text,
            masks,
            handed: HashMap::new(),
            done,
            outputs: HashMap::new(),
            result: None,
            output_ref: None,
            budget: OutputBudget::default(),
            behind: None,
            used: Duration::ZERO,
            began: Instant::now(),
            may_have_kept: false,
            left_out: None,
            gone_at: None,
            cleanup_gone_at: None,
        }
    }

    pub(crate) fn kind(&self) -> &Arc<KindDeclaration> {
        &self.kind
    }

    /// The folder of `sprongus.toml`.
    pub(crate) fn project_dir(&self) -> &Path {
        &self.project_dir
    }

    pub(crate) fn project(&self) -> Option<&ProjectId> {
        self.project.as_ref()
    }

    /// The input with its secrets, as JSON text.
    pub(crate) fn input_text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn masks(&self) -> &Masks {
        &self.masks
    }

    /// What of the output that is kept may still be used.
    pub(crate) fn budget(&self) -> &OutputBudget {
        &self.budget
    }

    /// A secret that was handed out ([`Attempt::hand_out`]), by its reference.
    pub(crate) fn secret(&self, reference: &str) -> Option<&str> {
        self.handed.get(reference).map(String::as_str)
    }

    /// The output of a `once` step that an earlier execution completed.
    pub(crate) fn done_before(&self, step: &StepDeclaration) -> Option<&str> {
        self.done.get(&step.name).map(String::as_str)
    }

    /// The steps that are still to run, CLEANUP aside: behind a passed gate those after it.
    pub(crate) fn is_to_run(&self, step: &StepDeclaration) -> bool {
        step.phase != Phase::Cleanup && self.behind.is_none_or(|gate| step.ordinal > gate)
    }

    /// What could not be kept over the gate it goes on behind, a line each.
    pub(crate) fn left_out(&self) -> Option<&str> {
        self.left_out.as_deref()
    }

    /// Whether a work directory may be kept that nobody wants any more.
    pub(crate) fn may_have_kept(&self) -> bool {
        self.may_have_kept
    }

    /// When the last process of its work was gone; of an attempt that only cleaned up, of its CLEANUP.
    pub(crate) fn gone_at(&self) -> Option<Timestamp> {
        self.gone_at.or(self.cleanup_gone_at)
    }

    /// Notes that a work directory may be kept, whatever is heard of it.
    pub(crate) fn note_kept(&mut self) {
        self.may_have_kept = true;
    }

    /// How long it took so far, the time at gates aside.
    pub(crate) fn time_used(&self) -> Duration {
        self.used + self.began.elapsed()
    }

    /// Resolves the secrets that `sprongus.toml` hands to the step, from `folder` where they are files, and masks them from then on.
    ///
    /// # Errors
    /// A sentence that names the reference.
    pub(crate) fn hand_out(&mut self, step: &StepDeclaration, folder: Option<&Path>) -> Result<(), String> {
        match &step.action {
            StepAction::Command(command) | StepAction::Gate(GateDeclaration::Command(command)) => {
                self.hand_out_to(command, folder)
            }
            StepAction::AiAction(declared) => match &declared.provider.api_key {
                Some(reference) => match self.resolve(reference, folder) {
                    Ok(_) => Ok(()),
                    Err(why) => Err(format!("provider {:?}: {why}", declared.provider_name)),
                },
                None => Ok(()),
            },
            StepAction::Artifact(_) | StepAction::Gate(GateDeclaration::Approval { .. }) => Ok(()),
        }
    }

    /// The same for a command.
    ///
    /// # Errors
    /// A sentence that names the reference.
    pub(crate) fn hand_out_to(
        &mut self,
        command: &CommandTemplate,
        folder: Option<&Path>,
    ) -> Result<(), String> {
        for reference in command.secrets() {
            if !self.handed.contains_key(reference) {
                let secret = self.resolve(reference, folder)?;
                warn_if_short(reference, secret);
            }
        }
        Ok(())
    }

    fn resolve(&mut self, reference: &str, folder: Option<&Path>) -> Result<&str, String> {
        let secret = resolve_one(reference, folder)?;
        self.masks.add(&secret);
        let handed = self.handed.entry(reference.to_owned());
        Ok(handed.insert_entry(secret).into_mut())
    }

    /// Takes over what a step has left, its output aside.
    pub(crate) fn take(&mut self, step: &StepDeclaration, active: &ActiveRun, outcome: &mut StepOutcome) {
        // What is told of a canceled run is when its work was gone, and what CLEANUP writes is about putting away.
        if step.phase == Phase::Cleanup {
            self.cleanup_gone_at = outcome.gone_at.or(self.cleanup_gone_at);
        } else {
            self.gone_at = outcome.gone_at.or(self.gone_at);
            self.result = outcome.result.take().or(self.result.take());
            self.output_ref = outcome.output_ref.take().or(self.output_ref.take());
        }
        // What a command named comes first; of artifacts the run's first one.
        if let (None, None, Some(name)) = (&outcome.failure, &self.output_ref, &outcome.first_artifact) {
            self.output_ref = Some(name.reference(active.hold.id));
        }
    }

    /// Takes over what a step has printed, as later steps see it.
    pub(crate) fn take_output(&mut self, step: &StepDeclaration, output: String) {
        self.outputs.insert(step.name.clone(), output);
    }

    /// What is to outlive a gate.
    pub(crate) fn carried(&self) -> Carried {
        let used = self.time_used();
        Carried {
            result: self.result.as_deref().map(|text| self.masks.result(text)),
            output_ref: self.output_ref.as_deref().map(|text| self.masks.known(text)),
            output: self.budget.used(),
            used_ms: u64::try_from(used.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Goes on behind `gate`, whose output is `passed`, with what outlived it: what was carried, and `steps`.
    pub(crate) fn carry_on(
        &mut self,
        gate: &StepDeclaration,
        passed: String,
        carried: Carried,
        steps: &[Step],
    ) {
        let Carried { result, output_ref, output, used_ms } = carried;
        (self.result, self.output_ref) = (result, output_ref);
        self.budget.carry_on(output);
        self.used = Duration::from_millis(used_ms);
        self.take_outputs(steps);
        // Until it was passed the gate's output was what could not be kept.
        self.left_out = self.outputs.insert(gate.name.clone(), passed);
        self.behind = Some(gate.ordinal);
    }

    /// Takes over what earlier steps printed, as it is kept.
    pub(crate) fn take_outputs(&mut self, steps: &[Step]) {
        let output = |step: &Step| Some((step.name.clone(), step.output.clone()?));
        self.outputs.extend(steps.iter().filter_map(output));
    }

    /// A step's own failure; `why` is masked here.
    pub(crate) fn failure(&self, step: &StepDeclaration, why: &str, retryable: bool) -> StepFailure {
        let error = self.masks.text(&format!("step {:?}: {why}", step.name));
        StepFailure { error, retryable, scope: FailureScope::Step }
    }

    /// The failure of a step whose time was up: its own, or the whole attempt's when `deadline` has passed.
    pub(crate) fn timed_out(&self, step: &StepDeclaration, deadline: Option<Instant>) -> StepFailure {
        let name = &step.name;
        let whole = deadline.is_some_and(|end| Instant::now() >= end) && step.phase != Phase::Cleanup;
        let (error, scope) = match self.kind.timeout.filter(|_| whole) {
            Some(limit) => (
                format!("timed out after {}, in step {name:?}", format_duration(limit)),
                FailureScope::Attempt,
            ),
            None => {
                let limit = step.timeout.map(|limit| format!(" after {}", format_duration(limit)));
                (format!("step {name:?} timed out{}", limit.unwrap_or_default()), FailureScope::Step)
            }
        };
        StepFailure { error, retryable: true, scope }
    }

    /// The end of a step that was stopped from outside.
    pub(crate) fn stopped(&self, step: &StepDeclaration, reason: StopReason) -> StepFailure {
        let error = format!("step {:?} was stopped: {reason}", step.name);
        StepFailure { error, retryable: true, scope: FailureScope::Stopped }
    }

    /// What names stand for in the templates of `step`.
    pub(crate) fn names(&self, step: &StepDeclaration, active: &ActiveRun) -> TemplateContext {
        self.named(&self.input, &self.outputs, step, active)
    }

    /// The same for what leaves the machine: no secret has a name there.
    pub(crate) fn public_names(&self, step: &StepDeclaration, active: &ActiveRun) -> TemplateContext {
        let masked = self.outputs.iter().map(|(name, output)| (name.clone(), self.masks.text(output)));
        self.named(&self.asked, &masked.collect(), step, active)
    }

    /// The same for what may be seen on this machine: no secret has a name there, but e-mail addresses do.
    pub(crate) fn shown_names(&self, step: &StepDeclaration, active: &ActiveRun) -> TemplateContext {
        let masked = self.outputs.iter().map(|(name, output)| (name.clone(), self.masks.known(output)));
        self.named(&self.asked, &masked.collect(), step, active)
    }

    fn named(
        &self,
        input: &Value,
        outputs: &HashMap<String, String>,
        step: &StepDeclaration,
        active: &ActiveRun,
    ) -> TemplateContext {
        let hold = &active.hold;
        let id = hold.id.to_string();
        let (kind, attempt) = (active.kind.as_str(), active.attempt);
        let tick = active.scheduled_for.map(|tick| tick.to_string());
        let scheduled_for = tick.as_deref();
        let run = RunNames { id: &id, kind, attempt, epoch: hold.epoch, scheduled_for };
        let earlier = self.kind.steps.iter().take_while(|other| other.ordinal < step.ordinal);
        let earlier =
            earlier.map(|other| (other.name.as_str(), outputs.get(&other.name).map(String::as_str)));
        TemplateContext::new(run, input, &self.project_dir, earlier)
    }

    /// What a well-ended attempt is reported with. A result that is no JSON is kept as the text it is: an hour's work
    /// must not be lost for want of two quotes.
    pub(crate) async fn success(self, recorder: &Recorder) -> Outcome {
        let Self { masks, output_ref, result, .. } = self;
        let output_ref = output_ref.map(|reference| masks.data(&reference).unwrap_or(reference));
        let Some(text) = result else {
            return Outcome::Succeed { result: None, output_ref };
        };
        let mut value = match json::parse_value(text.as_bytes()) {
            Ok(value) => value,
            Err(fault) => {
                let why = masks.text(fault.detail());
                recorder
                    .say(
                        None,
                        format!("$SPRONGUS_OUTPUT: the result is not JSON and is stored as text: {why}"),
                    )
                    .await;
                Value::String(text)
            }
        };
        masks.json(&mut value);
        let result = Some(value).filter(|value| !value.is_null()).map(Json::from_value);
        Outcome::Succeed { result, output_ref }
    }
}
