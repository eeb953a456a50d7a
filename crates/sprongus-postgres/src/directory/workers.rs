//! Workers, as far as they have been heard of.

use sprongus_core::Error;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkerId;
use sprongus_core::workspace::directory::{Worker, WorkerInfo};
use sprongus_core::workspace::operator::OperatorAct;
use uuid::Uuid;

use crate::connection::clock::{PRESENT, now_sql, present};
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::events::operator::commit;
use crate::rows::values::{JsonText, uuid};
use crate::rows::{self, millis, to_json};
use sprongus_core::workspace::directory::unknown_workspace;

/// Answers whether the workspace is known, and, where the caller may speak for the worker, whether it was told to stop claiming.
/// `$10` is how long a worker must have been silent for another one to take its id, in milliseconds ([`Worker::check_own`]).
const SEE: &str = concat!(
    "WITH present AS MATERIALIZED (SELECT ",
    now_sql!("$9"),
    " AS now),
    seen AS (
        INSERT INTO workers AS w (workspace_id, id, kinds, host, pid, version, concurrency, seen_at, token_id, zone_data)
        SELECT $1, $2, $3, $4, $5, $6, $7, now, $8, $11 FROM present WHERE EXISTS (SELECT FROM workspaces WHERE id = $1)
        ON CONFLICT (workspace_id, id) DO UPDATE SET kinds = excluded.kinds, seen_at = excluded.seen_at,
            token_id = excluded.token_id, zone_data = excluded.zone_data
        WHERE w.token_id IS NOT DISTINCT FROM excluded.token_id
            OR w.seen_at <= excluded.seen_at - $10::bigint * interval '1 millisecond'
        RETURNING draining)
    SELECT EXISTS (SELECT FROM workspaces WHERE id = $1), (SELECT draining FROM seen)"
);
/// A worker that fell silent stays in the table for an hour, for those who look for it.
const FORGET_LONG_GONE: &str = concat!(
    "DELETE FROM workers WHERE workspace_id = $1 AND seen_at < (SELECT ",
    now_sql!("$2"),
    " - interval '1 hour')"
);
/// Answers whether it was there and not the caller's to forget.
const FORGET: &str = concat!(
    "WITH silent AS MATERIALIZED (SELECT ",
    now_sql!("$4"),
    " - $5::bigint * interval '1 millisecond' AS since),
    forgotten AS (
        DELETE FROM workers WHERE workspace_id = $1 AND id = $2
            AND (token_id IS NOT DISTINCT FROM $3::uuid OR seen_at <= (SELECT since FROM silent)))
    SELECT EXISTS (SELECT FROM workers WHERE workspace_id = $1 AND id = $2
        AND token_id IS DISTINCT FROM $3::uuid AND seen_at > (SELECT since FROM silent))"
);
const WORKERS: &str = concat!(
    "SELECT id, kinds, host, pid, version, concurrency, draining, seen_at, zone_data FROM workers
    WHERE workspace_id = $1 AND seen_at > (SELECT ",
    now_sql!("$2"),
    " - $3::bigint * interval '1 millisecond') ORDER BY id COLLATE \"C\""
);
const DRAINING: &str = "SELECT draining FROM workers WHERE workspace_id = $1 AND id = $2 FOR UPDATE";
const DRAIN: &str = "UPDATE workers SET draining = true WHERE workspace_id = $1 AND id = $2";

/// Notes a worker's word, in one round trip.
pub async fn see(database: &Database, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
    let (workspace, id, clock) = (caller.workspace.as_str(), worker.id.as_str(), database.clock_override());
    let kinds = worker.kinds.as_ref().map(to_json).transpose()?;
    let kinds = kinds.as_deref().map(JsonText);
    let zone_data = worker.zone_data.as_ref().map(to_json).transpose()?;
    let zone_data = zone_data.as_deref().map(JsonText);
    let (pid, concurrency) = (i64::from(worker.pid), i64::from(worker.concurrency));
    let (token_id, silence) = (token_id(caller), millis(Worker::GONE_AFTER));
    let see: Params<'_> = &[
        &workspace,
        &id,
        &kinds,
        &worker.host,
        &pid,
        &worker.version,
        &concurrency,
        &token_id,
        &clock,
        &silence,
        &zone_data,
    ];
    let asked: [(&str, Params<'_>); 2] = [(FORGET_LONG_GONE, &[&workspace, &clock]), (SEE, see)];
    let [_, seen] = database.transact(&caller.workspace, asked).await?;
    let (is_known, draining): (bool, Option<bool>) =
        rows::only(&seen, |row| Ok((row.value()?, row.value()?)))?;
    if !is_known {
        return Err(unknown_workspace(&caller.workspace).into());
    }
    draining.ok_or_else(|| Worker::id_taken().into())
}

fn token_id(caller: &Caller) -> Option<Uuid> {
    caller.token_id.map(|id| uuid(id.to_bits()))
}

/// Forgets a worker that has stopped.
pub async fn forget(database: &Database, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let (workspace, id, clock) = (caller.workspace.as_str(), worker.as_str(), database.clock_override());
    let (token_id, silence) = (token_id(caller), millis(Worker::GONE_AFTER));
    let forget: Params<'_> = &[&workspace, &id, &token_id, &clock, &silence];
    let [others] = database.transact(&caller.workspace, [(FORGET, forget)]).await?;
    match rows::only(&others, |row| row.value())? {
        false => Ok(()),
        true => Err(Worker::id_taken().into()),
    }
}

/// The workers heard of lately.
pub async fn list(database: &Database, caller: &Caller) -> Result<Vec<Worker>> {
    let (clock, silence) = (database.clock_override(), millis(Worker::GONE_AFTER));
    let workers: Params<'_> = &[&caller.workspace.as_str(), &clock, &silence];
    let [found] = database.read(&caller.workspace, [(WORKERS, workers)]).await?;
    rows::all(&found, |row| {
        Ok(Worker {
            id: row.parse()?,
            kinds: row.parse_json()?,
            host: row.value()?,
            pid: Some(row.bigint()?),
            version: row.value()?,
            concurrency: row.bigint()?,
            draining: row.value()?,
            seen_at: row.time()?,
            zone_data: row.parse_json()?,
        })
    })
}

/// Tells a worker to stop claiming.
pub async fn drain(database: &Database, caller: &Caller, worker: &WorkerId) -> Result<()> {
    let (workspace, id, clock) = (caller.workspace.as_str(), worker.as_str(), database.clock_override());
    let asked: [(&str, Params<'_>); 3] =
        [(DRAINING, &[&workspace, &id]), (DRAIN, &[&workspace, &id]), (PRESENT, &[&clock])];
    let mut session = database.session().await?;
    let [before, _, now] = session.begin_with(&caller.workspace, asked).await?;
    let (was_draining, now) = (rows::first(&before, |row| row.value())?, present(&now)?);
    let Some(was_draining) = was_draining else {
        let unknown = Error::not_found(format_args!("worker: {worker}"))
            .with_hint("list them with `sprongus workers list`");
        return session.refuse(unknown).await;
    };
    commit(session, caller, OperatorAct::worker_drained(worker, was_draining).map(|act| (act, now))).await
}
