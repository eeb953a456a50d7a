//! One execution of one run, from its start to what is to be reported of it. What is executed is behind [`Execute`]: a
//! Rust handler or a declared pipeline.

pub(crate) mod active_run;
pub(crate) mod once;
pub(crate) mod recorder;
pub(crate) mod transient;
pub(crate) mod upload;
pub(crate) mod waiting;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sprongus_core::rules::enqueue::recheck_input;
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Outcome, Resume};
use sprongus_core::runs::Runs;
use sprongus_core::values::time::Timestamp;
use tokio::time::Instant;
use tracing::Instrument;
use tracing::field::Empty;

use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::{now, repeated};
use crate::process::StopReason;
use crate::workdir::NoRoom;

/// What every execution of a worker has at hand.
pub(crate) struct Tools {
    pub(crate) runs: Arc<dyn Runs>,
    /// Where `secret://file/…` looks.
    pub(crate) secrets: Option<PathBuf>,
    /// Where work directories and the notes of running processes are.
    pub(crate) scratch: PathBuf,
}

/// A run to execute.
pub(crate) struct Work {
    pub(crate) run: RunView,
    pub(crate) active: Arc<ActiveRun>,
    pub(crate) tools: Arc<Tools>,
    /// The passed gate behind which it carries on.
    pub(crate) resume: Option<Resume>,
    /// The trace of whoever enqueued it.
    pub(crate) traceparent: Option<String>,
}

/// What an execution came to.
pub(crate) struct Execution {
    pub(crate) end: End,
    /// Since when nothing of it is alive.
    pub(crate) gone_at: Timestamp,
}

/// How an execution is over.
pub(crate) enum End {
    /// With this to report, unless the run was stopped.
    Report(Outcome),
    /// The run waits at a gate: it was let go, and there is nothing to report.
    Waits,
    /// It was not begun, for this worker has no room for its work directory.
    NoRoom(NoRoom),
}

impl Execution {
    pub(crate) fn of(outcome: Outcome) -> Self {
        Self { end: End::Report(outcome), gone_at: now() }
    }

    pub(crate) fn waits() -> Self {
        Self { end: End::Waits, gone_at: now() }
    }

    pub(crate) fn failed(error: String, retryable: bool) -> Self {
        Self::of(Outcome::Fail { error, retryable, retry_in: None })
    }
}

pub(crate) type Executing = Pin<Box<dyn Future<Output = Execution> + Send>>;

/// Something that executes the runs of a kind.
pub(crate) trait Execute: Send + Sync {
    /// Executes a run to its end. Of a run with `cleanup` only that is wanted, and the outcome does not matter. When the
    /// run is stopped the execution ends soon, and at once when its lease is lost.
    fn execute(&self, work: Work) -> Executing;

    /// Whether its runs have work directories.
    fn needs_workdir(&self) -> bool {
        false
    }
}

/// What is left to do about a run that was executed.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// Report this.
    Report(Outcome),
    /// Give it back: this worker has no room for it.
    NoRoom(NoRoom),
    /// Nothing: it was called off, and is cleaned up.
    Closed,
    /// Nothing: it waits at a gate, and is nobody's.
    Waiting,
    /// Nothing: it is not ours any more.
    Lost,
}

impl FollowUp {
    /// What it came to, in a word.
    fn outcome(&self) -> &'static str {
        match self {
            Self::Report(Outcome::Succeed { .. }) => "succeeded",
            Self::Report(Outcome::Fail { .. }) => "failed",
            Self::Report(Outcome::Release) | Self::NoRoom(_) => "released",
            Self::Closed => "closed",
            Self::Waiting => "waiting",
            Self::Lost => "lost",
        }
    }
}

/// An execution that is over.
#[derive(Debug)]
pub(crate) struct Executed {
    pub(crate) active: Arc<ActiveRun>,
    /// How long it was executed, if it was.
    pub(crate) took: Option<Duration>,
    pub(crate) follow_up: FollowUp,
    /// Whether it was executed just now, or only closed.
    pub(crate) executed: bool,
}

/// Executes `work`, in a span that goes on from whoever enqueued the run.
pub(crate) async fn execute(executor: Arc<dyn Execute>, work: Work) -> Executed {
    let (run, active) = (&work.run, &work.active);
    let span = tracing::info_span!(
        "run", otel.name = %format_args!("run {}", active.kind), otel.kind = "consumer", otel.status_code = Empty, run = %run.id,
        kind = %active.kind, attempt = active.attempt, epoch = active.hold.epoch, worker = %active.hold.worker_id,
        workspace = %run.workspace_id, cleanup = active.cleanup, outcome = Empty
    );
    sprongus_trace::go_on_from(&span, work.traceparent.as_deref());
    let over = in_span(executor, work).instrument(span.clone()).await;
    span.record("outcome", over.follow_up.outcome());
    if matches!(over.follow_up, FollowUp::Report(Outcome::Fail { .. }) | FollowUp::Lost) {
        span.record("otel.status_code", "ERROR");
    }
    over
}

/// Executes `work`; tells its start and, of a run that has ended meanwhile, that it is cleaned up.
async fn in_span(executor: Arc<dyn Execute>, work: Work) -> Executed {
    let (active, runs) = (Arc::clone(&work.active), Arc::clone(&work.tools.runs));
    let started = Instant::now();
    tracing::info!(
        run = %active.hold.id, kind = %active.kind, attempt = active.attempt, epoch = active.hold.epoch,
        worker = %active.hold.worker_id, cleanup = active.cleanup, "run started"
    );
    let execution = match recheck_input(&work.run.input) {
        Err(error) if !active.cleanup => Execution::failed(error.message().to_owned(), false),
        Err(_) | Ok(()) => caught(async move { executor.execute(work).await })
            .await
            .unwrap_or_else(|panic| Execution::failed(format!("the executor panicked: {panic}"), true)),
    };
    let took = Some(started.elapsed());
    let follow_up = match (execution.end, active.stopped()) {
        (End::Waits, _) => FollowUp::Waiting,
        (End::Report(_) | End::NoRoom(_), Some(StopReason::LeaseLost)) => FollowUp::Lost,
        (End::Report(_) | End::NoRoom(_), Some(StopReason::Canceled)) => {
            close(runs.as_ref(), &active, execution.gone_at).await
        }
        (End::Report(_) | End::NoRoom(_), Some(StopReason::Shutdown) | None) if active.cleanup => {
            close(runs.as_ref(), &active, execution.gone_at).await
        }
        (End::Report(outcome), Some(StopReason::Shutdown) | None) => FollowUp::Report(outcome),
        (End::NoRoom(why), Some(StopReason::Shutdown) | None) => FollowUp::NoRoom(why),
    };
    Executed { active, took, follow_up, executed: true }
}

/// Tells that an ended run's CLEANUP is done.
pub(crate) async fn close(runs: &dyn Runs, active: &ActiveRun, gone_at: Timestamp) -> FollowUp {
    match repeated(active, || runs.cleaned(&active.hold, gone_at)).await {
        Ok(_) => FollowUp::Closed,
        Err(_) => FollowUp::Lost,
    }
}

/// Runs a future to its end; a panic in it ends the future, and nothing else.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    std::future::poll_fn(move |context| {
        // The future is not polled again after a panic, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(message(panic.as_ref()))),
        }
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}
