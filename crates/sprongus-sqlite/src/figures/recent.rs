//! The last hour: what was added up of it, and what has happened since, added to that as it is asked for.

use std::collections::BTreeMap;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::figures::recent::{COUNTED, Figure, KEPT, Recent, Sum, first_minute, tell};
use sprongus_core::run::event::Event;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Stats;

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::rows::{self, event_columns};

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
    tx.connection.prepare_cached(FORGET).map_db_err()?.execute((workspace, oldest)).map_db_err()?;
    Ok(())
}

/// Writes the figures of the last hour into `stats`. To be called in a transaction: the two reads must see one instant.
pub fn read(connection: &Connection, caller: &Caller, now: Timestamp, stats: &mut Stats) -> Result<()> {
    let (workspace, began) = (caller.workspace.as_str(), first_minute(now));
    let narrowed = caller.projects.as_ref().map(rows::to_json).transpose()?;
    let mut sums: BTreeMap<(Figure, u16), Sum> = BTreeMap::new();
    let mut select = connection.prepare_cached(SUMS).map_db_err()?;
    let mut found = select.query((workspace, began.to_string(), &narrowed)).map_db_err()?;
    while let Some(row) = found.next().map_db_err()? {
        let sum = Sum { count: row.get(2).map_db_err()?, total_ms: row.get(3).map_db_err()? };
        sums.insert((rows::text(row, 0).map_db_err()?, row.get(1).map_db_err()?), sum);
    }
    let mut since = Recent::default();
    let mut select = connection.prepare_cached(SINCE).map_db_err()?;
    let mut found = select.query((workspace, &narrowed, rows::to_json(&COUNTED)?)).map_db_err()?;
    while let Some(row) = found.next().map_db_err()? {
        let event: Event = rows::event_from(row, 2).map_db_err()?;
        // Events are in the order of their times, which are read under the write lock.
        if event.at < began {
            break;
        }
        if row.get(0).map_db_err()? {
            since.add(row.get_ref(1).map_db_err()?.as_str().unwrap_or_default(), &event, began);
        }
    }
    for ((_, _, figure, part), more) in &since.0 {
        let sum = sums.entry((*figure, *part)).or_default();
        *sum = sum.plus(*more);
    }
    tell(&sums, stats);
    Ok(())
}
