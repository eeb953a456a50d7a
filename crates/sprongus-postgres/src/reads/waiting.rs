//! What a due run waits for: the workers that hold others, and what stands before it in the queue.

use std::collections::BTreeMap;

use sprongus_core::rules::order::rank;
use sprongus_core::run::Run;
use sprongus_core::run::waiting::MOST_COUNTED;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkerId;

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, restricted_to};

/// What is held has a timer at the end of its lease, and no lease is longer than an hour: what is due later is a delay. The clock is
/// asked in a subquery, as in `list.rs`.
const HELD: &str = "
    SELECT claimed_by, count(*) FROM (
        SELECT DISTINCT unnest(run_ids) AS id FROM run_timers
        WHERE workspace_id = $1 AND due_at <= (SELECT coalesce($2::timestamptz, clock_timestamp()) + interval '1 hour')) AS timed
    JOIN runs r USING (id)
    WHERE r.workspace_id = $1 AND lease_expires_at IS NOT NULL AND claimed_by IS NOT NULL GROUP BY claimed_by";
const AHEAD: &str = "
    SELECT count(*) FROM (
        SELECT FROM run_queue
        WHERE workspace_id = $1 AND kind = $2 AND (rank, run_at, id) < ($3, $4, $5)
            AND ($6::text[] IS NULL OR project_id = ANY ($6::text[]))
        LIMIT $7) AS before";

/// How many runs each worker holds.
pub async fn held(database: &Database, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
    let (workspace, clock) = (caller.workspace.as_str(), database.clock_override());
    let [held] = database.read(&caller.workspace, [(HELD, &[&workspace, &clock])]).await?;
    Ok(rows::all(&held, |row| Ok((row.parse()?, row.bigint()?)))?.into_iter().collect())
}

/// How many runs of its kind are claimed before `run`.
pub async fn ahead(database: &Database, caller: &Caller, run: &Run) -> Result<u64> {
    let (workspace, kind, projects) = (caller.workspace.as_str(), run.kind.as_str(), restricted_to(caller));
    let (rank, run_at, id) = (i16::from(rank(run.priority)), Time(run.run_at), uuid(run.id.to_bits()));
    let most = i64::try_from(MOST_COUNTED).unwrap_or(i64::MAX);
    let params: Params<'_> = &[&workspace, &kind, &rank, &run_at, &id, &projects, &most];
    let [ahead] = database.read(&caller.workspace, [(AHEAD, params)]).await?;
    rows::only(&ahead, |row| row.bigint())
}
