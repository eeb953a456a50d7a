//! How a worker comes to its end: draining, stopping, and letting go of what it claimed ahead.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{LoopEvent, RunLoop};
use crate::execution::active_run::ActiveRun;
use crate::execution::recorder::now;
use crate::execution::{Executed, close};
use crate::process::StopReason;
use crate::run_loop::report::Pending;
use crate::run_loop::shutdown::ShutdownState;
use crate::run_loop::slot::Waiting;
use sprongus_core::run::Outcome;

/// After being told to stop: longer than TERM, KILL and a short CLEANUP take.
const LAST_WAIT: Duration = Duration::from_secs(20);

impl RunLoop {
    pub(super) fn on_shutdown(&mut self, state: ShutdownState) {
        match state {
            ShutdownState::Working => {}
            ShutdownState::Draining => self.drain(Some(self.grace)),
            ShutdownState::Stopping => self.stop(),
        }
    }

    /// Claims nothing more. Without a grace, as when the store asks for it, what runs has all the time it needs.
    pub(super) fn drain(&mut self, grace: Option<Duration>) {
        if self.at(ShutdownState::Stopping) {
            return;
        }
        if self.at(ShutdownState::Working) {
            tracing::info!(worker = %self.info.id, executing = self.executing, "draining");
            self.stage.send_replace(ShutdownState::Draining);
        }
        let end = grace.map(|grace| Instant::now() + grace);
        self.deadline = [self.deadline, end].into_iter().flatten().min();
        self.release_waiting();
    }

    /// Stops what is being executed; it goes back when it has ended.
    fn stop(&mut self) {
        if self.at(ShutdownState::Stopping) {
            return;
        }
        tracing::info!(worker = %self.info.id, executing = self.executing, "stopping");
        self.stage.send_replace(ShutdownState::Stopping);
        self.deadline = Some(Instant::now() + LAST_WAIT);
        self.release_waiting();
        self.leases.stop_all(StopReason::Shutdown);
    }

    pub(super) fn watch_grace(&mut self, now: Instant) {
        if self.at(ShutdownState::Draining) && self.deadline.is_some_and(|end| now >= end) {
            self.stop();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        // A word that is under way would come after its last, and make of it a worker that is still there.
        let silent = !self.claiming && !self.seeing;
        let idle = self.leases.is_empty() && self.executing == 0 && self.reports.is_empty() && silent;
        let out_of_patience =
            self.at(ShutdownState::Stopping) && self.deadline.is_some_and(|end| Instant::now() >= end);
        self.stage() != ShutdownState::Working && (idle || out_of_patience)
    }

    pub(super) fn at(&self, stage: ShutdownState) -> bool {
        self.stage() == stage
    }

    fn stage(&self) -> ShutdownState {
        *self.stage.borrow()
    }

    /// Gives back what was claimed ahead. A CLEANUP is handed out only once, so it is kept and done.
    pub(super) fn release_waiting(&mut self) {
        let (kept, released) =
            std::mem::take(&mut *self.slots.waiting()).into_iter().partition(|(_, active)| active.cleanup);
        *self.slots.waiting() = kept;
        let released: Waiting = released;
        for (_, active) in released {
            self.report(Pending::new(active, Outcome::Release, None));
        }
    }

    /// Closes what was called off before it was begun.
    pub(super) fn put_away_stopped(&mut self) {
        let mut stopped = Vec::new();
        self.slots.waiting().retain(|(_, active)| {
            let put_away = !active.cleanup && active.stopped() == Some(StopReason::Canceled);
            if put_away {
                stopped.push(Arc::clone(active));
            }
            !put_away
        });
        stopped.into_iter().for_each(|active| self.close(active, None));
    }

    /// Tells that nothing of an ended run is left here.
    pub(super) fn close(&self, active: Arc<ActiveRun>, took: Option<Duration>) {
        let runs = Arc::clone(&self.runs);
        self.spawn(async move {
            let follow_up = close(runs.as_ref(), &active, now()).await;
            LoopEvent::Executed(Executed { active, took, follow_up, executed: false })
        });
    }
}

/// Whoever drops a worker in the middle of its work has stopped its heartbeats, so its work must stop too.
impl Drop for RunLoop {
    fn drop(&mut self) {
        self.leases.stop_all(StopReason::LeaseLost);
    }
}
