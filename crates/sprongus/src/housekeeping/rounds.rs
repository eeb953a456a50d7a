//! Who has waited long enough: chores come round, each at its own pace and jittered, so that processes started together do not do the
//! same at the same time. One batch is done at a time, of the chore that has been due longest, so that none holds up another; after
//! each there is a rest of four times as long as it took: on a busy database batches take longer, so that house is kept less, and
//! never for more than a fifth of the time.

use std::collections::VecDeque;
use std::time::Duration;

use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Error, ErrorCode, Result};
use tokio::time::Instant;

use super::lasting_failures::LastingFailures;

/// What is done in rounds over all workspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// Brings up to the present what time has changed: gates that timed out, leases that ran out, runs that expired.
    Timers,
    /// Adds what has happened to the minutes.
    Minutes,
    /// Takes what retention lets go.
    Retention,
}

/// The rest after a batch, in times of what it took.
const REST: u32 = 4;

/// The longest rest; a gate's timeout is late by this much at most for it.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// A batch that took longer leaves the rest of its chore to the next round, where the chore can wait.
const SLOW: Duration = Duration::from_secs(1);

/// The first round of each chore begins within this, however long its pause: a server that is started anew every day prunes too.
const FIRST: Duration = Duration::from_secs(5);

impl Chore {
    const ALL: [Self; 3] = [Self::Timers, Self::Minutes, Self::Retention];

    /// How long from the end of a round to the next, give or take a fifth.
    fn pause(self) -> Duration {
        match self {
            Self::Timers => Duration::from_secs(1),
            Self::Minutes => Duration::from_secs(5),
            Self::Retention => Duration::from_secs(600),
        }
    }

    /// Whether it can wait when the database is slow. Timers cannot, and minutes would only grow more.
    fn can_wait(self) -> bool {
        match self {
            Self::Timers | Self::Minutes => false,
            Self::Retention => true,
        }
    }

    /// Its name among the figures.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Timers => "timers",
            Self::Minutes => "minutes",
            Self::Retention => "retention",
        }
    }

    fn failure(self) -> &'static str {
        match self {
            Self::Timers => "cannot process timers",
            Self::Minutes => "cannot add events to the figures",
            Self::Retention => "cannot apply retention",
        }
    }
}

/// What is done in a round.
pub(super) trait Batches {
    /// The workspaces there are.
    fn workspaces(&self) -> impl Future<Output = Result<Vec<WorkspaceId>>> + Send;

    /// Does a batch of a chore in a workspace; whether there may be more of it.
    fn batch(&self, chore: Chore, workspace: &WorkspaceId) -> impl Future<Output = Result<bool>> + Send;

    /// A round is over; whether all of it went well.
    fn round_over(&self, chore: Chore, well: bool);
}

/// Logs a failure.
pub(super) fn log_failure(chore: Chore, error: &Error) {
    tracing::warn!("{}: {error:?}", chore.failure());
}

/// Where a chore stands.
struct ChoreState {
    chore: Chore,
    /// When its next round begins, or the one under way goes on.
    due: Instant,
    /// The workspaces left of the round under way; none between two rounds.
    left: Option<VecDeque<WorkspaceId>>,
    /// Whether all of this round went well so far.
    well: bool,
    failures: LastingFailures,
}

impl ChoreState {
    fn new(chore: Chore) -> Self {
        let due = Instant::now() + chore.pause().min(FIRST).mul_f64(fastrand::f64());
        Self { chore, due, left: None, well: true, failures: LastingFailures::default() }
    }

    fn end_round(&mut self, batches: &impl Batches) {
        batches.round_over(self.chore, self.well);
        if std::mem::replace(&mut self.well, true) {
            self.failures.forget();
        }
        self.left = None;
        self.due = Instant::now() + self.chore.pause().mul_f64(0.8 + 0.4 * fastrand::f64());
    }

    /// Begins a round, or does the next batch of the one under way.
    async fn go_on<B: Batches>(&mut self, batches: &B, log_failure: &mut impl FnMut(Chore, &Error)) {
        let Some(left) = &mut self.left else {
            match batches.workspaces().await {
                Ok(all) => self.left = Some(all.into()),
                Err(error) => self.failed(&error, log_failure),
            }
            return self.end_batch(false, batches);
        };
        let began = Instant::now();
        if let Some(workspace) = left.pop_front() {
            match batches.batch(self.chore, &workspace).await {
                // Behind the others: a workspace with much to do holds none of them up.
                Ok(true) => left.push_back(workspace),
                Ok(false) => {}
                // It was deleted meanwhile.
                Err(error) if error.code() == ErrorCode::NotFound => {}
                Err(error) => self.failed(&error, log_failure),
            }
        }
        self.end_batch(began.elapsed() > SLOW, batches);
    }

    fn end_batch(&mut self, was_slow: bool, batches: &impl Batches) {
        let is_over = self.left.as_ref().is_none_or(VecDeque::is_empty);
        if is_over || (was_slow && self.chore.can_wait()) {
            self.end_round(batches);
        } else {
            self.due = Instant::now();
        }
    }

    fn failed(&mut self, error: &Error, log_failure: &mut impl FnMut(Chore, &Error)) {
        self.well = false;
        if self.failures.is_new(error) {
            log_failure(self.chore, error);
        }
    }
}

pub(super) async fn forever<B: Batches>(batches: B, mut log_failure: impl FnMut(Chore, &Error)) {
    let mut chores = Chore::ALL.map(ChoreState::new);
    while let Some(next) = chores.iter_mut().min_by_key(|state| state.due) {
        tokio::time::sleep_until(next.due).await;
        let began = Instant::now();
        next.go_on(&batches, &mut log_failure).await;
        tokio::time::sleep((began.elapsed() * REST).min(LONGEST_REST)).await;
    }
}

#[cfg(test)]
mod tests;
