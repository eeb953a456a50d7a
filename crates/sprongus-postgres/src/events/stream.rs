//! The stream of a workspace's events, transaction by transaction.
//!
//! A transaction has its number from its first write on, and may commit long after one with a higher number; `pos` is given as
//! early. So no event is shown before every transaction with a lower number is over: `pg_snapshot_xmin` is the lowest number that
//! may still be running, what lies below it is all there or never will be, and the order of (tx, pos) is final there. A transaction
//! that stays open after a write holds the stream up for as long, whatever its database; it loses nothing.

use sprongus_core::run::stream::{StreamPosition, Streamed, StreamedEvent, merge};
use sprongus_core::runs::Caller;

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::events::operator;
use crate::rows::values::TransactionId;
use crate::rows::{self, RowReader, events_in_order, number, restricted_to};

/// Events of other projects are walked over, this many in one statement, so that each is short.
const AT_ONCE: u32 = 1_000;

macro_rules! in_order {
    () => {
        events_in_order!(
            single: "(tx, pos) > ($2, $3) AND tx < pg_snapshot_xmin(pg_current_snapshot())",
            batch: "(tx, number) > ($2, $3) AND tx < pg_snapshot_xmin(pg_current_snapshot())",
            in_batch: "(b.tx, e.pos) > ($2, $3)",
            "ASC", limit: "$4"
        )
    };
}

pub(crate) const EVENTS: &str = in_order!();
pub(crate) const EVENTS_AND_PROJECTS: &str = concat!(
    "SELECT e.*, coalesce(r.project_id = ANY ($5::text[]), false) FROM (",
    in_order!(),
    ") AS e LEFT JOIN runs r ON r.workspace_id = $1 AND r.id = e.run_id ORDER BY e.tx, e.pos"
);
const END: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())";

/// Up to `most` of the caller's events behind `after`.
pub async fn stream(
    database: &Database,
    caller: &Caller,
    after: StreamPosition,
    most: u32,
) -> Result<Vec<Streamed>> {
    let Some(projects) = restricted_to(caller) else {
        let (workspace, limit) = (caller.workspace.as_str(), i64::from(most));
        let (tx, pos) = (TransactionId(after.tx), number(after.pos));
        let events: Params<'_> = &[&workspace, &tx, &pos, &limit];
        let asked = [(EVENTS, events), (operator::STREAM, events)];
        let [of_runs, own] = database.read(&caller.workspace, asked).await?;
        let of_runs = rows::all(&of_runs, streamed)?;
        return Ok(merge(of_runs, rows::all(&own, operator::streamed)?, most));
    };
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    let mut walked = after;
    while found.len() < limit {
        let page = page(database, caller, &projects, walked).await?;
        let is_last = page.len() < AT_ONCE as usize;
        walked = page.last().map_or(walked, |(position, _)| *position);
        found.extend(page.into_iter().filter_map(|(_, own)| own));
        if is_last {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

/// The next events of the workspace: the place of each, and those that are the caller's.
async fn page(
    database: &Database,
    caller: &Caller,
    projects: &[&str],
    after: StreamPosition,
) -> Result<Vec<(StreamPosition, Option<Streamed>)>> {
    let (workspace, most) = (caller.workspace.as_str(), i64::from(AT_ONCE));
    let (tx, pos) = (TransactionId(after.tx), number(after.pos));
    let events: Params<'_> = &[&workspace, &tx, &pos, &most, &projects];
    let [found] = database.read(&caller.workspace, [(EVENTS_AND_PROJECTS, events)]).await?;
    rows::all(&found, |row| {
        let streamed = streamed(row)?;
        Ok((streamed.position, row.value::<bool>()?.then_some(streamed)))
    })
}

fn streamed(row: &mut RowReader<'_>) -> Result<Streamed> {
    Ok(Streamed { event: StreamedEvent::Run(rows::event(row)?), position: rows::position(row)? })
}

/// The end of the stream: behind every transaction that is shown by now, before the first place of any other, for `pos` begins
/// with 1.
pub async fn stream_end(database: &Database, caller: &Caller) -> Result<StreamPosition> {
    let [end] = database.read(&caller.workspace, [(END, &[])]).await?;
    let TransactionId(tx) = rows::only(&end, |row| row.value())?;
    Ok(StreamPosition { tx, pos: 0 })
}
