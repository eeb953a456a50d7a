//! An event's row.

use rusqlite::Row;
use sprongus_core::Result;
use sprongus_core::run::event::Event;

use super::{Binder, Read, Reader, number};
use crate::connection::writer::Tx;
use crate::error::MapDbErr;

/// The columns of an event.
macro_rules! event_columns {
    () => {
        "run_id, step_id, seq, type, at, actor, payload"
    };
}
pub(crate) use event_columns;

/// A row of [`event_columns`].
pub fn event(row: &Row<'_>) -> Read<Event> {
    event_from(row, 0)
}

/// The same from the column numbered `first` on.
pub fn event_from(row: &Row<'_>, first: usize) -> Read<Event> {
    let mut row = Reader::from(row, first);
    Ok(Event {
        run_id: row.text()?,
        step_id: row.optional()?,
        seq: row.count()?,
        kind: row.text()?,
        at: row.text()?,
        actor: row.plain()?,
        payload: row.json()?,
    })
}

const INSERT_EVENT: &str =
    concat!("INSERT OR FAIL INTO run_events (", event_columns!(), ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");

/// Writes events, once.
pub fn insert_events(tx: &Tx<'_>, events: &[Event]) -> Result<()> {
    let mut insert = tx.connection.prepare_cached(INSERT_EVENT).map_db_err()?;
    for event in events {
        let mut row = Binder::of(&mut insert);
        row.text(&event.run_id.to_string())?;
        row.optional(event.step_id.map(|id| id.to_string()).as_deref())?;
        row.number(number(event.seq))?;
        row.text(event.kind.as_str())?;
        row.time(Some(event.at))?;
        row.text(&event.actor)?;
        row.text(event.payload.as_str())?;
        insert.raw_execute().map_db_err()?;
    }
    Ok(())
}
