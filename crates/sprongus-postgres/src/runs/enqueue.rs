//! Enqueue: make the runs in one statement, then find those that the same key or id and request had made.
//!
//! No row can fail the statement: projects and agent tasks are looked up by it, keys and ids in use are passed over, and what else
//! could be wrong with a request was found before (`rules::enqueue::prepare`). What was made is looked up among what was asked with
//! `(… IN …) IS TRUE`, which Postgres hashes, where it would make an `IN` or a join a loop within a loop.

use std::collections::{HashMap, HashSet};

use sprongus_core::Error;
use sprongus_core::rules::Act;
use sprongus_core::rules::enqueue::{
    Prepared, enqueue, not_made, taken, unknown_agent_task, unknown_project,
};
use sprongus_core::run::{Due, Enqueue, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::Inserted;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::unknown_workspace;
use uuid::Uuid;

use crate::connection::session::{Database, Notify, Params, Session};
use crate::error::Result;
use crate::rows::values::{JsonText, Time, uuid};
use crate::rows::{self, millis, restricted_to, run_columns, small, to_json};

pub(crate) const MAKE: &str = "
    WITH present AS MATERIALIZED (SELECT coalesce($1::timestamptz, date_trunc('milliseconds', clock_timestamp())) AS now),
    asked AS MATERIALIZED (
        SELECT t.*, p.id IS NOT NULL OR t.project_id IS NULL AS is_project_known,
            a.id IS NOT NULL OR t.agent_task_id IS NULL AS is_task_known,
            CASE WHEN t.due_at IS NOT NULL THEN greatest(t.due_at, now)
                WHEN t.delay_ms IS NOT NULL THEN now + t.delay_ms * interval '1 millisecond' ELSE now END AS run_at
        FROM present, unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[], $9::smallint[],
            $10::integer[], $11::timestamptz[], $12::bigint[], $13::timestamptz[], $14::text[], $15::text[], $16::jsonb[],
            $17::text[]) WITH ORDINALITY
            AS t (id, actor, project_id, agent_task_id, kind, input, priority, max_attempts, due_at, delay_ms, expire_at,
                idempotency_key, fingerprint, tags, traceparent, place)
        LEFT JOIN projects p ON p.workspace_id = $2 AND p.id = t.project_id
        LEFT JOIN agent_tasks a ON a.workspace_id = $2 AND a.id = t.agent_task_id
            AND ($19::text[] IS NULL OR a.project_id = ANY ($19::text[]))),
    workspace AS MATERIALIZED (SELECT EXISTS (SELECT FROM workspaces WHERE id = $2) AS is_known),
    made AS (
        INSERT INTO runs (workspace_id, id, project_id, agent_task_id, kind, input, priority, max_attempts, run_at, expire_at,
            idempotency_key, fingerprint, tags, traceparent, state, lease_ms, last_seq, created_at, updated_at)
        SELECT $2, id, project_id, agent_task_id, kind, input, priority, max_attempts, run_at, expire_at, idempotency_key,
            fingerprint, tags, traceparent, 'queued', $18, 1, now, now
        FROM asked, present
        WHERE is_project_known AND is_task_known AND (SELECT is_known FROM workspace)
        ORDER BY idempotency_key NULLS FIRST, place
        ON CONFLICT DO NOTHING
        RETURNING id, project_id, kind, priority, run_at, expire_at, created_at),
    queued AS (
        INSERT INTO run_queue (workspace_id, kind, rank, run_at, id, project_id, plain)
        SELECT $2, kind, 100 - priority, run_at, id, project_id, expire_at IS NULL FROM made WHERE run_at <= created_at),
    reminded AS (
        INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
        SELECT $2, due, array_agg(id), array_agg(0::bigint) FROM (
            SELECT id, CASE WHEN run_at <= created_at THEN expire_at ELSE least(expire_at, run_at) END AS due FROM made) AS timed
        WHERE due IS NOT NULL GROUP BY due),
    logged AS (
        INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, payload)
        SELECT $2, id, 1, 'run.enqueued', now, actor, jsonb_build_object('kind', kind, 'runAt',
            CASE WHEN run_at > now THEN to_char(run_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') END)
        FROM asked, present WHERE (id IN (SELECT id FROM made)) IS TRUE)
    SELECT now, (SELECT is_known FROM workspace), is_project_known, is_task_known, (id IN (SELECT id FROM made)) IS TRUE
    FROM asked, present ORDER BY place";
pub(crate) const BY_KEY: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE workspace_id = $1 AND idempotency_key = $2");
pub(crate) const BY_ID: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE workspace_id = $1 AND id = $2");

const KNOWN: &str = "
    SELECT $2::text IS NULL OR EXISTS (SELECT FROM projects WHERE workspace_id = $1 AND id = $2),
        $3::text IS NULL OR EXISTS (SELECT FROM agent_tasks WHERE workspace_id = $1 AND id = $3
            AND ($4::text[] IS NULL OR project_id = ANY ($4::text[])))";

/// A run that was seen under its key a moment ago can be gone when it is looked for: retention took it. Then it is made after all.
const TRIES: u32 = 3;

/// A request, and who makes it.
pub type Asked = (String, Prepared);

/// What the statement made of one request.
#[derive(Clone, Copy)]
struct InsertOutcome {
    now: Timestamp,
    is_workspace_known: bool,
    is_project_known: bool,
    is_task_known: bool,
    is_made: bool,
}

/// Makes or finds each run, each on its own.
pub async fn each(
    database: &Database,
    caller: &Caller,
    requests: &[Asked],
    is_retry: bool,
) -> Result<Vec<sprongus_core::Result<Inserted>>> {
    let mut answers: Vec<Option<sprongus_core::Result<Inserted>>> = requests.iter().map(|_| None).collect();
    for attempt in 0..TRIES {
        let open: Vec<usize> =
            (0..requests.len()).filter(|&place| matches!(answers.get(place), Some(None))).collect();
        if open.is_empty() {
            break;
        }
        let asked: Vec<&Asked> = open.iter().filter_map(|&place| requests.get(place)).collect();
        let mut session = database.session().await?;
        let outcome = make(database, &mut session, caller, &asked, Ending::Commit).await?;
        let mut later = made(&asked, &outcome);
        // What an earlier attempt has made, and for which item.
        let made_before: HashMap<Uuid, usize> = answers.iter().enumerate().filter_map(created).collect();
        later.extend(made_before.keys());
        for ((place, asked), outcome) in open.into_iter().zip(asked).zip(outcome) {
            if !made_before.is_empty() {
                later.retain(|id| made_before.get(id).is_none_or(|item| *item > place));
            }
            let answer = answered(&mut session, caller, asked, outcome, &mut later, Ending::Commit).await?;
            let answer = match answer {
                // After a connection was lost the same request meets the run it made itself.
                Some(Ok(found)) if is_retry && found.applied.run.id == asked.1.id => {
                    Some(Ok(Inserted { outcome: Enqueue::Created, ..found }))
                }
                answer => answer,
            };
            let is_last = attempt + 1 == TRIES;
            if let Some(slot) = answers.get_mut(place) {
                *slot = answer.or_else(|| is_last.then(|| Err(taken())));
            }
        }
    }
    let lost = || Err(Error::internal("a batch item had no answer"));
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect())
}

/// The run that was made for an item, if one was.
fn created((place, answer): (usize, &Option<sprongus_core::Result<Inserted>>)) -> Option<(Uuid, usize)> {
    let inserted = answer.as_ref()?.as_ref().ok()?;
    (inserted.outcome == Enqueue::Created).then(|| (uuid(inserted.applied.run.id.to_bits()), place))
}

/// Makes or finds all, or makes none.
pub async fn whole(
    database: &Database,
    caller: &Caller,
    requests: &[Asked],
) -> Result<Vec<sprongus_core::Result<Inserted>>> {
    let asked: Vec<&Asked> = requests.iter().collect();
    let mut session = database.session().await?;
    let outcome = make(database, &mut session, caller, &asked, Ending::Open).await?;
    let mut later = made(&asked, &outcome);
    let mut answers = Vec::with_capacity(requests.len());
    for (asked, outcome) in asked.into_iter().zip(outcome) {
        let answer = answered(&mut session, caller, asked, outcome, &mut later, Ending::Open).await?;
        answers.push(answer.unwrap_or_else(|| Err(taken())));
    }
    if answers.iter().any(|answer| answer.is_err()) {
        session.roll_back().await?;
        return Ok(answers.into_iter().map(|answer| answer.and_then(|_| Err(not_made()))).collect());
    }
    session.commit_with(&[], Notify::Yes).await?;
    Ok(answers)
}

/// The runs that the statement made; each is taken out when its item is answered.
fn made(asked: &[&Asked], outcome: &[InsertOutcome]) -> HashSet<Uuid> {
    let made = asked.iter().zip(outcome).filter(|(_, outcome)| outcome.is_made);
    made.map(|((_, request), _)| uuid(request.id.to_bits())).collect()
}

/// Whether the statement's transaction is to be committed with it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Commit,
    Open,
}

async fn make(
    database: &Database,
    session: &mut Session,
    caller: &Caller,
    asked: &[&Asked],
    ending: Ending,
) -> Result<Vec<InsertOutcome>> {
    // An id that stands twice is asked for once.
    let mut places = HashMap::with_capacity(asked.len());
    let mut once: Vec<&Asked> = Vec::with_capacity(asked.len());
    for &request in asked {
        places.entry(request.1.id).or_insert_with(|| {
            once.push(request);
            once.len() - 1
        });
    }
    let outcome = make_once(database, session, caller, &once, ending).await?;
    let mut all = Vec::with_capacity(asked.len());
    for &request in asked {
        let place = places.get(&request.1.id).copied();
        let found = place.and_then(|place| Some((outcome.get(place)?, once.get(place)?)));
        let (&outcome, first) = found.ok_or_else(|| Error::internal("a batch item had no answer"))?;
        all.push(of_its_own(session, caller, request, first, outcome, ending).await?);
    }
    Ok(all)
}

/// What was outcome of the first item with an id, for another one: it may name a project or an agent task of its own.
async fn of_its_own(
    session: &mut Session,
    caller: &Caller,
    (_, request): &Asked,
    (_, first): &Asked,
    outcome: InsertOutcome,
    ending: Ending,
) -> Result<InsertOutcome> {
    if request.project_id == first.project_id && request.agent_task_id == first.agent_task_id {
        return Ok(outcome);
    }
    let workspace = caller.workspace.as_str();
    let project = request.project_id.as_ref().map(|id| id.as_str());
    let task = request.agent_task_id.as_ref().map(|id| id.as_str());
    let restricted = restricted_to(caller);
    let params: Params<'_> = &[&workspace, &project, &task, &restricted];
    let known = match ending {
        Ending::Open => session.query(KNOWN, params).await?,
        Ending::Commit => {
            let [known] = session.transact(&caller.workspace, [(KNOWN, params)]).await?;
            known
        }
    };
    rows::only(&known, |row| {
        Ok(InsertOutcome { is_project_known: row.value()?, is_task_known: row.value()?, ..outcome })
    })
}

async fn make_once(
    database: &Database,
    session: &mut Session,
    caller: &Caller,
    asked: &[&Asked],
    ending: Ending,
) -> Result<Vec<InsertOutcome>> {
    macro_rules! column {
        (|$actor:pat_param, $run:pat_param| $value:expr) => {
            asked.iter().map(|($actor, $run)| $value).collect::<Vec<_>>()
        };
    }
    let (clock, workspace) = (database.clock_override(), caller.workspace.as_str());
    let ids = column!(|_, run| uuid(run.id.to_bits()));
    let actors = column!(|actor, _| actor.as_str());
    let projects = column!(|_, run| run.project_id.as_ref().map(|id| id.as_str()));
    let tasks = column!(|_, run| run.agent_task_id.as_ref().map(|id| id.as_str()));
    let kinds = column!(|_, run| run.kind.as_str());
    let inputs = column!(|_, run| JsonText(run.input.as_str()));
    let priorities = column!(|_, run| i16::from(run.priority));
    let most = column!(|_, run| small(run.max_attempts));
    let due = column!(|_, run| match run.due {
        Due::At(time) => Some(Time(time)),
        Due::Now | Due::After(_) => None,
    });
    let delays = column!(|_, run| match run.due {
        Due::After(delay) => Some(millis(delay)),
        Due::Now | Due::At(_) => None,
    });
    let expire_at = column!(|_, run| run.expire_at.map(Time));
    let keys = column!(|_, run| run.idempotency_key.as_deref());
    let fingerprints = column!(|_, run| run.fingerprint.as_str());
    let tags = asked.iter().map(|(_, run)| to_json(&run.tags)).collect::<sprongus_core::Result<Vec<_>>>()?;
    let tags: Vec<_> = tags.iter().map(|tags| JsonText(tags)).collect();
    let traces = column!(|_, run| run.traceparent.as_deref());
    let lease = millis(sprongus_core::run::ClaimRequest::DEFAULT_LEASE);
    let restricted = restricted_to(caller);
    let params: Params<'_> = &[
        &clock,
        &workspace,
        &ids,
        &actors,
        &projects,
        &tasks,
        &kinds,
        &inputs,
        &priorities,
        &most,
        &due,
        &delays,
        &expire_at,
        &keys,
        &fingerprints,
        &tags,
        &traces,
        &lease,
        &restricted,
    ];
    let [outcomes] = match ending {
        Ending::Commit => session.transact_and_notify(&caller.workspace, [(MAKE, params)]).await?,
        Ending::Open => session.begin_with(&caller.workspace, [(MAKE, params)]).await?,
    };
    rows::all(&outcomes, |row| {
        Ok(InsertOutcome {
            now: row.time()?,
            is_workspace_known: row.value()?,
            is_project_known: row.value()?,
            is_task_known: row.value()?,
            is_made: row.value()?,
        })
    })
}

/// The answer to one request; none when what stood in its way is not to be found.
async fn answered(
    session: &mut Session,
    caller: &Caller,
    (actor, request): &Asked,
    outcome: InsertOutcome,
    later: &mut HashSet<Uuid>,
    ending: Ending,
) -> Result<Option<sprongus_core::Result<Inserted>>> {
    if !outcome.is_workspace_known {
        return Err(unknown_workspace(&caller.workspace).into());
    }
    if let Some(id) = request.project_id.as_ref().filter(|_| !outcome.is_project_known) {
        return Ok(Some(Err(unknown_project(id))));
    }
    if let Some(id) = request.agent_task_id.as_ref().filter(|_| !outcome.is_task_known) {
        return Ok(Some(Err(unknown_agent_task(id))));
    }
    if outcome.is_made && later.remove(&uuid(request.id.to_bits())) {
        let set = enqueue(request, &caller.workspace, Act { now: outcome.now, actor });
        return Ok(Some(Ok(Inserted { applied: set.into_made()?, outcome: Enqueue::Created })));
    }
    let found = find(session, caller, request, later, ending).await?;
    Ok(found.map(|found| Inserted::found(found, request, caller)))
}

async fn find(
    session: &mut Session,
    caller: &Caller,
    request: &Prepared,
    later: &HashSet<Uuid>,
    ending: Ending,
) -> Result<Option<Run>> {
    let (workspace, id) = (caller.workspace.as_str(), uuid(request.id.to_bits()));
    let key = request.idempotency_key.as_deref();
    let by_key: Params<'_> = &[&workspace, &key];
    let by_id: Params<'_> = &[&workspace, &id];
    let (keyed, named) = match ending {
        Ending::Open => (session.query(BY_KEY, by_key).await?, session.query(BY_ID, by_id).await?),
        Ending::Commit => {
            let [keyed, named] =
                session.transact(&caller.workspace, [(BY_KEY, by_key), (BY_ID, by_id)]).await?;
            (keyed, named)
        }
    };
    let keyed = rows::first(&keyed, rows::run)?;
    // One item after the other: what this call made for a later item was not there yet for this one.
    match keyed.filter(|run| !later.contains(&uuid(run.id.to_bits()))) {
        Some(run) => Ok(Some(run)),
        None => rows::first(&named, rows::run),
    }
}
