//! The stream of a workspace's events backwards, over a bounded stretch. An event has no workspace of its own, so those of others
//! belong to the stretch.

use std::num::NonZeroU32;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage, Audited, WALKED};

use crate::error::MapDbErr;
use crate::rows::{self, event_columns};

/// The columns before those of the event: its place, whether it is looked for, and what its run does.
pub(crate) const EVENTS: &str = concat!(
    "SELECT e.pos, r.workspace_id = ?3 AND (?4 IS NULL OR r.project_id IN (SELECT value FROM json_each(?4)))",
    " AND (?5 IS NULL OR e.type IN (SELECT value FROM json_each(?5))) AND (?6 IS NULL OR e.actor = ?6), r.kind, ",
    event_columns!(),
    " FROM run_events e CROSS JOIN runs r ON r.id = e.run_id WHERE e.pos < ?1 ORDER BY e.pos DESC LIMIT ?2"
);
const EVENT: usize = 3;

/// Up to `limit` of the caller's events before `before` that are looked for, newest first.
pub fn audit(
    connection: &Connection,
    caller: &Caller,
    before: Option<StreamPosition>,
    filter: &AuditFilter,
    limit: NonZeroU32,
) -> Result<AuditPage> {
    // No event has a transaction: a place in one lies behind all of them.
    let before = before.filter(|it| it.tx == 0).map_or(i64::MAX, |it| rows::number(it.pos));
    let projects = caller.projects.as_ref().map(rows::to_json).transpose()?;
    let types = (!filter.types.is_empty()).then(|| rows::to_json(&filter.types)).transpose()?;
    let most = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    let asked = (before, WALKED, caller.workspace.as_str(), &projects, &types, &filter.actor);
    let mut select = connection.prepare_cached(EVENTS).map_db_err()?;
    let mut events = select.query(asked).map_db_err()?;
    let (mut found, mut passed, mut place) = (Vec::new(), 0, StreamPosition::default());
    while found.len() <= most
        && let Some(row) = events.next().map_db_err()?
    {
        passed += 1;
        let pos: i64 = row.get(0).map_db_err()?;
        place = StreamPosition { tx: 0, pos: u64::try_from(pos).unwrap_or(0) };
        if row.get::<_, Option<bool>>(1).map_db_err()? == Some(true) {
            let kind = rows::text(row, 2).map_db_err()?;
            found.push(Audited { position: place, kind, event: rows::event_from(row, EVENT).map_db_err()? });
        }
    }
    Ok(AuditPage::new(found, limit, (passed == WALKED).then_some(place)))
}
