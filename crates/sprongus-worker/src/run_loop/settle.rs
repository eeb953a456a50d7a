//! What becomes of an execution that is over, and of the answer to its report.

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode};
use sprongus_core::run::Outcome;
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;

use super::RunLoop;
use crate::execution::active_run::ActiveRun;
use crate::execution::{Executed, FollowUp};
use crate::run_loop::lease::LeaseState;
use crate::run_loop::report::{Pending, Sent, Settled, settle};

impl RunLoop {
    pub(super) fn executed(&mut self, over: Executed) {
        let Executed { active, took, follow_up, executed } = over;
        if executed {
            took.into_iter().for_each(|took| self.pace.executed(took));
        }
        match follow_up {
            FollowUp::Report(outcome) => self.report(Pending::new(active, outcome, took)),
            FollowUp::NoRoom(why) => {
                self.lacks_room(&why);
                self.report(Pending::new(active, Outcome::Release, None));
            }
            FollowUp::Closed => {
                self.leases.let_go(active.hold.id, active.hold.epoch);
                self.summary.canceled += u64::from(!active.cleanup);
                ended(&active, took, if active.cleanup { "cleaned" } else { "canceled" });
            }
            FollowUp::Waiting => {
                // It may have come back to us already, under another epoch.
                self.leases.let_go(active.hold.id, active.hold.epoch);
                self.summary.waiting += 1;
                ended(&active, took, "waiting");
            }
            FollowUp::Lost => {
                let lost = self.leases.let_go(active.hold.id, active.hold.epoch);
                self.lose(lost);
                ended(&active, took, "lease_lost");
            }
        }
    }

    pub(super) fn report(&mut self, pending: Pending) {
        // A claim that was lost meanwhile has no report to make.
        if let Some(lease) = self.leases.get(pending.active.hold.id, pending.active.hold.epoch) {
            lease.state = LeaseState::Reporting;
            self.reports.push(pending);
        } else {
            ended(&pending.active, pending.took, "lease_lost");
        }
    }

    pub(super) fn settle(&mut self, sent: Sent) {
        let Sent { reports, answers } = sent;
        let (mut answers, failure) = match answers {
            Ok(answers) => (answers.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        self.reports.answered(failure.as_ref());
        if let Some(error) = &failure
            && (error.retryable() || reports.len() > 1)
        {
            self.put_back(error, reports);
            return;
        }
        self.reports_refused = None;
        for mut pending in reports {
            let answer = answers.next().unwrap_or_else(|| Err(unanswered(failure.as_ref())));
            match settle(&mut pending, answer) {
                Settled::Taken(run) => self.taken(&pending, &run),
                // Its run may have been called off while the report was on its way: then this is still to be told.
                Settled::Refused => self.close(pending.active, pending.took),
                Settled::Again => self.report(pending),
            }
        }
    }

    /// A call that failed as a whole says nothing about any one of its reports.
    fn put_back(&mut self, error: &Error, reports: Vec<Pending>) {
        if self.reports_refused.replace(error.code()) != Some(error.code()) {
            tracing::warn!(
                code = %error.code(), error = error.message(), reports = reports.len(), "reports failed; retrying"
            );
        }
        reports.into_iter().for_each(|pending| self.report(pending));
    }

    fn taken(&mut self, pending: &Pending, run: &RunView) {
        let active = &pending.active;
        self.leases.let_go(active.hold.id, active.hold.epoch);
        let (count, outcome) = match (&pending.outcome, run.state) {
            (Outcome::Succeed { .. }, _) => (&mut self.summary.succeeded, "succeeded"),
            (Outcome::Release, _) => (&mut self.summary.released, "released"),
            (Outcome::Fail { .. }, State::Queued) => (&mut self.summary.retried, "retried"),
            (Outcome::Fail { .. }, State::Running | State::Succeeded | State::Failed | State::Canceled) => {
                (&mut self.summary.failed, "failed")
            }
        };
        *count += 1;
        ended(active, pending.took, outcome);
    }

    pub(super) fn lose(&mut self, lost: impl IntoIterator<Item = Arc<ActiveRun>>) {
        for active in lost {
            self.summary.lost += 1;
            tracing::warn!(
                run = %active.hold.id, kind = %active.kind, epoch = active.hold.epoch, "lease lost; dropping the run"
            );
        }
    }
}

/// Why one report of a call that failed as a whole has no answer.
fn unanswered(failure: Option<&Error>) -> Error {
    match failure {
        Some(error) => Error::new(error.code(), error.message()),
        None => Error::new(ErrorCode::Unavailable, "a report had no answer"),
    }
}

fn ended(active: &ActiveRun, took: Option<Duration>, outcome: &'static str) {
    let elapsed_ms = took.map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    tracing::info!(
        run = %active.hold.id, kind = %active.kind, attempt = active.attempt, epoch = active.hold.epoch,
        worker = %active.hold.worker_id, outcome, elapsed_ms, "run ended"
    );
}
