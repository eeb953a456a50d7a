//! What a Rust handler is given beside its input: who the run is, and its ways to tell and to hear about it.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::ids::RunId;
use sprongus_core::names::Kind;
use sprongus_core::rules::record::{MAX_OUTPUT_BYTES, check};
use sprongus_core::step::{LogLine, Phase, StepReport, StepStatus, StepType, Stream};
use tokio::sync::OnceCell;

use crate::execution::{Tools, Work};
use crate::handler::HandlerError;
use crate::held::Held;
use crate::once::completed;
use crate::recorder::{Recorder, now};
use crate::secrets::Masks;

/// A running run, as its handler sees it. Clones are the same run.
#[derive(Clone)]
pub struct RunContext(Arc<Inner>);

struct Inner {
    held: Arc<Held>,
    tools: Arc<Tools>,
    masks: Masks,
    /// Started with the first word: most handlers say none.
    recorder: OnceLock<Recorder>,
    output_ref: Mutex<Option<String>>,
    /// Steps told so far.
    steps: AtomicU32,
    /// Outputs of the steps of earlier claims, asked for with the first step.
    done: OnceCell<HashMap<String, String>>,
}

impl RunContext {
    pub(crate) fn new(work: Work, masks: Masks) -> Self {
        let Work { held, tools, run: _ } = work;
        Self(Arc::new(Inner {
            held,
            tools,
            masks,
            recorder: OnceLock::new(),
            output_ref: Mutex::default(),
            steps: AtomicU32::new(0),
            done: OnceCell::new(),
        }))
    }

    /// The run's id. With [`RunContext::epoch`] it is the key for effects elsewhere that must happen once a claim, alone
    /// for those that must happen once a run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.0.held.hold.id
    }

    /// The claim this execution is under; grows with each one.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.held.hold.epoch
    }

    /// The attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.held.attempt
    }

    /// The run's kind.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.0.held.kind
    }

    /// Tells how far the run is, 0 to 100 percent. Told often, only the latest is kept.
    pub fn progress(&self, percent: u32, message: impl Into<Option<String>>) {
        let message = message.into().map(|text| self.0.masks.text(&text));
        self.recorder().progress(percent.min(100), message);
    }

    /// Writes into the run's log; secrets and e-mail addresses are masked. Does not wait: a handler that writes faster
    /// than the store can take it loses lines, and the log says how many.
    pub fn log(&self, line: impl AsRef<str>) {
        let masked = self.0.masks.text(line.as_ref());
        for text in masked.lines() {
            let line = LogLine { stream: Stream::Stdout, at: now(), step: None, text: text.to_owned() };
            self.recorder().try_line(line);
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
        let ordinal = self.0.steps.fetch_add(1, Ordering::Relaxed);
        let told = |status, output| StepReport {
            ordinal,
            name: name.to_owned(),
            phase: Phase::Execution,
            kind: StepType::Command,
            status,
            output,
            tokens_in: None,
            tokens_out: None,
        };
        check(&[told(StepStatus::Running, None)], &[])
            .map_err(|error| HandlerError::permanent(error.message()))?;
        let Inner { tools, held, done, .. } = &*self.0;
        let done = done.get_or_try_init(|| completed(tools.runs.as_ref(), held, |_| true)).await?;
        if let Some(text) = done.get(name) {
            let unfit =
                |error| HandlerError::permanent(format!("what step {name:?} came to does not fit: {error}"));
            let output = serde_json::from_str(text).map_err(unfit)?;
            self.recorder().step(told(StepStatus::Skipped, Some(text.clone()))).await;
            return Ok(output);
        }
        self.recorder().step(told(StepStatus::Running, None)).await;
        let output = match work().await {
            Ok(output) => output,
            Err(error) => {
                self.recorder().step(told(StepStatus::Failed, None)).await;
                return Err(error);
            }
        };
        let text = serde_json::to_string(&output)?;
        if text.len() > MAX_OUTPUT_BYTES || self.0.masks.data(&text).is_some() {
            self.recorder().step(told(StepStatus::Failed, None)).await;
            let why = format!("step {name:?}: what it comes to must be at most 64 KiB and hold no secret");
            return Err(HandlerError::permanent(why));
        }
        self.recorder().step(told(StepStatus::Completed, Some(text))).await;
        self.recorder().flush().await;
        Ok(output)
    }

    /// Ends when the run is to stop: it was canceled, the worker shuts down, or the lease is lost. A handler that has not
    /// ended five seconds later is dropped at its next await; when the lease is lost, at once.
    pub async fn canceled(&self) {
        self.0.held.until_stopped().await;
    }

    /// Whether the run is to stop.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.held.stopped().is_some()
    }

    /// Names where the run's outcome lies, for its `outputRef`.
    pub fn set_output_ref(&self, reference: impl Into<String>) {
        *self.0.output_ref.lock().unwrap_or_else(PoisonError::into_inner) = Some(reference.into());
    }

    fn recorder(&self) -> &Recorder {
        let Inner { recorder, tools, held, .. } = &*self.0;
        recorder.get_or_init(|| Recorder::start(Arc::clone(&tools.runs), Arc::clone(held)))
    }

    pub(crate) fn masks(&self) -> &Masks {
        &self.0.masks
    }

    pub(crate) fn held(&self) -> &Held {
        &self.0.held
    }

    pub(crate) fn take_output_ref(&self) -> Option<String> {
        self.0.output_ref.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ships what was told.
    pub(crate) async fn end(&self) {
        if let Some(recorder) = self.0.recorder.get() {
            recorder.end().await;
        }
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("RunContext").field(&self.0.held.hold).finish()
    }
}
