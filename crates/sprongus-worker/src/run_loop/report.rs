//! The reports on their way to the store: gathered, sent in batches, repeated until they are answered.
//!
//! One call at a time and no timer: whatever ended while the last call ran goes into the next. A report is sent under the
//! same epoch until it is answered or its lease has ended, so an answer that was lost on the way does no harm. Work that is done is
//! thrown away for no refusal that may pass: only a result that is wrong in itself becomes a failure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::run::Outcome;
use sprongus_core::run::view::RunView;
use sprongus_core::runs::Runs;
use sprongus_core::values::names::WorkerId;
use tokio::time::Instant;

use crate::execution::active_run::ActiveRun;
use crate::execution::transient::{is_fault_of_content, may_pass, pause};

/// The most reports in one call.
pub(crate) const BATCH: usize = 500;

/// Pauses before a report, or a call, that failed is repeated.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// A report that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) active: Arc<ActiveRun>,
    pub(crate) outcome: Outcome,
    /// How long the execution took; none where nothing was executed.
    pub(crate) took: Option<Duration>,
    /// How often it was refused for what may pass.
    tries: u32,
    not_before: Option<Instant>,
    /// What it was refused for the last time, so that the log has each cause once.
    refused: Option<ErrorCode>,
}

impl Pending {
    pub(crate) fn new(active: Arc<ActiveRun>, outcome: Outcome, took: Option<Duration>) -> Self {
        Self { active, outcome, took, tries: 0, not_before: None, refused: None }
    }
}

/// What a call came to.
pub(crate) struct Sent {
    pub(crate) reports: Vec<Pending>,
    pub(crate) answers: Result<Vec<Result<RunView>>>,
}

/// What became of one report.
pub(crate) enum Settled {
    /// The store took it; this is the run after it.
    Taken(Box<RunView>),
    /// The run is not ours any more, or was called off before the report came.
    Refused,
    /// To be sent again, perhaps as something the store can take.
    Again,
}

/// The reports that are not answered yet.
#[derive(Debug)]
pub(crate) struct Reports {
    waiting: VecDeque<Pending>,
    in_flight: usize,
    not_before: Option<Instant>,
    /// Calls that failed as a whole, one after the other.
    failures: u32,
    /// How many go into one call: fewer after a call that was refused as a whole, so that one report that is refused does not keep
    /// the others back.
    batch: usize,
}

impl Default for Reports {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), in_flight: 0, not_before: None, failures: 0, batch: BATCH }
    }
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
        let now = Instant::now();
        let early = |time: &Option<Instant>| time.is_some_and(|time| now < time);
        if self.in_flight > 0 || early(&self.not_before) {
            return None;
        }
        let mut batch = Vec::new();
        for _ in 0..self.waiting.len() {
            let Some(pending) = self.waiting.pop_front() else { break };
            if early(&pending.not_before) || batch.len() == self.batch {
                self.waiting.push_back(pending);
            } else {
                batch.push(pending);
            }
        }
        self.in_flight = batch.len();
        Some(batch).filter(|batch| !batch.is_empty())
    }

    /// Notes that the call is over; what it could not deliver is pushed again afterwards.
    pub(crate) fn answered(&mut self, failure: Option<&Error>) {
        let sent = std::mem::take(&mut self.in_flight);
        match failure {
            None => {
                (self.failures, self.not_before) = (0, None);
                self.batch = (self.batch * 2).min(BATCH);
            }
            Some(error) => {
                self.failures += 1;
                // A store that cannot be reached is spared; one that refuses is asked in smaller parts, which find the one it means.
                let spare = error.retryable() || sent <= 1;
                self.not_before =
                    spare.then(|| Instant::now() + pause(self.failures, PAUSES.0, 4 * PAUSES.0));
                if !error.retryable() {
                    self.batch = (sent / 2).max(1);
                }
            }
        }
    }
}

/// Sends a batch of reports, and answers it with what became of each.
pub(crate) async fn send(runs: Arc<dyn Runs>, worker: WorkerId, reports: Vec<Pending>) -> Sent {
    let report = |pending: &Pending| pending.active.hold.report(pending.outcome.clone());
    let answers = runs.finish(&worker, reports.iter().map(report).collect()).await;
    Sent { reports, answers }
}

/// Judges the answer to one report; a result that the store will never take is turned into a failure that it will.
pub(crate) fn settle(report: &mut Pending, answer: Result<RunView>) -> Settled {
    let error = match answer {
        Ok(run) => return Settled::Taken(Box::new(run)),
        Err(error) => error,
    };
    if may_pass(error.code()) {
        report.put_off(&error);
        return Settled::Again;
    }
    if !is_fault_of_content(error.code()) {
        return Settled::Refused;
    }
    tracing::error!(
        run = %report.active.hold.id, kind = %report.active.kind, code = %error.code(), error = error.message(),
        "a report was refused"
    );
    match report.outcome {
        Outcome::Succeed { .. } => {
            let error = format!("the result was refused: {}", error.message());
            report.outcome = Outcome::Fail { error, retryable: false, retry_in: None };
            Settled::Again
        }
        Outcome::Fail { .. } | Outcome::Release => Settled::Refused,
    }
}

impl Pending {
    /// To be sent again after a while.
    fn put_off(&mut self, error: &Error) {
        self.tries += 1;
        self.not_before = Some(Instant::now() + pause(self.tries, PAUSES.0, PAUSES.1));
        if !error.retryable() && self.refused != Some(error.code()) {
            self.refused = Some(error.code());
            tracing::error!(
                run = %self.active.hold.id, kind = %self.active.kind, code = %error.code(), error = error.message(),
                "a report was refused; retrying while the lease lasts"
            );
        }
    }
}
