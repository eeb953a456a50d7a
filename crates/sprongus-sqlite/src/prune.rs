//! Retention: ended runs go, with all that is theirs, oldest first and a small batch at a time.

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::directory::{Pruned, Retention};
use sprongus_core::runs::Caller;
use sprongus_core::state::State;
use sprongus_core::time::Timestamp;

use crate::fault::Told;
use crate::rows;
use crate::writer::Tx;

const MARK: &str = "
    INSERT INTO pruning (run_id)
    SELECT id FROM runs INDEXED BY runs_by_state
    WHERE workspace_id = ?1 AND state = ?2 AND created_at < ?3 AND finished_at < ?3
        AND (?5 IS NULL OR project_id IN (SELECT value FROM json_each(?5)))
    ORDER BY created_at LIMIT ?4";
const TAKE: &str = "DELETE FROM runs WHERE id IN (SELECT run_id FROM pruning)";
const UNMARK: &str = "DELETE FROM pruning";
const COUNT: &str = "
    SELECT count(*) FROM runs INDEXED BY runs_by_state
    WHERE workspace_id = ?1 AND state = ?2 AND created_at < ?3 AND finished_at < ?3
        AND (?4 IS NULL OR project_id IN (SELECT value FROM json_each(?4)))";

/// Takes a batch.
pub fn run(tx: &Tx<'_>, caller: &Caller, retention: Retention, limit: u32) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let mut left = limit;
    for state in State::ALL {
        let Some(cutoff) = retention.cutoff(state, tx.now) else { continue };
        let mut mark = tx.connection.prepare_cached(MARK).told()?;
        let params = (caller.workspace.as_str(), state.as_str(), cutoff.to_string(), left, narrowed(caller)?);
        let marked = mark.execute(params).told()?;
        tx.connection.prepare_cached(TAKE).told()?.execute([]).told()?;
        tx.connection.prepare_cached(UNMARK).told()?.execute([]).told()?;
        if marked > 0 {
            pruned.runs.insert(state, marked as u64);
        }
        left -= u32::try_from(marked).unwrap_or(left).min(left);
    }
    Ok(pruned)
}

/// Counts what would go.
pub fn count(
    connection: &Connection,
    caller: &Caller,
    retention: Retention,
    now: Timestamp,
) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    for state in State::ALL {
        let Some(cutoff) = retention.cutoff(state, now) else { continue };
        let mut select = connection.prepare_cached(COUNT).told()?;
        let params = (caller.workspace.as_str(), state.as_str(), cutoff.to_string(), narrowed(caller)?);
        let runs: i64 = select.query_row(params, |row| row.get(0)).told()?;
        if runs > 0 {
            pruned.runs.insert(state, u64::try_from(runs).unwrap_or(0));
        }
    }
    Ok(pruned)
}

fn narrowed(caller: &Caller) -> Result<Option<String>> {
    caller.projects.as_ref().map(rows::written).transpose()
}
