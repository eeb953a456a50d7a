//! What a Rust handler is given beside its input: who the run is, and its ways to tell and to hear about it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::error::{Error, ErrorCode};
use sprongus_core::redact::LineEnds;
use sprongus_core::rules::record::{MAX_OUTPUT_BYTES, check};
use sprongus_core::run::Resume;
use sprongus_core::run::artifact::{Artifact, ArtifactName};
use sprongus_core::run::step::{LogLine, Phase, Step, StepReport, StepStatus, StepType, Stream};
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::names::Kind;
use tokio::sync::{OnceCell, watch};

use crate::execution::active_run::ActiveRun;
use crate::execution::once::completed;
use crate::execution::recorder::{Recorder, now, said};
use crate::execution::transient::may_pass;
use crate::execution::upload;
use crate::execution::waiting::{Approval, wait};
use crate::execution::{Tools, Work};
use crate::handler::artifact_body::ArtifactBody;
use crate::handler::error::HandlerError;
use crate::process::OutputBudget;
use crate::secrets::Masks;

/// A running run, as its handler sees it. Clones are the same run.
#[derive(Clone)]
pub struct RunContext(Arc<Inner>);

struct Inner {
    active: Arc<ActiveRun>,
    tools: Arc<Tools>,
    masks: Masks,
    /// Started with the first word: most handlers say none.
    recorder: OnceLock<Recorder>,
    /// What of its words is kept, and the lines beyond.
    budget: OutputBudget,
    beyond: AtomicU64,
    /// What the lines of its log so far ended in.
    ends: Mutex<LineEnds>,
    output_ref: Mutex<Option<String>>,
    /// Steps told so far.
    steps: AtomicU32,
    /// Outputs of the steps of earlier claims, asked for with the first step.
    done: OnceCell<HashMap<String, String>>,
    /// The gate behind which this execution carries on, and the attempt's steps before it.
    resume: Option<Resume>,
    /// Whether the run waits at a gate, and so is not ours any more.
    waits: watch::Sender<bool>,
}

impl RunContext {
    pub(crate) fn new(work: Work, masks: Masks) -> Self {
        let Work { active, tools, resume, run: _, traceparent: _ } = work;
        // Those of the steps before the gate are taken.
        let steps = resume.iter().flat_map(|resume| &resume.steps).map(|step| step.ordinal + 1).max();
        Self(Arc::new(Inner {
            active,
            tools,
            masks,
            recorder: OnceLock::new(),
            budget: OutputBudget::default(),
            beyond: AtomicU64::new(0),
            ends: Mutex::default(),
            output_ref: Mutex::default(),
            steps: AtomicU32::new(steps.unwrap_or(0)),
            done: OnceCell::new(),
            resume,
            waits: watch::Sender::new(false),
        }))
    }

    /// The run's id. With [`RunContext::epoch`] it is the key for effects elsewhere that must happen once a claim, alone
    /// for those that must happen once a run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.0.active.hold.id
    }

    /// The claim this execution is under; grows with each one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.active.hold.epoch
    }

    /// The attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.active.attempt
    }

    /// The run's kind.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.active.kind
    }

    /// Tells how far the run is, 0 to 100 percent. Told often, only the latest is kept.
    pub fn progress(&self, percent: u32, message: impl Into<Option<String>>) {
        let message = message.into().map(|text| self.0.masks.text(&text));
        self.recorder().progress(percent.min(100), message);
    }

    /// Writes into the run's log; secrets and e-mail addresses are masked. Does not wait: a handler that writes faster
    /// than the store can take it loses lines, and the log says how many. An execution's log has 10 MiB or 100,000 lines; of
    /// what comes after them it says how much it was. Longer output belongs into [`RunContext::artifact`].
    pub fn log(&self, line: impl AsRef<str>) {
        let Inner { masks, budget, beyond, ends, .. } = &*self.0;
        let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        let masked: Vec<_> =
            masks.text(line.as_ref()).lines().map(|line| masks.line(line.to_owned(), &mut ends)).collect();
        drop(ends);
        for text in masked {
            if budget.admit(text.len()) {
                let line = LogLine { stream: Stream::Stdout, at: now(), step: None, text };
                self.recorder().try_line(line);
            } else if beyond.fetch_add(1, Ordering::Relaxed) == 0 {
                self.recorder().try_line(said(None, "[the log is full: further lines are only counted]"));
            }
        }
    }

    /// Does a part of the work once, however often the run is attempted: a later attempt finds what it came to and does
    /// not repeat it. When this is answered, that is kept.
    ///
    /// A crash in between still repeats it, so what it does elsewhere wants a key of its own: the run's id and `name`.
    /// Names are unique within a run; what it comes to is at most 64 KiB of JSON.
    ///
    /// # Errors
    /// Those of `work`, whose step is then recorded as failed; permanent ones for a name or an output that cannot be
    /// kept; a retryable one when the store does not answer.
    pub async fn step<T, F, Fut>(&self, name: &str, work: F) -> Result<T, HandlerError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, HandlerError>>,
    {
        self.still_runs(name)?;
        let unfit = |error| {
            HandlerError::permanent(format!("the stored result of step {name:?} has another type: {error}"))
        };
        // What this attempt did before a gate is recorded already.
        if let Some(text) = self.carried(name, StepType::Command) {
            return serde_json::from_str(&text).map_err(unfit);
        }
        let report = self.next(name, StepType::Command)?;
        let Inner { tools, active, done, .. } = &*self.0;
        let done = done.get_or_try_init(|| completed(tools.runs.as_ref(), active, |_| true)).await?;
        if let Some(text) = done.get(name) {
            let output = serde_json::from_str(text).map_err(unfit)?;
            self.recorder().step(report(StepStatus::Skipped, Some(text.clone()))).await;
            return Ok(output);
        }
        self.recorder().step(report(StepStatus::Running, None)).await;
        let output = match work().await {
            Ok(output) => output,
            Err(error) => {
                self.recorder().step(report(StepStatus::Failed, None)).await;
                return Err(error);
            }
        };
        let text = serde_json::to_string(&output)?;
        if text.len() > MAX_OUTPUT_BYTES || self.0.masks.data(&text).is_some() {
            self.recorder().step(report(StepStatus::Failed, None)).await;
            let why = format!("step {name:?}: its result must be at most 64 KiB and contain no secret");
            return Err(HandlerError::permanent(why));
        }
        self.recorder().step(report(StepStatus::Completed, Some(text))).await;
        self.recorder().flush().await;
        Ok(output)
    }

    /// Waits until somebody lets the run pass at the gate `name`; at most for `timeout`, after which it fails for good, as it
    /// does when it is rejected.
    ///
    /// Nothing is held meanwhile, no worker and no memory: this execution ends here. The first time this answers with an
    /// error that is to be passed on with `?`; whatever the handler returns then, the run waits. When it is approved the
    /// handler is called anew, in the same attempt, on whatever worker: **the code before the gate runs again**, so what it
    /// does elsewhere belongs into [`RunContext::step`], which answers with what it came to. A gate that was passed answers
    /// at once. Another attempt asks anew.
    ///
    /// # Errors
    /// When the run begins to wait; permanent ones for a name that cannot be kept; a retryable one when the store does not
    /// answer, or the run is not ours any more.
    pub async fn wait_for_approval(
        &self,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<Approval, HandlerError> {
        self.still_runs(name)?;
        if let Some(output) = self.carried(name, StepType::Gate) {
            return Ok(serde_json::from_str(&output)?);
        }
        if let Some((step, approval)) = self.passed(name) {
            let output = Some(self.0.masks.known(&approval.output()));
            let step = StepReport { status: StepStatus::Completed, output, ..step };
            self.recorder().step(step).await;
            return Ok(approval);
        }
        let Inner { tools, active, waits, .. } = &*self.0;
        let step = self.next(name, StepType::Gate)?(StepStatus::Running, None);
        let id = StepId::of(active.hold.id, active.hold.epoch, step.ordinal);
        self.recorder().step(step).await;
        self.recorder().flush().await;
        wait(tools.runs.as_ref(), active, id, timeout).await?;
        waits.send_replace(true);
        Err(HandlerError::waits(name))
    }

    /// A step or gate of this name that this attempt completed before the gate it carries on behind.
    fn carried(&self, name: &str, kind: StepType) -> Option<String> {
        let steps = &self.0.resume.as_ref()?.steps;
        let ended = |step: &&Step| {
            let done = match step.status {
                StepStatus::Completed | StepStatus::Skipped => true,
                StepStatus::Pending | StepStatus::Running | StepStatus::Failed => false,
            };
            step.name == name && step.kind == kind && done
        };
        steps.iter().find(ended)?.output.clone()
    }

    /// The gate behind which this execution carries on, if it is the one of this name.
    fn passed(&self, name: &str) -> Option<(StepReport, Approval)> {
        let resume = self.0.resume.as_ref()?;
        let here = |step: &&Step| step.id == resume.gate.step_id && step.name == name;
        let step = resume.steps.iter().find(here)?;
        let report = step_report(step.ordinal, name, StepType::Gate)(StepStatus::Running, None);
        Some((report, Approval::of(&resume.gate)))
    }

    /// The next step's place, and what is told of it.
    fn next(
        &self,
        name: &str,
        kind: StepType,
    ) -> Result<impl Fn(StepStatus, Option<String>) -> StepReport, HandlerError> {
        let ordinal = self.0.steps.fetch_add(1, Ordering::Relaxed);
        let report = step_report(ordinal, name, kind);
        check(&[report(StepStatus::Running, None)], &[])
            .map_err(|error| HandlerError::permanent(error.message()))?;
        Ok(report)
    }

    /// After its run has begun to wait a handler does nothing more.
    fn still_runs(&self, name: &str) -> Result<(), HandlerError> {
        if self.waits() { Err(HandlerError::waits(name)) } else { Ok(()) }
    }

    pub(crate) fn waits(&self) -> bool {
        *self.0.waits.borrow()
    }

    /// Ends `patience` after the run has begun to wait.
    pub(crate) async fn until_waited_out(&self, patience: Duration) {
        let mut waits = self.0.waits.subscribe();
        if waits.wait_for(|waits| *waits).await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(patience).await;
    }

    /// Keeps a file of the run, in place of one of the same name; when this is answered, it is kept. `body` is bytes, a text or the
    /// path of a regular file; what it is called says what it is (`report.md`). The run's first artifact is its `outputRef` unless
    /// [`RunContext::set_output_ref`] names another. Secrets in it are not masked.
    ///
    /// # Errors
    /// A permanent one for a name that no artifact can have, a body over the store's limit, or a run that keeps 1,000 of them
    /// already; a retryable one when the file cannot be read, the store cannot be reached for five minutes, or the lease is lost.
    pub async fn artifact(
        &self,
        name: &str,
        body: impl Into<ArtifactBody>,
    ) -> Result<Artifact, HandlerError> {
        if self.0.masks.are_in(name) {
            return Err(HandlerError::permanent("an artifact was not stored: its name contains a secret"));
        }
        let name: ArtifactName =
            name.parse().map_err(|error: Error| HandlerError::permanent(error.message()))?;
        let body = body.into().open().await?;
        let Inner { tools, active, output_ref, .. } = &*self.0;
        let kind = upload::content_type(&name);
        let kept = upload::keep(tools.runs.as_ref(), active, &name, &kind, || body.stream(), None);
        let artifact = kept.await.map_err(|error| {
            let why = format!("cannot store {name}: {}", error.message());
            let may_pass = may_pass(error.code()) || error.code() == ErrorCode::LeaseLost;
            if may_pass { HandlerError::retryable(why) } else { HandlerError::permanent(why) }
        })?;
        let mut output_ref = output_ref.lock().unwrap_or_else(PoisonError::into_inner);
        output_ref.get_or_insert_with(|| name.reference(active.hold.id));
        Ok(artifact)
    }

    /// Ends when the run is to stop: it was canceled, the worker shuts down, or the lease is lost. A handler that has not
    /// ended five seconds later is dropped at its next await; when the lease is lost, at once.
    pub async fn canceled(&self) {
        self.0.active.until_stopped().await;
    }

    /// Whether the run is to stop.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.active.stopped().is_some()
    }

    /// Names where the run's outcome lies, for its `outputRef`.
    pub fn set_output_ref(&self, reference: impl Into<String>) {
        *self.0.output_ref.lock().unwrap_or_else(PoisonError::into_inner) = Some(reference.into());
    }

    fn recorder(&self) -> &Recorder {
        let Inner { recorder, tools, active, .. } = &*self.0;
        recorder.get_or_init(|| Recorder::start(Arc::clone(&tools.runs), Arc::clone(active)))
    }

    pub(crate) fn masks(&self) -> &Masks {
        &self.0.masks
    }

    pub(crate) fn active(&self) -> &ActiveRun {
        &self.0.active
    }

    pub(crate) fn take_output_ref(&self) -> Option<String> {
        self.0.output_ref.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ships what was told.
    pub(crate) async fn end(&self) {
        if let Some(recorder) = self.0.recorder.get() {
            let beyond = self.0.beyond.swap(0, Ordering::Relaxed);
            if beyond > 0 {
                recorder.say(None, format!("[{beyond} lines came after the log was full]")).await;
            }
            recorder.end().await;
        }
    }
}

/// A step of a handler as it is recorded, but for its status and output.
fn step_report(
    ordinal: u32,
    name: &str,
    kind: StepType,
) -> impl Fn(StepStatus, Option<String>) -> StepReport + use<> {
    let name = name.to_owned();
    move |status, output| StepReport {
        ordinal,
        name: name.clone(),
        phase: Phase::Execution,
        kind,
        status,
        output,
        tokens_in: None,
        tokens_out: None,
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("RunContext").field(&self.0.active.hold).finish()
    }
}
