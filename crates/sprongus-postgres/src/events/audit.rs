//! The stream of a workspace's events backwards, over a bounded stretch of it: as far as it is shown forwards too (`stream.rs`).

use std::num::NonZeroU32;

use sprongus_core::run::stream::StreamPosition;
use sprongus_core::runs::Caller;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage, Audited, WALKED};

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::events::stream::stream_end;
use crate::rows::values::TransactionId;
use crate::rows::{self, RowReader, events_in_order, number, restricted_to};

macro_rules! before {
    ($limit:literal) => {
        events_in_order!(
            single: "(tx, pos) < ($2, $3) AND tx < pg_snapshot_xmin(pg_current_snapshot())",
            batch: "tx <= $2 AND (tx, number - size + 1) < ($2, $3) AND tx < pg_snapshot_xmin(pg_current_snapshot())",
            in_batch: "(b.tx, e.pos) < ($2, $3)",
            "DESC", limit: $limit
        )
    };
}

/// What stands of runs is looked up by key, a run an event: a join would be free to read all of them.
pub(crate) const EVENTS: &str = concat!(
    "SELECT e.*, (SELECT r.kind FROM runs r WHERE r.workspace_id = $1 AND r.id = e.run_id) FROM (",
    before!("$4"),
    ") AS e
    WHERE ($5::text[] IS NULL OR e.type = ANY ($5)) AND ($6::text IS NULL OR e.actor = $6)
      AND ($7::text[] IS NULL
           OR (SELECT r.project_id FROM runs r WHERE r.workspace_id = $1 AND r.id = e.run_id) = ANY ($7))
    ORDER BY e.tx DESC, e.pos DESC LIMIT $8"
);
/// The last event of the stretch.
pub(crate) const EDGE: &str = concat!(
    "SELECT tx, pos FROM (",
    before!("($4::bigint + 1)"),
    ") AS e ORDER BY tx DESC, pos DESC OFFSET $4 LIMIT 1"
);

/// Up to `limit` of the caller's events before `before` that are looked for, newest first.
pub async fn audit(
    database: &Database,
    caller: &Caller,
    before: Option<StreamPosition>,
    filter: &AuditFilter,
    limit: NonZeroU32,
) -> Result<AuditPage> {
    // One beginning for both statements, before which nothing is ever put.
    let before = match before {
        Some(before) => before,
        None => stream_end(database, caller).await?,
    };
    let (workspace, tx, pos) = (caller.workspace.as_str(), TransactionId(before.tx), number(before.pos));
    let projects = restricted_to(caller);
    let types: Option<Vec<&str>> =
        (!filter.types.is_empty()).then(|| filter.types.iter().map(|kind| kind.as_str()).collect());
    let (walked, most) = (i64::from(WALKED), i64::from(limit.get()) + 1);
    let events: Params<'_> = &[&workspace, &tx, &pos, &walked, &types, &filter.actor, &projects, &most];
    let [found] = database.read(&caller.workspace, [(EVENTS, events)]).await?;
    let found = rows::all(&found, audited)?;
    if i64::try_from(found.len()).unwrap_or(i64::MAX) == most {
        return Ok(AuditPage::new(found, limit, None));
    }
    let last = walked - 1;
    let [edge] = database.read(&caller.workspace, [(EDGE, &[&workspace, &tx, &pos, &last])]).await?;
    Ok(AuditPage::new(found, limit, rows::first(&edge, rows::position)?))
}

fn audited(row: &mut RowReader<'_>) -> Result<Audited> {
    Ok(Audited { event: rows::event(row)?, position: rows::position(row)?, kind: row.parse()? })
}
