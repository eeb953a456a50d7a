//! The stream of a workspace's events backwards, over a bounded stretch. An event has no workspace of its own, so those of others
//! belong to the stretch.

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage, Audited, WALKED};

use crate::rows::{self, event_columns, restricted_to};

/// The columns before those of the event: its place, whether it is looked for, and what its run does.
pub(crate) const EVENTS: &str = concat!(
    "SELECT e.pos, r.workspace_id = ?3 AND (?4 IS NULL OR r.project_id IN (SELECT value FROM json_each(?4)))",
    " AND (?5 IS NULL OR e.type IN (SELECT value FROM json_each(?5))) AND (?6 IS NULL OR e.actor = ?6), r.kind, ",
    event_columns!(),
    " FROM run_events e CROSS JOIN runs r ON r.id = e.run_id WHERE e.pos < ?1 ORDER BY e.pos DESC LIMIT ?2"
);

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
    let projects = restricted_to(caller)?;
    let types = (!filter.types.is_empty()).then(|| rows::to_json(&filter.types)).transpose()?;
    let most = usize::try_from(limit.get()).unwrap_or(usize::MAX);
    let asked = (before, WALKED, caller.workspace.as_str(), &projects, &types, &filter.actor);
    let (mut found, mut passed, mut position) = (Vec::new(), 0, StreamPosition::default());
    rows::each(connection, EVENTS, asked, |row| {
        passed += 1;
        position = StreamPosition { tx: 0, pos: row.integer()? };
        if row.value::<Option<bool>>()? == Some(true) {
            found.push(Audited { position, kind: row.parse()?, event: rows::event(row)? });
        }
        Ok(if found.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(AuditPage::new(found, limit, (passed == WALKED).then_some(position)))
}
