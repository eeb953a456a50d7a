//! The stream of a workspace's events. One writer at a time gives `pos`, so it grows in the order of commits; a number that was
//! rolled back was never seen, and one that was is not given again, whatever is deleted.

use std::ops::ControlFlow;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::stream::{StreamPosition, Streamed, StreamedEvent, merge};
use sprongus_core::runs::Caller;

use crate::events::operator;
use crate::rows::{self, event_columns, restricted_to};

/// An event has no workspace of its own, so those of others are walked over, this many in one statement: no reader holds on to the
/// log for as long as a long stretch of them lasts.
const AT_ONCE: u32 = 1_000;

pub(crate) const EVENTS: &str = concat!(
    "SELECT e.pos, r.workspace_id = ?3 AND (?4 IS NULL OR r.project_id IN (SELECT value FROM json_each(?4))), ",
    event_columns!(),
    " FROM run_events e CROSS JOIN runs r ON r.id = e.run_id WHERE e.pos > ?1 ORDER BY e.pos LIMIT ?2"
);
const END: &str = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'run_events'), 0)";

/// Up to `most` of the caller's events behind `after`.
pub fn stream(
    connection: &Connection,
    caller: &Caller,
    after: StreamPosition,
    most: u32,
) -> Result<Vec<Streamed>> {
    let mut found = Vec::new();
    // No event has a transaction: a place in one lies behind all of them.
    let mut walked = if after.tx > 0 { i64::MAX } else { rows::number(after.pos) };
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let restricted = restricted_to(caller)?;
    let own = match &restricted {
        None => operator::stream(connection, caller, walked, most)?,
        Some(_) => Vec::new(),
    };
    while found.len() < limit {
        let mut passed = 0;
        let page = (walked, AT_ONCE, caller.workspace.as_str(), &restricted);
        rows::each(connection, EVENTS, page, |row| {
            passed += 1;
            walked = row.value()?;
            if row.value::<Option<bool>>()? == Some(true) {
                let position = StreamPosition { tx: 0, pos: u64::try_from(walked).unwrap_or(0) };
                found.push(Streamed { position, event: StreamedEvent::Run(rows::event(row)?) });
            }
            Ok(if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        if passed < AT_ONCE {
            break;
        }
    }
    Ok(merge(found, own, most))
}

/// The end of the stream: the last number that was given.
pub fn stream_end(connection: &Connection) -> Result<StreamPosition> {
    Ok(StreamPosition { tx: 0, pos: rows::only(connection, END, [], |row| row.integer())? })
}
