//! What a Rust handler is given beside its input: who the run is, and its ways to tell and to hear about it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sprongus_core::ids::RunId;
use sprongus_core::names::Kind;
use sprongus_core::step::{LogLine, Stream};

use crate::execution::{Tools, Work};
use crate::held::Held;
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
}

impl RunContext {
    pub(crate) fn new(work: Work, masks: Masks) -> Self {
        let Work { held, tools, run: _ } = work;
        Self(Arc::new(Inner { held, tools, masks, recorder: OnceLock::new(), output_ref: Mutex::default() }))
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
