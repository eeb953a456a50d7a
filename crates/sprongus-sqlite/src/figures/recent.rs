//! The last hour: what was added up of it, and what has happened since, added to that as it is asked for.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::figures::recent::{COUNTED, Figure, KEPT, Recent, Sum, first_minute, write_stats};
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::rows::{self, event_columns, restricted_to};

const ADD: &str = "
    INSERT INTO run_recent (workspace_id, minute, project_id, figure, part, count, total_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (workspace_id, minute, project_id, figure, part) DO UPDATE SET count = count + excluded.count,
        total_ms = total_ms + excluded.total_ms";
const FORGET: &str = "DELETE FROM run_recent WHERE workspace_id = ?1 AND minute < ?2";
pub(crate) const SUMS: &str = "
    SELECT figure, part, sum(count), sum(total_ms) FROM run_recent
    WHERE workspace_id = ?1 AND minute >= ?2 AND (?3 IS NULL OR project_id IN (SELECT value FROM json_each(?3)))
    GROUP BY figure, part";
/// Newest first, so that whoever reads can stop where the hour began, however much was never added up. An event has no workspace of its
/// own: those of others are walked over.
pub(crate) const SINCE: &str = concat!(
    "SELECT r.workspace_id = ?1 AND (?2 IS NULL OR coalesce(r.project_id, '') IN (SELECT value FROM json_each(?2))),
        coalesce(r.project_id, ''), ",
    event_columns!(),
    " FROM run_events e CROSS JOIN runs r ON r.id = e.run_id
    WHERE e.pos > coalesce((SELECT pos FROM rolled_up WHERE workspace_id = ?1), 0)
        AND e.type IN (SELECT value FROM json_each(?3))
    ORDER BY e.pos DESC"
);

/// Adds what a page of events adds.
pub fn add(tx: &Tx<'_>, workspace: &str, recent: &Recent) -> Result<()> {
    let mut add = tx.connection.prepare_cached(ADD).map_db_err()?;
    for ((minute, project, figure, part), sum) in &recent.0 {
        let (minute, figure) = (minute.to_string(), figure.as_str());
        add.execute((workspace, minute, project, figure, part, sum.count, sum.total_ms)).map_db_err()?;
    }
    let oldest = tx.now.minus(KEPT).minute().to_string();
    rows::execute(tx.connection, FORGET, (workspace, oldest)).map(drop)
}

/// Writes the figures of the last hour into `stats`. To be called in a transaction: the two reads must see one instant.
pub fn read(connection: &Connection, caller: &Caller, now: Timestamp, stats: &mut Stats) -> Result<()> {
    let (workspace, began) = (caller.workspace.as_str(), first_minute(now));
    let restricted = restricted_to(caller)?;
    let mut sums: BTreeMap<(Figure, u16), Sum> = BTreeMap::new();
    rows::each(connection, SUMS, (workspace, began.to_string(), &restricted), |row| {
        let key = (row.parse()?, row.value()?);
        sums.insert(key, Sum { count: row.value()?, total_ms: row.value()? });
        Ok(ControlFlow::Continue(()))
    })?;
    let mut since = Recent::default();
    rows::each(connection, SINCE, (workspace, &restricted, rows::to_json(&COUNTED)?), |row| {
        let (is_own, project) = (row.value()?, row.text()?);
        let event = rows::event(row)?;
        // Events are in the order of their times, which are read under the write lock.
        if event.at < began {
            return Ok(ControlFlow::Break(()));
        }
        if is_own {
            since.add(project, &event, began);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for ((_, _, figure, part), more) in &since.0 {
        let sum = sums.entry((*figure, *part)).or_default();
        *sum = sum.plus(*more);
    }
    write_stats(&sums, stats);
    Ok(())
}
