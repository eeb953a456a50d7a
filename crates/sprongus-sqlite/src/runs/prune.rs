//! Retention: ended runs go, with all that is theirs, oldest first and a small batch at a time.
//!
//! Each look is a walk along an index that begins with the oldest run. Where kinds have limits of their own for success, each kind is
//! walked by itself, so that runs which one kind keeps longer are in no other one's way; what the other states keep longer is little.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::{Connection, Params};
use sprongus_core::Result;
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::writer::Tx;
use crate::events::operator::note;
use crate::rows::{self, restricted_to};

/// The runs of one state, whatever their kind. `?3` is the latest time at which any may have ended, `?4` when those of a kind without
/// limits of its own have, `?5` the times of the others.
macro_rules! of_state {
    () => {
        "FROM runs INDEXED BY runs_by_state
        WHERE workspace_id = ?1 AND state = ?2 AND created_at < ?3
            AND finished_at < coalesce((SELECT value FROM json_each(?5) WHERE key = runs.kind), ?4)
            AND (?6 IS NULL OR project_id IN (SELECT value FROM json_each(?6)))"
    };
}

/// The runs of one state and kind.
macro_rules! of_kind {
    () => {
        "FROM runs INDEXED BY runs_by_kind
        WHERE workspace_id = ?1 AND state = ?2 AND created_at < ?3 AND finished_at < ?3 AND kind = ?4
            AND (?5 IS NULL OR project_id IN (SELECT value FROM json_each(?5)))"
    };
}

pub(crate) const MARK: &str =
    concat!("INSERT INTO pruning (run_id) SELECT id ", of_state!(), " ORDER BY created_at LIMIT ?7");
pub(crate) const MARK_OF_KIND: &str =
    concat!("INSERT INTO pruning (run_id) SELECT id ", of_kind!(), " ORDER BY created_at LIMIT ?6");
pub(crate) const COUNT: &str = concat!("SELECT kind, count(*) ", of_state!(), " GROUP BY kind");
pub(crate) const COUNT_OF_KIND: &str = concat!("SELECT kind, count(*) ", of_kind!(), " GROUP BY kind");
/// From each kind to the next one, so that as many rows are read as there are kinds.
pub(crate) const KINDS: &str = "
    WITH RECURSIVE kinds (kind) AS (
        SELECT min(kind) FROM runs INDEXED BY runs_by_kind WHERE workspace_id = ?1
        UNION ALL SELECT (SELECT min(kind) FROM runs INDEXED BY runs_by_kind WHERE workspace_id = ?1 AND kind > kinds.kind)
        FROM kinds WHERE kind IS NOT NULL)
    SELECT kind FROM kinds WHERE kind IS NOT NULL";
const MARKED: &str = "SELECT kind, count(*) FROM runs WHERE id IN (SELECT run_id FROM pruning) GROUP BY kind";
const TAKE: &str = "DELETE FROM runs WHERE id IN (SELECT run_id FROM pruning)";
const UNMARK: &str = "DELETE FROM pruning";

/// A walk: the runs that ended in a state before a time.
struct Walk {
    state: State,
    over: WalkScope,
}

enum WalkScope {
    /// Of all kinds, those named having times of their own.
    Kinds { latest: String, usual: String, own: String },
    /// Of one kind.
    Kind { kind: String, cutoff: String },
}

/// Takes a batch.
pub fn run(tx: &Tx<'_>, caller: &Caller, retention: &Retention, limit: u32) -> Result<Pruned> {
    let (workspace, projects) = (caller.workspace.as_str(), restricted_to(caller)?);
    let mut pruned = Pruned::default();
    let mut left = limit;
    for Walk { state, over } in walks(tx.connection, caller, retention, tx.now)? {
        if left == 0 {
            break;
        }
        let ended = state.as_str();
        let marked = match &over {
            WalkScope::Kinds { latest, usual, own } => {
                rows::execute(tx.connection, MARK, (workspace, ended, latest, usual, own, &projects, left))?
            }
            WalkScope::Kind { kind, cutoff } => {
                rows::execute(tx.connection, MARK_OF_KIND, (workspace, ended, cutoff, kind, &projects, left))?
            }
        };
        if marked == 0 {
            continue;
        }
        add(tx.connection, MARKED, [], state, &mut pruned)?;
        rows::execute(tx.connection, TAKE, [])?;
        rows::execute(tx.connection, UNMARK, [])?;
        left -= u32::try_from(marked).unwrap_or(left).min(left);
    }
    note(tx, caller, OperatorAct::pruned(&pruned, retention))?;
    Ok(pruned)
}

/// Counts what would go.
pub fn count(
    connection: &Connection,
    caller: &Caller,
    retention: &Retention,
    now: Timestamp,
) -> Result<Pruned> {
    let (workspace, projects) = (caller.workspace.as_str(), restricted_to(caller)?);
    let mut pruned = Pruned::default();
    for Walk { state, over } in walks(connection, caller, retention, now)? {
        let ended = state.as_str();
        match &over {
            WalkScope::Kinds { latest, usual, own } => {
                let params = (workspace, ended, latest, usual, own, &projects);
                add(connection, COUNT, params, state, &mut pruned)?;
            }
            WalkScope::Kind { kind, cutoff } => {
                let params = (workspace, ended, cutoff, kind, &projects);
                add(connection, COUNT_OF_KIND, params, state, &mut pruned)?;
            }
        }
    }
    Ok(pruned)
}

fn walks(
    connection: &Connection,
    caller: &Caller,
    retention: &Retention,
    now: Timestamp,
) -> Result<Vec<Walk>> {
    let mut walks = Vec::new();
    for state in State::ALL {
        let Some(usual) = retention.cutoff(state, now) else { continue };
        let own = retention.own_cutoffs(state, now);
        if state == State::Succeeded && !own.is_empty() {
            for kind in kinds(connection, caller)? {
                let cutoff = own.get(kind.as_str()).unwrap_or(&usual).to_string();
                walks.push(Walk { state, over: WalkScope::Kind { kind, cutoff } });
            }
            continue;
        }
        let latest = own.values().copied().max().unwrap_or(usual).max(usual).to_string();
        let own: BTreeMap<&str, String> = own.iter().map(|(kind, time)| (*kind, time.to_string())).collect();
        let (usual, own) = (usual.to_string(), rows::to_json(&own)?);
        walks.push(Walk { state, over: WalkScope::Kinds { latest, usual, own } });
    }
    Ok(walks)
}

fn kinds(connection: &Connection, caller: &Caller) -> Result<Vec<String>> {
    rows::all(connection, KINDS, [caller.workspace.as_str()], |row| row.value())
}

/// Adds runs of a state by their kinds.
fn add(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    state: State,
    pruned: &mut Pruned,
) -> Result<()> {
    rows::each(connection, sql, params, |row| {
        pruned.add(row.text()?, state, row.integer()?);
        Ok(ControlFlow::Continue(()))
    })
}
