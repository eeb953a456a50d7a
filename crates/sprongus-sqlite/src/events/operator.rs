//! The audit of what operators did: written with each act, read newest first.

use rusqlite::{Connection, Row};
use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::run::list::Page;
use sprongus_core::runs::Caller;
use sprongus_core::workspace::operator::{OperatorAct, OperatorEvent, OperatorFilter};

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::rows;

macro_rules! columns {
    () => {
        "id, workspace_id, type, at, actor, token_id, subject, state_before, state_after"
    };
}

const NOTE: &str =
    concat!("INSERT INTO operator_events (", columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
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
    ];
    tx.connection.prepare_cached(NOTE).map_db_err()?.execute(params).map_db_err()?;
    Ok(())
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
    let mut select = connection.prepare_cached(EVENTS).map_db_err()?;
    let found =
        select.query_map(params, event).map_db_err()?.collect::<rusqlite::Result<_>>().map_db_err()?;
    Ok(filter.page(&caller.workspace, found))
}

fn event(row: &Row<'_>) -> rusqlite::Result<OperatorEvent> {
    let json = |column| -> rusqlite::Result<Option<Json>> {
        Ok(row.get_ref(column)?.as_str_or_null()?.map(Json::from_canonical))
    };
    Ok(OperatorEvent {
        id: rows::text(row, 0)?,
        workspace_id: rows::text(row, 1)?,
        kind: rows::text(row, 2)?,
        at: rows::text(row, 3)?,
        actor: row.get(4)?,
        token_id: rows::optional(row, 5)?,
        subject: row.get(6)?,
        before: json(7)?,
        after: json(8)?,
    })
}
