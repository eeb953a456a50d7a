//! Claim: the due runs of the kinds served, by priority, due time and id, each taken once.

use std::sync::Arc;

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::rules::claim::{self, Remembered};
use sprongus_core::rules::expire::MOST_PER_CLAIM;
use sprongus_core::rules::order::rank;
use sprongus_core::rules::{Act, dispatch};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::{ClaimRequest, Claimed, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::ClaimAnswer;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::Kind;
use sprongus_core::values::time::{Clock, Timestamp};

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::files;
use crate::rows::{self, RowReader, run_columns, step_columns};
use crate::runs::write_set::write;
use crate::runs::{enqueue, expire};

/// The kinds that have something to claim, by jumping from one to the next along the index.
const NEXT_KIND: &str = "
    SELECT kind FROM runs INDEXED BY runs_claim WHERE workspace_id = ?1 AND ready = 1 AND kind > ?2
    ORDER BY kind LIMIT 1";
const PAUSED: &str = "SELECT kind FROM kinds WHERE workspace_id = ?1 AND paused = 1";
pub(crate) const READY: &str = "
    SELECT rowid, priority, run_at, id FROM runs INDEXED BY runs_claim
    WHERE workspace_id = ?1 AND kind = ?2 AND ready = 1
    ORDER BY priority DESC, run_at, id LIMIT ?3";
const READY_IN_PROJECTS: &str = "
    SELECT rowid, priority, run_at, id FROM runs INDEXED BY runs_claim
    WHERE workspace_id = ?1 AND kind = ?2 AND ready = 1 AND project_id IN (SELECT value FROM json_each(?4))
    ORDER BY priority DESC, run_at, id LIMIT ?3";
const BY_ROWID: &str = concat!("SELECT ", run_columns!(), " FROM runs WHERE rowid = ?1");
const STEPS_OF_EPOCH: &str =
    concat!("SELECT ", step_columns!(), " FROM run_steps WHERE run_id = ?1 AND epoch = ?2 ORDER BY ordinal");
const CARRY_STEPS: &str = "UPDATE run_steps SET epoch = ?3 WHERE run_id = ?1 AND epoch = ?2";
const REPLAY: &str = "SELECT worker_id, token_id, runs FROM claims WHERE workspace_id = ?1 AND claim_id = ?2";
const REMEMBER: &str = "
    INSERT INTO claims (workspace_id, claim_id, worker_id, token_id, claimed_at, runs) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const FORGET: &str = "DELETE FROM claims WHERE claimed_at < ?1";

/// How long a named claim can be repeated.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(3_600);

/// The two halves of a claim, a look without the write lock and the claim itself, each with what it needs.
#[expect(clippy::type_complexity, reason = "a name for it would say no more")]
pub fn check_and_claim(
    clock: &Arc<dyn Clock>,
    caller: &Caller,
    request: &ClaimRequest,
    token: &LeaseToken,
) -> (
    impl FnMut(&Connection) -> Result<Option<ClaimAnswer>> + Send + 'static,
    impl FnMut(&Tx<'_>) -> Result<ClaimAnswer> + Send + 'static,
) {
    let (caller, request, token) = (caller.clone(), request.clone(), token.clone());
    let (checker, checked, clock) = (caller.clone(), request.clone(), Arc::clone(clock));
    let check = move |connection: &Connection| nothing_to_claim(connection, &checker, &checked, clock.now());
    (check, move |tx: &Tx<'_>| run(tx, &caller, &request, &token))
}

/// Says without the write lock that there is nothing to claim, so that idle workers never stand in a writer's way.
fn nothing_to_claim(
    connection: &Connection,
    caller: &Caller,
    request: &ClaimRequest,
    now: Timestamp,
) -> Result<Option<ClaimAnswer>> {
    let next_due = expire::next(connection, caller)?;
    if next_due.is_some_and(|due| due <= now) || remembered(connection, caller, request)?.is_some() {
        return Ok(None);
    }
    if candidates(connection, caller, request, 1)?.is_empty() {
        let next_due_in = next_due.map(|due| due.since(now));
        return Ok(Some(ClaimAnswer { next_due_in, ..ClaimAnswer::default() }));
    }
    Ok(None)
}

/// Moves due timers, then takes what is ready.
fn run(tx: &Tx<'_>, caller: &Caller, request: &ClaimRequest, token: &LeaseToken) -> Result<ClaimAnswer> {
    let (_, mut events) = expire::run(tx, caller, MOST_PER_CLAIM)?;
    if let Some((whose, given)) = remembered(tx.connection, caller, request)? {
        whose.check(caller, request)?;
        let claimed = replay(tx, caller, request, token, &given)?;
        return Ok(ClaimAnswer { claimed, events, next_due_in: None });
    }
    let candidates = load_all(tx.connection, &candidates(tx.connection, caller, request, request.limit)?)?;
    let set = dispatch::claim(&candidates, request, token.hash(), Act { now: tx.now, actor: &caller.actor });
    write(tx, caller, &set)?;
    let resuming: Vec<RunId> =
        candidates.iter().filter(|run| run.resuming().is_some()).map(|run| run.id).collect();
    drop(candidates);
    let mut claimed = Vec::with_capacity(set.transitions.len());
    for taken in set.transitions.into_iter().filter(dispatch::is_taken) {
        let run = taken.run;
        events.extend(taken.events);
        let (steps, keeps_workdir) = match resuming.contains(&run.id) {
            true => (carry_steps(tx, &run)?, files::keeps_workdir(tx.connection, &run)?),
            false => (Vec::new(), false),
        };
        claimed.extend(claim::handed(run, token, steps, keeps_workdir));
    }
    remember(tx, caller, request, &claimed)?;
    let next_due_in = match claimed.is_empty() {
        true => expire::next(tx.connection, caller)?.map(|due| due.since(tx.now)),
        false => None,
    };
    Ok(ClaimAnswer { claimed, events, next_due_in })
}

/// A run that may be claimed, with what orders it: times and ids are kept as text that sorts as they do.
struct Candidate {
    rowid: i64,
    order: (u8, String, String),
}

/// The first `limit` of each kind, merged: as many rows are read as are served kinds times the limit, whatever else waits.
fn candidates(
    connection: &Connection,
    caller: &Caller,
    request: &ClaimRequest,
    limit: u32,
) -> Result<Vec<Candidate>> {
    let paused: Vec<String> = rows::all(connection, PAUSED, [caller.workspace.as_str()], |row| row.value())?;
    let served = match &request.kinds {
        Some(kinds) => kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        None => kinds_ready(connection, caller)?,
    };
    let mut found = Vec::new();
    for kind in served.iter().filter(|kind| !paused.contains(kind)) {
        ready(connection, caller, kind, limit, &mut found)?;
    }
    if served.len() > 1 {
        found.sort_by(|one, other| one.order.cmp(&other.order));
        found.dedup_by_key(|candidate| candidate.rowid);
    }
    found.truncate(limit as usize);
    Ok(found)
}

fn load_all(connection: &Connection, candidates: &[Candidate]) -> Result<Vec<Run>> {
    let mut select = connection.prepare_cached(BY_ROWID).map_db_err()?;
    let load =
        |candidate: &Candidate| select.query_row([candidate.rowid], rows::reading(rows::run)).map_db_err();
    candidates.iter().map(load).collect()
}

fn kinds_ready(connection: &Connection, caller: &Caller) -> Result<Vec<String>> {
    let mut kinds: Vec<String> = Vec::new();
    loop {
        let last = kinds.last().map_or("", String::as_str);
        let next: Option<Kind> =
            rows::first(connection, NEXT_KIND, (caller.workspace.as_str(), last), |row| row.parse())?;
        match next {
            Some(kind) => kinds.push(kind.as_str().to_owned()),
            None => return Ok(kinds),
        }
    }
}

fn ready(
    connection: &Connection,
    caller: &Caller,
    kind: &str,
    limit: u32,
    found: &mut Vec<Candidate>,
) -> Result<()> {
    let read = |row: &mut RowReader<'_, '_>| {
        let (rowid, priority) = (row.value()?, row.value()?);
        Ok(Candidate { rowid, order: (rank(priority), row.value()?, row.value()?) })
    };
    let workspace = caller.workspace.as_str();
    found.extend(match &caller.projects {
        None => rows::all(connection, READY, (workspace, kind, limit), read)?,
        Some(projects) => {
            let params = (workspace, kind, limit, rows::to_json(projects)?);
            rows::all(connection, READY_IN_PROJECTS, params, read)?
        }
    });
    Ok(())
}

/// The steps of the execution that met the gate, now under the new epoch.
fn carry_steps(tx: &Tx<'_>, run: &Run) -> Result<Vec<sprongus_core::run::step::Step>> {
    let (before, epoch) = (rows::number(run.epoch.saturating_sub(1)), rows::number(run.epoch));
    rows::execute(tx.connection, CARRY_STEPS, (run.id.to_string(), before, epoch))?;
    steps_of_epoch(tx, run)
}

fn steps_of_epoch(tx: &Tx<'_>, run: &Run) -> Result<Vec<sprongus_core::run::step::Step>> {
    let of_epoch = (run.id.to_string(), rows::number(run.epoch));
    rows::all(tx.connection, STEPS_OF_EPOCH, of_epoch, rows::step)
}

/// What the claim of this name gave before, and to whom.
fn remembered(
    connection: &Connection,
    caller: &Caller,
    request: &ClaimRequest,
) -> Result<Option<(Remembered, Given)>> {
    let Some(claim_id) = &request.claim_id else { return Ok(None) };
    rows::first(connection, REPLAY, (caller.workspace.as_str(), claim_id.as_str()), |row| {
        let whose = Remembered { worker_id: row.parse()?, token_id: row.parse_optional()? };
        Ok((whose, row.parse_json::<Given>()?.unwrap_or_default()))
    })
}

type Given = Vec<(RunId, u64)>;

/// The same runs again, those that are still held under that claim, now under the new token.
fn replay(
    tx: &Tx<'_>,
    caller: &Caller,
    request: &ClaimRequest,
    token: &LeaseToken,
    given: &Given,
) -> Result<Vec<Claimed>> {
    let mut claimed = Vec::with_capacity(given.len());
    for (id, epoch) in given {
        let by_id = (id.to_string(), caller.workspace.as_str());
        let run = rows::first(tx.connection, enqueue::BY_ID, by_id, rows::run)?;
        let Some(run) = run else { continue };
        let held = claim::replay(&run, caller, &request.worker_id, *epoch, token.hash(), tx.now)?;
        let Some(run) = held else { continue };
        rows::update_run(tx, &run)?;
        let steps = claim::carried(&run, steps_of_epoch(tx, &run)?);
        let keeps_workdir = !steps.is_empty() && files::keeps_workdir(tx.connection, &run)?;
        claimed.extend(claim::handed(run, token, steps, keeps_workdir));
    }
    Ok(claimed)
}

fn remember(tx: &Tx<'_>, caller: &Caller, request: &ClaimRequest, claimed: &[Claimed]) -> Result<()> {
    let Some(claim_id) = request.claim_id.as_ref().filter(|_| !claimed.is_empty()) else { return Ok(()) };
    let given: Given = claimed.iter().map(|claimed| (claimed.run.id, claimed.lease.epoch)).collect();
    let workspace = caller.workspace.as_str();
    let (worker, now) = (request.worker_id.as_str(), tx.now.to_string());
    let token_id = caller.token_id.map(|id| id.to_string());
    let claim = (workspace, claim_id.as_str(), worker, token_id, now, rows::to_json(&given)?);
    rows::execute(tx.connection, REMEMBER, claim)?;
    let old = tx.now.minus(REMEMBERED).to_string();
    rows::execute(tx.connection, FORGET, [old])?;
    Ok(())
}
