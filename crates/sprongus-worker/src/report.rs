//! The reports on their way to the store: gathered, sent in batches, repeated while the store cannot be reached.
//!
//! One call at a time and no timer: whatever ended while the last call ran goes into the next. A report is sent under the
//! same epoch until it is answered or its lease has ended, so an answer that was lost on the way does no harm.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::names::WorkerId;
use sprongus_core::run::{Outcome, Report, Run};
use sprongus_core::runs::Runs;
use tokio::time::Instant;

use crate::held::Held;

/// The most reports in one call.
pub(crate) const BATCH: usize = 500;

/// The pause before a call that failed is repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// A report that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) held: Arc<Held>,
    pub(crate) outcome: Outcome,
    /// How long the execution took; none where nothing was executed.
    pub(crate) took: Option<Duration>,
}

/// What a call came to.
pub(crate) struct Sent {
    pub(crate) reports: Vec<Pending>,
    pub(crate) answers: Result<Vec<Result<Run>>>,
}

/// What became of one report.
pub(crate) enum Settled {
    /// The store took it; this is the run after it.
    Taken(Box<Run>),
    /// The run is not ours any more, or was called off before the report came.
    Refused,
    /// To be sent again, perhaps as something the store can take.
    Again,
}

/// The reports that are not answered yet.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    waiting: VecDeque<Pending>,
    in_flight: usize,
    not_before: Option<Instant>,
}

impl Reports {
    pub(crate) fn push(&mut self, report: Pending) {
        self.waiting.push_back(report);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }

    /// The next batch, if it is time to send one.
    pub(crate) fn next(&mut self) -> Option<Vec<Pending>> {
        let early = self.not_before.is_some_and(|time| Instant::now() < time);
        if self.in_flight > 0 || self.waiting.is_empty() || early {
            return None;
        }
        let batch: Vec<_> = self.waiting.drain(..self.waiting.len().min(BATCH)).collect();
        self.in_flight = batch.len();
        Some(batch)
    }

    /// Notes that the call is over; what it could not deliver is pushed again afterwards.
    pub(crate) fn answered(&mut self, delivered: bool) {
        self.in_flight = 0;
        self.not_before = (!delivered).then(|| Instant::now() + PAUSE);
    }
}

/// Sends a batch.
pub(crate) async fn send(runs: Arc<dyn Runs>, worker: WorkerId, reports: Vec<Pending>) -> Sent {
    let report = |pending: &Pending| Report {
        id: pending.held.hold.id,
        epoch: pending.held.hold.epoch,
        outcome: pending.outcome.clone(),
    };
    let answers = runs.finish(&worker, reports.iter().map(report).collect()).await;
    Sent { reports, answers }
}

/// Judges the answer to one report; one that the store will never take is turned into a failure that it will.
pub(crate) fn settle(report: &mut Pending, answer: Result<Run>) -> Settled {
    let error = match answer {
        Ok(run) => return Settled::Taken(Box::new(run)),
        Err(error) => error,
    };
    if error.code() == ErrorCode::LeaseLost || error.code() == ErrorCode::NotFound {
        return Settled::Refused;
    }
    if error.retryable() {
        return Settled::Again;
    }
    tracing::error!(
        run = %report.held.hold.id, kind = %report.held.kind, code = %error.code(), "a report was refused"
    );
    match report.outcome {
        Outcome::Succeed { .. } => {
            report.outcome = refused(&error);
            Settled::Again
        }
        Outcome::Fail { .. } | Outcome::Release => Settled::Refused,
    }
}

/// A result that is too large stays too large; a fault of the store's may pass.
fn refused(error: &Error) -> Outcome {
    let retryable = error.code() == ErrorCode::Internal;
    Outcome::Fail { error: format!("the result was refused: {}", error.message()), retryable, retry_in: None }
}
