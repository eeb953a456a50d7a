//! What looks after a database by itself: timers that nobody claims past, the minutes behind charts and metrics, retention, and the
//! bytes of artifacts that nobody keeps any more. There is no leader: any number of processes may do all of it at once, each thing
//! is done once, and what one of them leaves the next one takes.
//!
//! `sprongus serve` does it for its database; a program that embeds the library and has no server beside it does it itself:
//!
//! ```no_run
//! # async fn example(service: sprongus::RunsService) {
//! use sprongus::core::run::retention::Retention;
//! use sprongus::housekeeping::Housekeeping;
//!
//! // Goes on until it is dropped.
//! let _housekeeping = Housekeeping::start(service, Retention::default());
//! # }
//! ```
//!
//! What is done when, and how it gives way to others, is in `rounds.rs`; whether the clock may be believed, in `clock.rs`.

mod clock;
mod figures;
mod lasting_failures;
mod rounds;
mod sweep;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sprongus_core::rules::SYSTEM;
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Result, RunsService};
use tokio::task::JoinHandle;

pub use figures::Figures;
use rounds::{Batches, Chore};

/// Timers moved in one transaction.
const TIMERS: u32 = 500;

/// Events added to the minutes in one transaction.
const EVENTS: u32 = 1_000;

/// Runs that go in one transaction.
const RUNS: u32 = 500;

/// Keeps house until it is dropped.
#[must_use = "dropped, it stops"]
pub struct Housekeeping {
    tasks: Vec<JoinHandle<()>>,
    figures: Figures,
}

impl Housekeeping {
    /// All of it, for every workspace: for who stands for a whole database. Runs that have ended go when `retention` says so. A failure is
    /// logged once, and what failed is tried again in its next round.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(service: RunsService, retention: Retention) -> Self {
        let figures = Figures::new();
        let (witness, taken) = (clock::Witness::default(), Mutex::default());
        let keeper = Keeper { service: service.clone(), retention, figures: figures.clone(), witness, taken };
        // A bucket that is away must hold no timer up, so what is swept goes its own way.
        let sweeping = tokio::spawn(sweep::forever(service, figures.clone()));
        Self { tasks: vec![tokio::spawn(rounds::forever(keeper, rounds::log_failure)), sweeping], figures }
    }

    /// The bytes of artifacts alone: for who works beside a database that others stand for.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn sweeping(service: RunsService) -> Self {
        let figures = Figures::new();
        Self { tasks: vec![tokio::spawn(sweep::forever(service, figures.clone()))], figures }
    }

    /// What it tells of itself, to be watched; a server takes it by `Server::telling`.
    pub fn figures(&self) -> Figures {
        self.figures.clone()
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The chores, done to a service.
struct Keeper {
    service: RunsService,
    retention: Retention,
    figures: Figures,
    witness: clock::Witness,
    /// What retention has taken in the round under way.
    taken: Mutex<BTreeMap<WorkspaceId, Pruned>>,
}

impl Batches for Keeper {
    async fn workspaces(&self) -> Result<Vec<WorkspaceId>> {
        let all = self.service.store().workspaces().await?;
        Ok(all.into_iter().map(|workspace| workspace.id).collect())
    }

    async fn batch(&self, chore: Chore, workspace: &WorkspaceId) -> Result<bool> {
        let caller = Caller::new(workspace.clone(), SYSTEM);
        let store = self.service.store();
        let (done, may_be_more) = match chore {
            Chore::Timers => {
                let moved = self.service.expire(&caller, TIMERS).await?;
                (moved.into(), moved >= TIMERS)
            }
            // Those who come too late for one page find less than a page, or nothing: only nothing is the end.
            Chore::Minutes => {
                let read = store.roll_up(&caller, EVENTS).await?;
                (read.into(), read > 0)
            }
            Chore::Retention if !self.witness.believes(&**store, &caller).await? => (0, false),
            Chore::Retention => {
                let pruned = store.prune(&caller, &self.retention, RUNS, false).await?;
                let taken = pruned.total();
                if taken > 0 {
                    let mut all = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                    all.entry(workspace.clone()).or_default().add_all(&pruned);
                }
                (taken, taken > 0)
            }
        };
        self.figures.did(chore.as_str(), done);
        Ok(may_be_more)
    }

    fn round_over(&self, chore: Chore, well: bool) {
        if chore == Chore::Retention {
            for (workspace, pruned) in
                std::mem::take(&mut *self.taken.lock().unwrap_or_else(PoisonError::into_inner))
            {
                let of = |state| pruned.runs.get(&state).copied().unwrap_or(0);
                tracing::info!(
                    %workspace, succeeded = of(State::Succeeded), failed = of(State::Failed), canceled = of(State::Canceled),
                    "retention deleted runs"
                );
            }
        }
        self.figures.round_over(chore.as_str(), well);
    }
}

#[cfg(test)]
mod tests;
