//! The audit of what operators did: written with each act, read newest first.

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::run::list::Page;
use sprongus_core::run::stream::{StreamPosition, Streamed, StreamedEvent};
use sprongus_core::runs::Caller;
use sprongus_core::workspace::operator::{OperatorAct, OperatorEvent, OperatorFilter};

use crate::connection::writer::Tx;
use crate::rows::{self, Read, RowReader};

macro_rules! columns {
    () => {
        "id, workspace_id, type, at, actor, token_id, subject, state_before, state_after"
    };
}

const NOTE: &str = concat!(
    "INSERT INTO operator_events (",
    columns!(),
    ", pos) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
);
/// The numbers of run_events are given in order, so one taken here is given to no event of a run.
const FIRST_PLACE: &str = "
    INSERT INTO sqlite_sequence (name, seq) SELECT 'run_events', 0
    WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'run_events')";
const TAKE_PLACE: &str = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'run_events' RETURNING seq";
pub(crate) const STREAM: &str = concat!(
    "SELECT pos, ",
    columns!(),
    " FROM operator_events INDEXED BY operator_events_in_order WHERE pos > ?1 AND workspace_id = ?2 ORDER BY pos LIMIT ?3"
);
pub(crate) const EVENTS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM operator_events WHERE workspace_id = ?1 AND at >= ?2 AND (at, id) < (?3, ?4)",
    " AND (?5 IS NULL OR type IN (SELECT value FROM json_each(?5))) AND (?6 IS NULL OR actor = ?6)",
    " ORDER BY at DESC, id DESC LIMIT ?7"
);

/// Notes an act in the transaction that did it; nothing where nothing was changed.
pub fn note(tx: &Tx<'_>, caller: &Caller, act: Option<OperatorAct>) -> Result<()> {
    let Some(act) = act else { return Ok(()) };
    let event = act.by(caller, tx.now);
    let place = if event.kind.is_streamed() { Some(take_place(tx)?) } else { None };
    let params = rusqlite::params![
        event.id.to_string(),
        event.workspace_id.as_str(),
        event.kind.as_str(),
        event.at.to_string(),
        event.actor,
        event.token_id.map(|id| id.to_string()),
        event.subject,
        event.before.as_ref().map(Json::as_str),
        event.after.as_ref().map(Json::as_str),
        place,
    ];
    rows::execute(tx.connection, NOTE, params).map(drop)
}

fn take_place(tx: &Tx<'_>) -> Result<i64> {
    rows::execute(tx.connection, FIRST_PLACE, [])?;
    rows::only(tx.connection, TAKE_PLACE, [], |row| row.value())
}

/// Up to `limit` of the workspace's own events in the stream behind a place.
pub fn stream(connection: &Connection, caller: &Caller, after: i64, limit: u32) -> Result<Vec<Streamed>> {
    rows::all(connection, STREAM, (after, caller.workspace.as_str(), limit), |row| {
        let position = StreamPosition { tx: 0, pos: row.integer()? };
        Ok(Streamed { position, event: StreamedEvent::Workspace(Box::new(event(row)?)) })
    })
}

/// A page of the audit.
pub fn events(
    connection: &Connection,
    caller: &Caller,
    filter: &OperatorFilter,
) -> Result<Page<OperatorEvent>> {
    let stretch = filter.stretch(&caller.workspace)?;
    let (at, id) = stretch.before;
    let types = (!filter.types.is_empty()).then(|| rows::to_json(&filter.types)).transpose()?;
    let (since, at, id) = (stretch.since.to_string(), at.to_string(), id.to_string());
    let params =
        (caller.workspace.as_str(), since, at, id, types, &filter.actor, i64::from(filter.limit) + 1);
    let found = rows::all(connection, EVENTS, params, event)?;
    Ok(filter.page(&caller.workspace, found))
}

fn event(row: &mut RowReader<'_, '_>) -> Read<OperatorEvent> {
    Ok(OperatorEvent {
        id: row.parse()?,
        workspace_id: row.parse()?,
        kind: row.parse()?,
        at: row.parse()?,
        actor: row.value()?,
        token_id: row.parse_optional()?,
        subject: row.value()?,
        before: row.optional_json()?,
        after: row.optional_json()?,
    })
}
