//! Claims that wait for the same work at one server queue up. Only the first of a queue reads the database; when it has got something the
//! next one reads. So a hundred idle workers cost as much as one, and a wake-up lets through as many as there are runs for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sprongus_core::Caller;
use sprongus_core::run::ClaimRequest;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::{ClaimId, Kind, ProjectId, WorkspaceId};
use tokio::sync::{Mutex as Queue, OwnedMutexGuard, watch};

/// Queues beyond this many make empty ones be forgotten.
const KEPT: usize = 1_000;

/// What all claims in one queue wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Work {
    workspace: WorkspaceId,
    projects: Option<Vec<ProjectId>>,
    kinds: Option<Vec<Kind>>,
}

/// Claims with one claim id, one after another: a claim that is repeated while the first one still waits, because its client gave up on
/// the answer, must not be answered before the first has ended. Else the first would take runs that nobody hears of.
#[derive(Default)]
struct Repeats {
    queue: Arc<Queue<()>>,
    arrived: watch::Sender<u64>,
}

/// The right to claim under a claim id, until it is dropped.
pub struct ClaimTurn {
    _first: OwnedMutexGuard<()>,
    arrived: watch::Receiver<u64>,
    number: u64,
}

impl ClaimTurn {
    /// Waits until the claim has been repeated, so that this one should end.
    pub async fn superseded(&mut self) {
        let number = self.number;
        if self.arrived.wait_for(|&arrived| arrived > number).await.is_err() {
            // The claim id was forgotten, so no repeat can arrive any more.
            std::future::pending::<()>().await;
        }
    }
}

/// A claim id is the claim's own within a workspace and an API token.
type RepeatKey = (WorkspaceId, Option<TokenId>, ClaimId);

/// The queues of this server; every server has its own.
#[derive(Default)]
pub struct ClaimQueues {
    queues: Mutex<HashMap<Work, Arc<Queue<()>>>>,
    repeats: Mutex<HashMap<RepeatKey, Arc<Repeats>>>,
}

impl ClaimQueues {
    /// The queue for what is asked. Whoever holds its lock is the first; the lock is fair.
    pub fn queue(&self, caller: &Caller, request: &ClaimRequest) -> Arc<Queue<()>> {
        let mut kinds = request.kinds.clone();
        if let Some(kinds) = &mut kinds {
            kinds.sort_unstable();
            kinds.dedup();
        }
        let work = Work { workspace: caller.workspace.clone(), projects: caller.projects.clone(), kinds };
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.len() > KEPT {
            queues.retain(|_, queue| Arc::strong_count(queue) > 1);
        }
        Arc::clone(queues.entry(work).or_default())
    }

    /// Asks the claims with the same claim id to end, and waits until they have; none for a claim without one.
    pub async fn turn(&self, caller: &Caller, request: &ClaimRequest) -> Option<ClaimTurn> {
        // Of one API token: nobody else's claim ends one.
        let key = (caller.workspace.clone(), caller.token_id, request.claim_id.clone()?);
        let repeats = {
            let mut all = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() > KEPT {
                all.retain(|_, one| Arc::strong_count(one) > 1 || Arc::strong_count(&one.queue) > 1);
            }
            Arc::clone(all.entry(key).or_default())
        };
        let mut number = 0;
        repeats.arrived.send_modify(|arrived| {
            *arrived += 1;
            number = *arrived;
        });
        let arrived = repeats.arrived.subscribe();
        let first = Arc::clone(&repeats.queue).lock_owned().await;
        Some(ClaimTurn { _first: first, arrived, number })
    }
}
