//! The minutes, made of the stream of events a page at a time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rusqlite::{Connection, ToSql, params_from_iter};
use sprongus_core::Result;
use sprongus_core::figures::rollup::{Added, Counts, KEPT, Minute, Span, Took, Totals, admit, fold};
use sprongus_core::run::event::Event;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;

use crate::connection::writer::Tx;
use crate::directory::check_workspace;
use crate::error::MapDbErr;
use crate::events::operator::note;
use crate::figures::recent;
use crate::rows::{self, Read, RowReader, event_columns};

const READ_TO: &str = "SELECT pos FROM rolled_up WHERE workspace_id = ?1";
/// An event has no workspace of its own: those of others are walked over.
pub(crate) const PAGE: &str = concat!(
    "SELECT e.pos, r.workspace_id = ?3, r.kind, coalesce(r.project_id, ''), ",
    event_columns!(),
    " FROM run_events e CROSS JOIN runs r ON r.id = e.run_id WHERE e.pos > ?1 ORDER BY e.pos LIMIT ?2"
);
const ADD: &str = "
    INSERT INTO run_minutes (workspace_id, minute, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms,
        tokens_in, tokens_out)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    ON CONFLICT (workspace_id, minute, kind) DO UPDATE SET enqueued = enqueued + excluded.enqueued,
        started = started + excluded.started, succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,
        canceled = canceled + excluded.canceled, retried = retried + excluded.retried, lost = lost + excluded.lost,
        succeeded_ms = succeeded_ms + excluded.succeeded_ms, tokens_in = tokens_in + excluded.tokens_in,
        tokens_out = tokens_out + excluded.tokens_out";
const ADD_TOTALS: &str = "
    INSERT INTO run_totals (workspace_id, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms,
        tokens_in, tokens_out)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    ON CONFLICT (workspace_id, kind) DO UPDATE SET enqueued = enqueued + excluded.enqueued,
        started = started + excluded.started, succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,
        canceled = canceled + excluded.canceled, retried = retried + excluded.retried, lost = lost + excluded.lost,
        succeeded_ms = succeeded_ms + excluded.succeeded_ms, tokens_in = tokens_in + excluded.tokens_in,
        tokens_out = tokens_out + excluded.tokens_out";
const ADD_SPAN: &str = "
    INSERT INTO run_spans (workspace_id, kind, span, bound, count, total_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT (workspace_id, kind, span, bound) DO UPDATE SET count = count + excluded.count,
        total_ms = total_ms + excluded.total_ms";
const TOTALS: &str = "
    SELECT kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms, tokens_in, tokens_out
    FROM run_totals WHERE workspace_id = ?1";
const SPANS: &str = "SELECT kind, span, bound, count, total_ms FROM run_spans WHERE workspace_id = ?1";
const NOTE: &str = "
    INSERT INTO rolled_up (workspace_id, pos) VALUES (?1, ?2)
    ON CONFLICT (workspace_id) DO UPDATE SET pos = excluded.pos";
const FORGET: &str = "DELETE FROM run_minutes WHERE workspace_id = ?1 AND minute < ?2";
const FORGET_ALL: [&str; 5] = [
    "DELETE FROM run_recent WHERE workspace_id = ?1",
    "DELETE FROM run_minutes WHERE workspace_id = ?1",
    "DELETE FROM run_totals WHERE workspace_id = ?1",
    "DELETE FROM run_spans WHERE workspace_id = ?1",
    "DELETE FROM rolled_up WHERE workspace_id = ?1",
];
pub(crate) const MINUTES: &str = "
    SELECT minute, kind, enqueued, started, succeeded, failed, canceled, retried, lost, succeeded_ms, tokens_in, tokens_out
    FROM run_minutes WHERE workspace_id = ?1 AND minute >= ?2 AND minute < ?3 ORDER BY minute, kind";

/// Adds the next events; how many were looked at.
pub fn roll_up(tx: &Tx<'_>, caller: &Caller, limit: u32) -> Result<u32> {
    admit(caller)?;
    let workspace = caller.workspace.as_str();
    check_workspace(tx, caller)?;
    let (mut own, mut looked_at, mut last): (Vec<(String, String, Event)>, u32, i64) =
        (Vec::new(), 0, rows::number(read_to(tx.connection, caller)?.pos));
    rows::each(tx.connection, PAGE, (last, limit, workspace), |row| {
        looked_at += 1;
        last = row.value()?;
        if row.value()? {
            own.push((row.value()?, row.value()?, rows::event(row)?));
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if looked_at == 0 {
        return Ok(0);
    }
    let sums = fold(own.iter().map(|(kind, project, event)| Added { kind, project, event }), tx.now);
    for ((minute, kind), counts) in &sums.minutes {
        let minute = minute.to_string();
        let key: [&dyn ToSql; 3] = [&workspace, &minute, kind];
        add(tx, ADD, &key, counts)?;
    }
    for (kind, totals) in &sums.totals {
        let key: [&dyn ToSql; 2] = [&workspace, kind];
        add(tx, ADD_TOTALS, &key, &totals.counts)?;
        for ((span, bound), took) in &totals.spans {
            let (count, total) = (rows::number(took.count), rows::number(took.total_ms));
            let params =
                rusqlite::params![workspace, kind, span.as_str(), rows::number(*bound as u64), count, total];
            rows::execute(tx.connection, ADD_SPAN, params)?;
        }
    }
    recent::add(tx, workspace, &sums.recent)?;
    rows::execute(tx.connection, NOTE, (workspace, last))?;
    let oldest = tx.now.minus(KEPT).to_string();
    rows::execute(tx.connection, FORGET, (workspace, oldest))?;
    Ok(looked_at)
}

/// How far the stream has been read.
pub fn read_to(connection: &Connection, caller: &Caller) -> Result<StreamPosition> {
    let pos = rows::first(connection, READ_TO, [caller.workspace.as_str()], |row| row.integer())?;
    Ok(StreamPosition { tx: 0, pos: pos.unwrap_or(0) })
}

/// Forgets what was made of the stream, and how far it was read.
pub fn forget(tx: &Tx<'_>, caller: &Caller) -> Result<()> {
    admit(caller)?;
    check_workspace(tx, caller)?;
    FORGET_ALL
        .iter()
        .try_for_each(|sql| rows::execute(tx.connection, sql, [caller.workspace.as_str()]).map(drop))?;
    note(tx, caller, Some(OperatorAct::figures_rebuilt()))
}

/// The minutes of a time.
pub fn minutes(
    connection: &Connection,
    caller: &Caller,
    since: Timestamp,
    before: Timestamp,
) -> Result<Vec<Minute>> {
    admit(caller)?;
    let params = (caller.workspace.as_str(), since.to_string(), before.to_string());
    rows::all(connection, MINUTES, params, |row| {
        Ok(Minute { minute: row.parse()?, kind: row.value()?, counts: counts(row)? })
    })
}

/// Everything that ever happened.
pub fn totals(connection: &Connection, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
    admit(caller)?;
    let snapshot = connection.unchecked_transaction().map_db_err()?;
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    rows::each(connection, TOTALS, [caller.workspace.as_str()], |row| {
        let kind = totals.entry(row.value()?).or_default();
        kind.counts = counts(row)?;
        Ok(ControlFlow::Continue(()))
    })?;
    rows::each(connection, SPANS, [caller.workspace.as_str()], |row| {
        let kind = totals.entry(row.value()?).or_default();
        let (span, bound): (Span, usize) = (row.parse()?, row.integer()?);
        kind.spans.insert((span, bound), Took { count: row.integer()?, total_ms: row.integer()? });
        Ok(ControlFlow::Continue(()))
    })?;
    snapshot.finish().map_db_err()?;
    Ok(totals)
}

/// Adds counts to those that have this key.
fn add(tx: &Tx<'_>, sql: &str, key: &[&dyn ToSql], counts: &Counts) -> Result<()> {
    let Counts { enqueued, started, succeeded, failed, canceled, retried, lost, .. } = *counts;
    let Counts { succeeded_ms, tokens_in, tokens_out, .. } = *counts;
    let happened = [enqueued, started, succeeded, failed, canceled, retried, lost];
    let numbers = happened.into_iter().chain([succeeded_ms, tokens_in, tokens_out]);
    let numbers: Vec<i64> = numbers.map(rows::number).collect();
    let params = key.iter().copied().chain(numbers.iter().map(|number| number as &dyn ToSql));
    rows::execute(tx.connection, sql, params_from_iter(params)).map(drop)
}

fn counts(row: &mut RowReader<'_, '_>) -> Read<Counts> {
    Ok(Counts {
        enqueued: row.integer()?,
        started: row.integer()?,
        succeeded: row.integer()?,
        failed: row.integer()?,
        canceled: row.integer()?,
        retried: row.integer()?,
        lost: row.integer()?,
        succeeded_ms: row.integer()?,
        tokens_in: row.integer()?,
        tokens_out: row.integer()?,
    })
}
