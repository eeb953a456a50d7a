//! Ships what a run tells while it is executed: steps, log lines, progress.
//!
//! One task a run, started when there is something to ship. It gathers for a fifth of a second or 500 lines, whichever
//! comes first, so a chatty process costs a call now and then and is never slowed by one; a step's status is shipped at
//! once, for its times are taken when the store hears of it. Order is kept. [`Recorder::end`] flushes, and comes before
//! the run's report.
//!
//! Left to others: redaction. What comes in here goes out as it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::run::step::{LogLine, StepReport, Stream};
use sprongus_core::runs::Runs;
use sprongus_core::values::time::{Clock as _, SystemClock, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::execution::active_run::ActiveRun;
use crate::execution::transient::{may_pass, pause};
use crate::process::StopReason;

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(200);

/// So many lines are shipped before their time.
const ENOUGH: usize = 500;

/// The most lines in one call, when the store is behind.
const MOST: usize = 5_000;

/// Lines that may wait to be shipped. A process that is further ahead waits at its pipe; a handler loses lines.
const BACKLOG: usize = 20_000;

/// The pauses after a call that may be repeated.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long steps and lines are sent again that the store refuses: they may be what it stumbles over, and must not hold up a run for ever.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Entry {
    Line(LogLine),
    Step(Box<StepReport>),
    Progress(u32, Option<String>),
    /// Tell when everything before it is kept.
    Flush(oneshot::Sender<()>),
    End,
}

/// What is shipped in one go.
#[derive(Default)]
struct Batch {
    lines: Vec<LogLine>,
    steps: Vec<StepReport>,
    progress: Option<(u32, Option<String>)>,
    waiting: Vec<oneshot::Sender<()>>,
    urgent: bool,
    last: bool,
}

/// The way of one execution's words to the store.
#[derive(Debug)]
pub(crate) struct Recorder {
    entries: mpsc::Sender<Entry>,
    task: Mutex<Option<JoinHandle<()>>>,
    dropped: AtomicU64,
}

impl Recorder {
    /// Starts shipping for `active`.
    pub(crate) fn start(runs: Arc<dyn Runs>, active: Arc<ActiveRun>) -> Self {
        let (entries, inbox) = mpsc::channel(BACKLOG);
        let task = tokio::spawn(ship(runs, active, inbox));
        Self { entries, task: Mutex::new(Some(task)), dropped: AtomicU64::new(0) }
    }

    /// Takes a line, waiting for room.
    pub(crate) async fn line(&self, line: LogLine) {
        let _ = self.entries.send(Entry::Line(line)).await;
    }

    /// Takes a line if there is room for it.
    pub(crate) fn try_line(&self, line: LogLine) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.entries.try_send(Entry::Line(line)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a word of the worker itself about the run.
    pub(crate) async fn say(&self, step: Option<&str>, text: String) {
        self.line(said(step, text)).await;
    }

    pub(crate) async fn step(&self, report: StepReport) {
        let _ = self.entries.send(Entry::Step(Box::new(report))).await;
    }

    /// Takes a progress, if there is room for it: the next one says the same and more.
    pub(crate) fn progress(&self, percent: u32, message: Option<String>) {
        let _ = self.entries.try_send(Entry::Progress(percent, message));
    }

    /// Waits until everything told so far is kept, or the run is lost.
    pub(crate) async fn flush(&self) {
        let (kept, waiting) = oneshot::channel();
        if self.entries.send(Entry::Flush(kept)).await.is_ok() {
            let _ = waiting.await;
        }
    }

    /// Ships the rest. What is told afterwards is lost.
    pub(crate) async fn end(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            self.say(None, format!("[{dropped} lines lost: output came faster than it could be stored]"))
                .await;
        }
        let _ = self.entries.send(Entry::End).await;
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

/// The present, for a line. The store's clock is authoritative for states; a line says when the worker read it.
pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A word of the worker itself.
pub(crate) fn said(step: Option<&str>, text: impl Into<String>) -> LogLine {
    LogLine { stream: Stream::System, at: now(), step: step.map(str::to_owned), text: text.into() }
}

async fn ship(runs: Arc<dyn Runs>, active: Arc<ActiveRun>, mut inbox: mpsc::Receiver<Entry>) {
    let mut entries = Vec::new();
    let mut patience = PATIENCE;
    loop {
        let mut batch = Batch::default();
        if inbox.recv_many(&mut entries, MOST).await == 0 {
            return;
        }
        entries.drain(..).for_each(|entry| batch.put(entry));
        let until = Instant::now() + GATHER;
        while !batch.is_full() {
            match timeout_at(until, inbox.recv_many(&mut entries, MOST - batch.lines.len())).await {
                Ok(0) => batch.last = true,
                Ok(_) => entries.drain(..).for_each(|entry| batch.put(entry)),
                Err(_) => break,
            }
        }
        let last = batch.last;
        if active.stopped() != Some(StopReason::LeaseLost) {
            let delivered = deliver(runs.as_ref(), &active, batch, patience).await;
            // Each batch's own patience would add up.
            patience = if delivered { PATIENCE } else { Duration::ZERO };
        }
        if last {
            return;
        }
    }
}

impl Batch {
    fn put(&mut self, entry: Entry) {
        match entry {
            Entry::Line(line) => self.lines.push(line),
            Entry::Step(step) => {
                self.steps.push(*step);
                self.urgent = true;
            }
            Entry::Progress(percent, message) => self.progress = Some((percent, message)),
            Entry::Flush(waiting) => {
                self.waiting.push(waiting);
                self.urgent = true;
            }
            Entry::End => self.last = true,
        }
    }

    fn is_full(&self) -> bool {
        self.urgent || self.last || self.lines.len() >= ENOUGH
    }
}

/// Ships a batch; whoever waits for it is told by the drop of it. Says whether its steps and lines were not given up.
async fn deliver(runs: &dyn Runs, active: &ActiveRun, batch: Batch, patience: Duration) -> bool {
    let mut delivered = true;
    if !batch.steps.is_empty() || !batch.lines.is_empty() {
        let record = || runs.record(&active.hold, batch.steps.clone(), batch.lines.clone());
        if let Err(error) = repeated_within(active, patience, record).await {
            if error.code() == ErrorCode::LeaseLost {
                // Nothing that is done from here on counts, and somebody else may be about to do it.
                active.stop(StopReason::LeaseLost);
            } else {
                tracing::warn!(
                    run = %active.hold.id, code = %error.code(), error = error.message(), "steps and log lines were refused and are lost"
                );
                delivered = false;
            }
        }
    }
    if let Some((percent, message)) = batch.progress {
        let progress = || runs.progress(&active.hold, percent, message.clone());
        // A run that was called off takes no progress, but is still ours to clean up: no sign of a lost lease.
        if let Err(error) = repeated_within(active, patience, progress).await {
            tracing::debug!(run = %active.hold.id, code = %error.code(), "a progress report was refused");
        }
    }
    delivered
}

/// Makes a call until it is answered, for as long as the run is held: what refuses it, but for the call itself, may pass.
pub(crate) async fn repeated<T, F>(active: &ActiveRun, call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    repeated_within(active, Duration::MAX, call).await
}

/// The same; but a call that is refused, and not only unanswered, for as long as `patience` is given up.
async fn repeated_within<T, F>(
    active: &ActiveRun,
    patience: Duration,
    mut call: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let (mut tries, mut refused_since, mut logged) = (0, None, None);
    loop {
        let error = match call().await {
            Err(error) if may_pass(error.code()) => error,
            answer => return answer,
        };
        let mut wait = PAUSE;
        if error.retryable() {
            (refused_since, tries) = (None, 0);
        } else {
            tries += 1;
            wait = pause(tries, PAUSE, LONGEST_PAUSE);
            let since = *refused_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= patience {
                return Err(error);
            }
            if logged.replace(error.code()) != Some(error.code()) {
                tracing::warn!(
                    run = %active.hold.id, code = %error.code(), error = error.message(), "a report on a run was refused; retrying"
                );
            }
        }
        tokio::select! {
            () = active.until_lost() => return Err(Error::new(ErrorCode::LeaseLost, "the lease expired")),
            () = sleep(wait) => {}
        }
    }
}
