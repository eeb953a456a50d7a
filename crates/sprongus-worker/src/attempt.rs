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
use sprongus_core::rules::CLOSING_LEASE;
use sprongus_core::run::Outcome;
use sprongus_core::step::{Phase, StepReport, StepStatus, StepType};
use sprongus_core::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::command_spec::prepare;
use crate::command_step::{self, Left, Surroundings};
use crate::declaration::{self, KindDeclaration, StepDeclaration};
use crate::duration::format_duration;
use crate::execution::Tools;
use crate::held::Held;
use crate::output_file::Outputs;
use crate::process::{OutputBudget, Status, StopReason};
use crate::recorder::{Recorder, now};
use crate::secrets::Masks;
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
}

/// An attempt, with what its steps have left so far.
pub(crate) struct Attempt {
    pub(crate) kind: Arc<KindDeclaration>,
    pub(crate) project_dir: PathBuf,
    /// With its secrets resolved.
    pub(crate) input: Value,
    /// The same as text.
    pub(crate) text: Vec<u8>,
    pub(crate) masks: Masks,
    /// Outputs of `once` steps that need not run again.
    pub(crate) done: HashMap<String, String>,
    /// Outputs of the steps that ran, as they were printed.
    pub(crate) outputs: HashMap<String, String>,
    pub(crate) said: Outputs,
    pub(crate) budget: OutputBudget,
    /// When the last process was gone.
    pub(crate) gone_at: Option<Timestamp>,
}

/// How one step ended, if not well.
struct Trouble {
    error: String,
    retryable: bool,
    /// It was stopped from outside, or the whole attempt's time is up: no step after it may run.
    over: Over,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    No,
    OutOfTime,
    Stopped,
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
        input: Value,
        masks: Masks,
        done: HashMap<String, String>,
    ) -> Self {
        let text = input.to_string().into_bytes();
        let (outputs, said, budget) = (HashMap::new(), Outputs::default(), OutputBudget::default());
        Self { kind, project_dir, input, text, masks, done, outputs, said, budget, gone_at: None }
    }

    /// Runs everything but CLEANUP.
    pub(crate) async fn work(&mut self, place: &Place<'_>) -> Verdict {
        let kind = Arc::clone(&self.kind);
        let Place { held, recorder, .. } = *place;
        let deadline = kind.timeout.map(|limit| Instant::now() + limit);
        let mut verdict = Verdict::Done;
        for step in kind.steps.iter().filter(|step| step.phase != declaration::Phase::Cleanup) {
            if held.stopped().is_some() {
                verdict = Verdict::Stopped;
            }
            if !matches!(verdict, Verdict::Done) {
                recorder.step(report(step, StepStatus::Skipped, None)).await;
                continue;
            }
            if let Some(output) = self.done.get(&step.name).filter(|_| step.once).cloned() {
                recorder.step(report(step, StepStatus::Skipped, Some(output.clone()))).await;
                self.outputs.insert(step.name.clone(), output);
                continue;
            }
            match self.step(step, place, deadline, held.watch()).await {
                Ok(()) => {}
                Err(trouble) if trouble.over == Over::Stopped => verdict = Verdict::Stopped,
                Err(trouble) if step.continue_on_error && trouble.over == Over::No => {}
                Err(Trouble { error, retryable, .. }) => verdict = Verdict::Failed { error, retryable },
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
                if let Err(trouble) = self.step(step, place, deadline, stop.clone()).await {
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

    async fn step(
        &mut self,
        step: &StepDeclaration,
        place: &Place<'_>,
        deadline: Option<Instant>,
        stop: watch::Receiver<Option<StopReason>>,
    ) -> Result<(), Trouble> {
        place.recorder.step(report(step, StepStatus::Running, None)).await;
        let (status, output, ended) = match prepare(self, step, place, deadline) {
            Ok((spec, file)) => {
                let around = Surroundings {
                    step: &step.name,
                    recorder: place.recorder,
                    masks: &self.masks,
                    budget: &self.budget,
                };
                let left = command_step::run(spec, file, around, stop).await;
                let output = Some(self.masks.output(&left.ending.output));
                let ended = self.take(step, left, deadline);
                (if ended.is_ok() { StepStatus::Completed } else { StepStatus::Failed }, output, ended)
            }
            Err((why, retryable)) => {
                let error = self.masks.text(&format!("step {:?}: {why}", step.name));
                (StepStatus::Failed, None, Err(Trouble { error, retryable, over: Over::No }))
            }
        };
        place.recorder.step(report(step, status, output)).await;
        ended
    }

    /// Takes over what a command left, and judges its end.
    fn take(&mut self, step: &StepDeclaration, left: Left, deadline: Option<Instant>) -> Result<(), Trouble> {
        let Left { ending, outputs, tail } = left;
        match ending.gone_at {
            Some(gone_at) => self.gone_at = Some(now().minus(gone_at.elapsed())),
            None => tracing::warn!(step = step.name, "a process could not be ended"),
        }
        self.outputs.insert(step.name.clone(), ending.output.text);
        // What CLEANUP writes is about putting away; the result is the work's.
        if step.phase != declaration::Phase::Cleanup {
            self.said.result = outputs.result.or(self.said.result.take());
            self.said.output_ref = outputs.output_ref.or(self.said.output_ref.take());
        }
        if ending.status.is_success() {
            return Ok(());
        }
        let name = &step.name;
        let out_of_time = deadline.is_some_and(|end| Instant::now() >= end);
        let (what, over) = match &ending.status {
            Status::Exited(code) => (format!("step {name:?} exited with {code}"), Over::No),
            Status::Signaled(signal) => (format!("step {name:?} was killed by signal {signal}"), Over::No),
            Status::TimedOut if out_of_time && step.phase != declaration::Phase::Cleanup => {
                let limit = self.kind.timeout.map(format_duration).unwrap_or_default();
                (format!("timed out after {limit}, in step {name:?}"), Over::OutOfTime)
            }
            Status::TimedOut => {
                let limit = step.timeout.unwrap_or(CLEANUP_AT_SHUTDOWN);
                (format!("step {name:?} timed out after {}", format_duration(limit)), Over::No)
            }
            Status::Stopped(reason) => (format!("step {name:?} was stopped: {reason}"), Over::Stopped),
            Status::CouldNotStart(fault) => (self.masks.text(&format!("step {name:?} {fault}")), Over::No),
        };
        let error = if tail.is_empty() { what } else { format!("{what}\n{tail}") };
        Err(Trouble { error, retryable: !ending.status.is_permanent(), over })
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

fn report(step: &StepDeclaration, status: StepStatus, output: Option<String>) -> StepReport {
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
        kind: StepType::Command,
        status,
        output,
        tokens_in: None,
        tokens_out: None,
    }
}
