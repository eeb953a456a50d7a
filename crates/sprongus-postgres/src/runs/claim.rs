//! Claim: the due runs of the kinds served, by priority, due time and id, each taken once.
//!
//! The usual claim is one statement in one round trip: it picks, takes, tells and answers. It takes nothing when anything about it
//! is not usual (a timer is due, the claim has been made before, a picked run has a gate or an expiry or owes its CLEANUP); then
//! the rules are asked, run by run.

pub(crate) mod cursors;
pub(crate) mod replay;
pub(crate) mod slow_path;

use std::time::Duration;

use sprongus_core::json::Json;
use sprongus_core::rules::claim;
use sprongus_core::rules::order::Order;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::lease::{LeaseHash, LeaseToken};
use sprongus_core::run::{ClaimRequest, Claimed, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::ClaimAnswer;
use sprongus_core::values::time::Timestamp;
use tokio_postgres::Row;

use crate::connection::retry::{Idempotent, retry};
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, RowReader, Taking, millis, restricted_to, run_columns};
use crate::runs::expire;

use cursors::{Cursor, Start};

pub use cursors::Cursors;

/// The places in the queue that a claim takes, locked; the kinds served are `$3`, or every kind that has something; `$5` to
/// `$7` say where to begin with each (`cursors.rs`). A claim of one kind walks the queue once. One of several first looks how many it
/// takes of each, and then locks just those, so that it never keeps from others what it does not take. Materialized, because a plan
/// that picks again for each row takes more than `limit`.
macro_rules! picked {
    (one) => {
        "picked AS MATERIALIZED (
            SELECT ctid AS place, rank, run_at AS due_at, id AS picked_id, plain FROM run_queue
            WHERE workspace_id = $2 AND kind = ($3::text[])[1]
                AND (rank, run_at, id) >= (($5::smallint[])[1], ($6::timestamptz[])[1], ($7::uuid[])[1])
                AND ($8::text[] IS NULL OR project_id = ANY ($8::text[]))
                AND NOT EXISTS (SELECT FROM kinds WHERE workspace_id = $2 AND kind = ($3::text[])[1] AND paused)
                AND (SELECT is_fast FROM fast_path)
            ORDER BY rank, run_at, id LIMIT $4 FOR UPDATE SKIP LOCKED)"
    };
    (several) => {
        concat!(
            "served AS MATERIALIZED (
                SELECT * FROM unnest($3::text[], $5::smallint[], $6::timestamptz[], $7::uuid[])
                    AS asked (kind, from_rank, from_due, from_id)), ",
            picked!(of served)
        )
    };
    (any) => {
        concat!(
            "found AS (
                SELECT (SELECT kind FROM run_queue WHERE workspace_id = $2 ORDER BY kind LIMIT 1) AS kind
                UNION ALL
                SELECT (SELECT q.kind FROM run_queue q WHERE q.workspace_id = $2 AND q.kind > found.kind ORDER BY q.kind LIMIT 1)
                FROM found WHERE found.kind IS NOT NULL AND ($3::text[], $5::smallint[], $6::timestamptz[], $7::uuid[]) IS NOT NULL),
            served AS (
                SELECT kind, (-1)::smallint AS from_rank, '-infinity'::timestamptz AS from_due,
                    '00000000-0000-0000-0000-000000000000'::uuid AS from_id
                FROM found WHERE kind IS NOT NULL), ",
            picked!(of served)
        )
    };
    (of served) => {
        "wanted AS MATERIALIZED (
            SELECT kind, from_rank, from_due, from_id, count(*) AS most FROM (
                SELECT served.* FROM served CROSS JOIN LATERAL (
                    SELECT rank, run_at, id FROM run_queue q WHERE q.workspace_id = $2 AND q.kind = served.kind
                        AND (q.rank, q.run_at, q.id) >= (served.from_rank, served.from_due, served.from_id)
                        AND ($8::text[] IS NULL OR project_id = ANY ($8::text[]))
                    ORDER BY rank, run_at, id LIMIT $4) AS first
                WHERE NOT EXISTS (SELECT FROM kinds k WHERE k.workspace_id = $2 AND k.kind = served.kind AND k.paused)
                ORDER BY first.rank, first.run_at, first.id LIMIT $4) AS firsts
            WHERE (SELECT is_fast FROM fast_path) GROUP BY kind, from_rank, from_due, from_id),
        picked AS MATERIALIZED (
            SELECT place, rank, run_at AS due_at, id AS picked_id, plain FROM wanted CROSS JOIN LATERAL (
                SELECT ctid AS place, rank, run_at, id, plain FROM run_queue q
                WHERE q.workspace_id = $2 AND q.kind = wanted.kind
                    AND (q.rank, q.run_at, q.id) >= (wanted.from_rank, wanted.from_due, wanted.from_id)
                    AND ($8::text[] IS NULL OR project_id = ANY ($8::text[]))
                ORDER BY rank, run_at, id LIMIT wanted.most FOR UPDATE SKIP LOCKED) AS locked)"
    };
}
pub(crate) use picked;

/// Is there nothing to do first? `$1` is the turned clock, `$9` the claim's name, `$10` whether due timers matter, and `$14` since
/// when there may be some. What is due next is looked up once, for this and for the answer.
macro_rules! fast_path {
    () => {
        "present AS MATERIALIZED (SELECT coalesce($1::timestamptz, date_trunc('milliseconds', clock_timestamp())) AS now),
         next AS MATERIALIZED (
            SELECT least(
                (SELECT due_at FROM run_timers WHERE workspace_id = $2 AND due_at >= $14::timestamptz ORDER BY due_at LIMIT 1),
                (SELECT due_at FROM settings WHERE workspace_id = $2 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)) AS due_at),
         fast_path AS MATERIALIZED (
            SELECT NOT EXISTS (SELECT FROM claims WHERE workspace_id = $2 AND claim_id = $9::text)
                AND ($10::boolean AND (SELECT due_at FROM next) <= (SELECT now FROM present)) IS NOT TRUE AS is_fast)"
    };
}

macro_rules! take {
    ($with:literal, $picked:expr) => {
        concat!(
            $with,
            " ",
            fast_path!(),
            ", ",
            $picked,
            ",
            picked_plain AS MATERIALIZED (SELECT coalesce(bool_and(plain), true) AS are_plain FROM picked),
            unqueued AS (
                DELETE FROM run_queue WHERE ctid = ANY (ARRAY (SELECT place FROM picked)) AND (SELECT are_plain FROM picked_plain)),
            batch AS MATERIALIZED (SELECT max(nextval('run_events_pos_seq')) AS number FROM picked),
            taken AS (
                UPDATE runs SET state = 'running', attempt = attempt + 1, progress = 0, epoch = epoch + 1, claimed_by = $11,
                    claimed_at = (SELECT now FROM present), lease_ms = $12::bigint,
                    lease_expires_at = (SELECT now FROM present) + $12::bigint * interval '1 millisecond', lease_hash = $15::bytea,
                    last_report = NULL,
                    started_at = coalesce(started_at, (SELECT now FROM present)), cleanup = 'owed', last_seq = last_seq + 1,
                    updated_at = (SELECT now FROM present), batches = batches || (SELECT number FROM batch)
                FROM picked
                WHERE workspace_id = $2 AND id = picked_id AND state = 'queued' AND (SELECT are_plain FROM picked_plain)
                RETURNING updated_at, lease_expires_at, ",
            run_columns!(taken),
            "),
            whole AS MATERIALIZED (
                SELECT count(*)::integer AS size, array_agg(id) AS ids, array_agg(last_seq) AS seqs, array_agg(attempt) AS attempts,
                    array_agg(epoch) AS epochs, max(lease_expires_at) AS until, array_agg(
                        greatest(0, (extract(epoch FROM updated_at - coalesce(due_since, run_at)) * 1000)::bigint)) AS waits
                FROM taken HAVING count(*) > 0),
            logged AS (
                INSERT INTO event_batches (workspace_id, number, type, at, size, actors, worker_id, run_ids, seqs, attempts, epochs,
                    durations_ms)
                SELECT $2, (SELECT number FROM batch), 'run.started', (SELECT now FROM present), size, ARRAY[$13::text], $11, ids, seqs,
                    attempts, epochs, waits FROM whole),
            reminded AS (
                INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs) SELECT $2, until, ids, epochs FROM whole),
            remembered AS (
                INSERT INTO claims (workspace_id, claim_id, worker_id, token_id, claimed_at, run_ids, epochs)
                SELECT $2, $9::text, $11, $16::uuid, (SELECT now FROM present), ids, epochs FROM whole WHERE $9::text IS NOT NULL)
            SELECT (SELECT now FROM present), (SELECT is_fast FROM fast_path), (SELECT are_plain FROM picked_plain),
                (SELECT due_at FROM next) AS next_due, ",
            run_columns!(taken),
            " FROM (VALUES (1)) AS one LEFT JOIN taken ON true"
        )
    };
}

pub(crate) const TAKE_ONE: &str = take!("WITH", picked!(one));
pub(crate) const TAKE_SEVERAL: &str = take!("WITH", picked!(several));
pub(crate) const TAKE_ANY: &str = take!("WITH RECURSIVE", picked!(any));

/// What the one statement came to.
enum Taken {
    /// It took these; `places` are the last ones of each kind.
    Runs { runs: Vec<Run>, now: Timestamp, next_due: Option<Timestamp>, places: Vec<(String, Cursor)> },
    /// A timer is due, or the claim has been made before.
    NeedsCheck,
    /// One of those picked needs its rule.
    NeedsRule,
}

/// Claims, once more where the connection broke and that can do no harm, and tells those who wait for news.
pub async fn with_retry(
    database: &Database,
    cursors: &Cursors,
    caller: &Caller,
    request: &ClaimRequest,
    token: &LeaseToken,
) -> sprongus_core::Result<ClaimAnswer> {
    // A claim without a name cannot be distinguished from another one; what it may have taken comes back when its lease is over.
    let idempotent = if request.claim_id.is_some() { Idempotent::Yes } else { Idempotent::No };
    let answer = retry(idempotent, |_| run(database, cursors, caller, request, token)).await?;
    if !answer.events.is_empty() {
        database.notify();
    }
    Ok(answer)
}

/// Moves due timers, then takes what is ready.
async fn run(
    database: &Database,
    cursors: &Cursors,
    caller: &Caller,
    request: &ClaimRequest,
    token: &LeaseToken,
) -> Result<ClaimAnswer> {
    let hash = token.hash();
    let mut events = Vec::new();
    let mut are_timers_moved = false;
    loop {
        match take(database, cursors, caller, (request, hash), !are_timers_moved).await? {
            Taken::Runs { runs, now, next_due, places } => {
                cursors.advance(caller, request, places);
                return Ok(answered(caller, (request, token), runs, events, now, next_due));
            }
            Taken::NeedsCheck => {
                // Who may not have it is refused before anything is moved.
                let given = replay::given(database, caller, request).await?;
                if !are_timers_moved {
                    are_timers_moved = true;
                    events.extend(expire::before_claim(database, caller).await?);
                }
                if let Some(given) = given {
                    let claimed = replay::run(database, caller, request, token, given).await?;
                    return Ok(ClaimAnswer { claimed, events, next_due_in: None });
                }
            }
            Taken::NeedsRule => {
                let claimed = slow_path::run(database, caller, request, token, &mut events).await?;
                return Ok(ClaimAnswer { claimed, events, next_due_in: None });
            }
        }
    }
}

/// What is asked for, and the hash of the token it is to be held under.
type Asked<'a> = (&'a ClaimRequest, LeaseHash);

async fn take(
    database: &Database,
    cursors: &Cursors,
    caller: &Caller,
    asked: Asked<'_>,
    timers_first: bool,
) -> Result<Taken> {
    let (request, _) = asked;
    let from = cursors.start_for(caller, request);
    let taken = take_timed(database, cursors, &from, caller, asked, timers_first).await?;
    let is_empty = matches!(&taken, Taken::Runs { runs, .. } if runs.is_empty());
    if is_empty && !from.is_whole() {
        // Nothing is behind the cursors; before them there may be something.
        let whole = cursors.rewind(caller, request);
        return take_timed(database, cursors, &whole, caller, asked, timers_first).await;
    }
    Ok(taken)
}

async fn take_timed(
    database: &Database,
    cursors: &Cursors,
    from: &Start,
    caller: &Caller,
    asked: Asked<'_>,
    timers_first: bool,
) -> Result<Taken> {
    let (request, _) = asked;
    let began = tokio::time::Instant::now();
    let taken = take_from(database, from, caller, asked, timers_first).await?;
    if let Taken::Runs { runs, now, .. } = &taken {
        cursors.observe(caller, request, from, began.elapsed(), runs.len());
        if timers_first {
            cursors.no_timer_before(caller, request, *now);
        }
    }
    Ok(taken)
}

async fn take_from(
    database: &Database,
    from: &Start,
    caller: &Caller,
    (request, token_hash): Asked<'_>,
    timers_first: bool,
) -> Result<Taken> {
    let mut session = database.session().await?;
    let (clock, workspace, limit) =
        (database.clock_override(), caller.workspace.as_str(), i64::from(request.limit));
    let kinds = kinds(request);
    let projects = restricted_to(caller);
    let claim_id = request.claim_id.as_ref().map(|id| id.as_str());
    let (worker, lease) = (request.worker_id.as_str(), millis(request.lease));
    let (hash, token_id) = (token_hash.as_bytes(), caller.token_id.map(|id| uuid(id.to_bits())));
    let (ranks, dues, ids) = from.columns();
    let one: Params<'_> = &[
        &clock,
        &workspace,
        &kinds,
        &limit,
        &ranks,
        &dues,
        &ids,
        &projects,
        &claim_id,
        &timers_first,
        &worker,
        &lease,
        &caller.actor,
        &from.timers,
        &hash,
        &token_id,
    ];
    let sql = match kinds.len() {
        0 => TAKE_ANY,
        1 => TAKE_ONE,
        _ => TAKE_SEVERAL,
    };
    let [taken] = session.transact(&caller.workspace, [(sql, one)]).await?;
    read(&taken, caller, (request, token_hash))
}

/// Each row has what was found beside the runs, and a run; one without a run stands for a claim that took none.
fn read(taken: &[Row], caller: &Caller, (request, hash): Asked<'_>) -> Result<Taken> {
    let (now, is_fast, are_plain, next_due) = rows::only(taken, found)?;
    if !is_fast {
        return Ok(Taken::NeedsCheck);
    }
    if !are_plain {
        return Ok(Taken::NeedsRule);
    }
    let (workspace, worker) = (&caller.workspace, &request.worker_id);
    let lease = Duration::from_millis(u64::try_from(request.lease.as_millis()).unwrap_or(u64::MAX));
    let taking = Taking { workspace, worker, lease, hash, now };
    let mut runs = Vec::with_capacity(taken.len());
    for row in taken {
        let mut row = RowReader::new(row);
        found(&mut row)?;
        if row.is_null()? {
            break;
        }
        runs.push(rows::taken(&mut row, &taking)?);
    }
    runs.sort_unstable_by_key(Order::of);
    Ok(Taken::Runs { now, next_due, places: last_of_each(&runs), runs })
}

/// The columns before those of the run.
fn found(row: &mut RowReader<'_>) -> Result<(Timestamp, bool, bool, Option<Timestamp>)> {
    Ok((row.time()?, row.value()?, row.value()?, row.optional_time()?))
}

fn last_of_each(runs: &[Run]) -> Vec<(String, Cursor)> {
    let mut last: Vec<(String, Cursor)> = Vec::new();
    for run in runs.iter().rev() {
        if last.iter().all(|(kind, _)| kind != run.kind.as_str()) {
            let Order { rank, run_at, id } = Order::of(run);
            let place = Cursor { rank: rank.into(), due: Time(run_at), id: uuid(id.to_bits()) };
            last.push((run.kind.as_str().to_owned(), place));
        }
    }
    last
}

fn answered(
    caller: &Caller,
    (request, token): (&ClaimRequest, &LeaseToken),
    runs: Vec<Run>,
    mut events: Vec<Event>,
    now: Timestamp,
    next_due: Option<Timestamp>,
) -> ClaimAnswer {
    let next_due_in = next_due.filter(|_| runs.is_empty()).map(|due| due.since(now));
    events.extend(runs.iter().map(|run| started(run, caller, request)));
    let handed = runs.into_iter().filter_map(|run| claim::handed(run, token, Vec::new(), false));
    let claimed: Vec<Claimed> = handed.collect();
    ClaimAnswer { claimed, events, next_due_in }
}

/// The event that the statement wrote; the suite holds the two, and the rule, to one another.
fn started(run: &Run, caller: &Caller, request: &ClaimRequest) -> Event {
    let waited = u64::try_from(run.updated_at.since(run.due_at).as_millis()).unwrap_or(u64::MAX);
    let payload = serde_json::json!({
        "attempt": run.attempt, "epoch": run.epoch, "workerId": request.worker_id, "waitMs": waited,
    });
    Event {
        run_id: run.id,
        step_id: None,
        seq: run.last_seq,
        kind: EventType::Started,
        at: run.updated_at,
        actor: caller.actor.clone(),
        payload: Json::from_value(payload),
    }
}

/// The kinds asked for, once each; none means any.
pub fn kinds(request: &ClaimRequest) -> Vec<&str> {
    let mut kinds: Vec<&str> = request.kinds.iter().flatten().map(|kind| kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
