//! Retention: ended runs go, with all that is theirs, oldest first and a small batch at a time.
//!
//! Each look is a walk along an index that begins with the oldest run. Where kinds have limits of their own for success, each kind is
//! walked by itself, so that runs which one kind keeps longer are in no other one's way; what the other states keep longer is little.

use std::collections::BTreeMap;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::events::operator::note;
use crate::rows;

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
    over: Over,
}

enum Over {
    /// Of all kinds, those named having times of their own.
    Kinds { latest: String, usual: String, own: String },
    /// Of one kind.
    Kind { kind: String, cutoff: String },
}

/// Takes a batch.
pub fn run(tx: &Tx<'_>, caller: &Caller, retention: &Retention, limit: u32) -> Result<Pruned> {
    let (workspace, projects) = (caller.workspace.as_str(), narrowed(caller)?);
    let mut pruned = Pruned::default();
    let mut left = limit;
    for Walk { state, over } in walks(tx.connection, caller, retention, tx.now)? {
        if left == 0 {
            break;
        }
        let ended = state.as_str();
        let marked = match &over {
            Over::Kinds { latest, usual, own } => {
                let mut mark = tx.connection.prepare_cached(MARK).map_db_err()?;
                mark.execute((workspace, ended, latest, usual, own, &projects, left)).map_db_err()?
            }
            Over::Kind { kind, cutoff } => {
                let mut mark = tx.connection.prepare_cached(MARK_OF_KIND).map_db_err()?;
                mark.execute((workspace, ended, cutoff, kind, &projects, left)).map_db_err()?
            }
        };
        if marked == 0 {
            continue;
        }
        let mut counts = tx.connection.prepare_cached(MARKED).map_db_err()?;
        add(&mut pruned, state, counts.query([]).map_db_err()?)?;
        tx.connection.prepare_cached(TAKE).map_db_err()?.execute([]).map_db_err()?;
        tx.connection.prepare_cached(UNMARK).map_db_err()?.execute([]).map_db_err()?;
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
    let (workspace, projects) = (caller.workspace.as_str(), narrowed(caller)?);
    let mut pruned = Pruned::default();
    for Walk { state, over } in walks(connection, caller, retention, now)? {
        let ended = state.as_str();
        match &over {
            Over::Kinds { latest, usual, own } => {
                let mut count = connection.prepare_cached(COUNT).map_db_err()?;
                let params = (workspace, ended, latest, usual, own, &projects);
                add(&mut pruned, state, count.query(params).map_db_err()?)?;
            }
            Over::Kind { kind, cutoff } => {
                let mut count = connection.prepare_cached(COUNT_OF_KIND).map_db_err()?;
                let params = (workspace, ended, cutoff, kind, &projects);
                add(&mut pruned, state, count.query(params).map_db_err()?)?;
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
                walks.push(Walk { state, over: Over::Kind { kind, cutoff } });
            }
            continue;
        }
        let latest = own.values().copied().max().unwrap_or(usual).max(usual).to_string();
        let own: BTreeMap<&str, String> = own.iter().map(|(kind, time)| (*kind, time.to_string())).collect();
        let (usual, own) = (usual.to_string(), rows::to_json(&own)?);
        walks.push(Walk { state, over: Over::Kinds { latest, usual, own } });
    }
    Ok(walks)
}

fn kinds(connection: &Connection, caller: &Caller) -> Result<Vec<String>> {
    let mut select = connection.prepare_cached(KINDS).map_db_err()?;
    let kinds = select.query_map([caller.workspace.as_str()], |row| row.get(0)).map_db_err()?;
    kinds.collect::<rusqlite::Result<_>>().map_db_err()
}

fn add(pruned: &mut Pruned, state: State, mut counts: rusqlite::Rows<'_>) -> Result<()> {
    while let Some(row) = counts.next().map_db_err()? {
        let (kind, runs): (String, i64) = (row.get(0).map_db_err()?, row.get(1).map_db_err()?);
        pruned.add(&kind, state, u64::try_from(runs).unwrap_or(0));
    }
    Ok(())
}

fn narrowed(caller: &Caller) -> Result<Option<String>> {
    caller.projects.as_ref().map(rows::to_json).transpose()
}
