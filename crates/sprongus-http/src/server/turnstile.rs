//! Those who wait for work at one server stand in a row for each sort of work. Only the first of a row looks into the database; when it
//! has got something the next one looks. So a hundred idle workers cost as much as one, and a wake-up lets through as many as
//! there are runs for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sprongus_core::Caller;
use sprongus_core::run::ClaimRequest;
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::names::{ClaimId, Kind, ProjectId, WorkspaceId};
use tokio::sync::{Mutex as Row, OwnedMutexGuard, watch};

/// Rows beyond this many make those be forgotten in which nobody stands.
const KEPT: usize = 1_000;

/// What those in one row wait for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Work {
    workspace: WorkspaceId,
    projects: Option<Vec<ProjectId>>,
    kinds: Option<Vec<Kind>>,
}

/// Those who claim under one name, one after another: a claim that is repeated while the first one still waits, because its answer
/// was given up, must not be answered before the first has ended. Else the first would take runs that nobody hears of.
#[derive(Default)]
struct Name {
    row: Arc<Row<()>>,
    arrived: watch::Sender<u64>,
}

/// A claim's turn among those of its name.
pub struct Turn {
    _first: OwnedMutexGuard<()>,
    arrived: watch::Receiver<u64>,
    number: u64,
}

impl Turn {
    /// Waits until another claim of this name has arrived, to which this one should give way.
    pub async fn is_over(&mut self) {
        let number = self.number;
        if self.arrived.wait_for(|&arrived| arrived > number).await.is_err() {
            // The name was forgotten, so nobody can arrive any more.
            std::future::pending::<()>().await;
        }
    }
}

/// A claim's name is its own within a workspace and an API token.
type NamedClaim = (WorkspaceId, Option<TokenId>, ClaimId);

/// The rows of a server.
#[derive(Default)]
pub struct Turnstiles {
    rows: Mutex<HashMap<Work, Arc<Row<()>>>>,
    names: Mutex<HashMap<NamedClaim, Arc<Name>>>,
}

impl Turnstiles {
    /// The row for what is asked. Whoever holds it is the first; it is fair.
    pub fn row(&self, caller: &Caller, request: &ClaimRequest) -> Arc<Row<()>> {
        let mut kinds = request.kinds.clone();
        if let Some(kinds) = &mut kinds {
            kinds.sort_unstable();
            kinds.dedup();
        }
        let work = Work { workspace: caller.workspace.clone(), projects: caller.projects.clone(), kinds };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() > KEPT {
            rows.retain(|_, row| Arc::strong_count(row) > 1);
        }
        Arc::clone(rows.entry(work).or_default())
    }

    /// Waits until whoever claims under the same name has ended, having asked him to; nobody waits for one without a name.
    pub async fn turn(&self, caller: &Caller, request: &ClaimRequest) -> Option<Turn> {
        // Of one API token: nobody else's claim makes one give way.
        let key = (caller.workspace.clone(), caller.token_id, request.claim_id.clone()?);
        let name = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            if names.len() > KEPT {
                names.retain(|_, name| Arc::strong_count(name) > 1 || Arc::strong_count(&name.row) > 1);
            }
            Arc::clone(names.entry(key).or_default())
        };
        let mut number = 0;
        name.arrived.send_modify(|arrived| {
            *arrived += 1;
            number = *arrived;
        });
        let arrived = name.arrived.subscribe();
        let first = Arc::clone(&name.row).lock_owned().await;
        Some(Turn { _first: first, arrived, number })
    }
}
