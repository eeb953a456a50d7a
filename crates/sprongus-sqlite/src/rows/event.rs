//! An event's row.

use sprongus_core::Result;
use sprongus_core::run::event::Event;

use super::{Binder, Read, RowReader, number};
use crate::connection::writer::Tx;
use crate::error::MapDbErr;

/// The columns of an event.
macro_rules! event_columns {
    () => {
        "run_id, step_id, seq, type, at, actor, payload"
    };
}
pub(crate) use event_columns;

/// The columns of [`event_columns`].
pub fn event(row: &mut RowReader<'_, '_>) -> Read<Event> {
    Ok(Event {
        run_id: row.parse()?,
        step_id: row.parse_optional()?,
        seq: row.integer()?,
        kind: row.parse()?,
        at: row.parse()?,
        actor: row.value()?,
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
