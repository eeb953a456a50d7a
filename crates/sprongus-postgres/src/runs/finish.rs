//! Finish: executions end, in batches. Those that succeed under their live lease, which is what nearly all do, end in one statement, save behind a
//! gate, where a work directory may be kept;
//! every other report is put before the rule.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::rules::finish::finish;
use sprongus_core::rules::{Act, WriteSet};
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::lease::LeaseHash;
use sprongus_core::run::{Applied, Hold, Outcome, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::DrawnReport;
use sprongus_core::store::backlog::Weigh;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;
use sprongus_core::{Error, Result as CoreResult};

use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::{JsonText, uuid};
use crate::rows::{self, number, restricted_to, run_columns};
use crate::runs::load::{lock, missing};
use crate::runs::write_set::SetWriter;

pub(crate) const SUCCEED: &str = concat!(
    "WITH present AS MATERIALIZED (SELECT coalesce($1::timestamptz, date_trunc('milliseconds', clock_timestamp())) AS now),
     batch AS MATERIALIZED (SELECT max(nextval('run_events_pos_seq')) AS number FROM unnest($3::uuid[])),
     ended AS (
        UPDATE runs SET state = 'succeeded', finished_at = (SELECT now FROM present), lease_expires_at = NULL,
            last_report = NULL, result = t.t_result, output_ref = t.t_output_ref, error = NULL, progress = 100,
            cleanup = 'none', last_seq = last_seq + 1, updated_at = (SELECT now FROM present),
            batches = batches || (SELECT number FROM batch)
        FROM unnest($3::uuid[], $4::bigint[], $5::text[], $6::text[], $7::jsonb[], $8::text[], $10::bytea[])
            AS t (t_id, t_epoch, t_worker, t_actor, t_result, t_output_ref, t_hash)
        WHERE workspace_id = $2 AND id = t_id AND state = 'running' AND gate IS NULL AND epoch = t_epoch AND claimed_by = t_worker
            AND lease_hash = t_hash AND lease_expires_at > (SELECT now FROM present) AND ($9::text[] IS NULL OR project_id = ANY ($9::text[]))
        RETURNING ",
    run_columns!(),
    ", t_actor),
     logged AS (
        INSERT INTO event_batches (workspace_id, number, type, at, size, actors, run_ids, seqs, attempts, durations_ms)
        SELECT $2, (SELECT number FROM batch), 'run.succeeded', (SELECT now FROM present), count(*),
            CASE WHEN cardinality($6::text[]) = 1 THEN $6::text[] ELSE array_agg(t_actor) END, array_agg(id), array_agg(last_seq),
            array_agg(attempt), array_agg(greatest(0, (extract(epoch FROM updated_at - claimed_at) * 1000)::bigint))
        FROM ended HAVING count(*) > 0),
     listed AS (
        INSERT INTO batch_successes (workspace_id, run_created_at, run_id) SELECT $2, created_at, id FROM ended)
     SELECT ",
    run_columns!(),
    " FROM ended"
);

/// A report, who makes it, and as whom.
#[derive(Clone)]
pub struct WorkerReport {
    /// Who is written into the event.
    pub actor: String,
    /// The worker.
    pub worker: WorkerId,
    /// What it says.
    pub drawn: DrawnReport,
}

impl Weigh for WorkerReport {
    fn weight(&self) -> usize {
        self.drawn.weight()
    }
}

impl WorkerReport {
    fn id(&self) -> RunId {
        self.drawn.report.id
    }

    fn hold(&self) -> Hold {
        self.drawn.report.hold(&self.worker)
    }
}

/// Ends each execution.
pub async fn run(
    database: &Database,
    caller: &Caller,
    reports: &[WorkerReport],
) -> Result<Vec<CoreResult<Applied>>> {
    // Several reports of one run are taken in their order, which one statement would not keep.
    let mut named: HashMap<RunId, usize> = HashMap::new();
    reports.iter().for_each(|report| *named.entry(report.id()).or_default() += 1);
    let usual: Vec<&WorkerReport> = reports
        .iter()
        .filter(|report| named.get(&report.id()) == Some(&1))
        .filter(|report| matches!(report.drawn.report.outcome, Outcome::Succeed { .. }))
        .collect();
    let mut ended = succeed(database, caller, &usual).await?;
    let rest: Vec<&WorkerReport> =
        reports.iter().filter(|report| !ended.contains_key(&report.id())).collect();
    let mut asked = ask(database, caller, &rest).await?.into_iter();
    let lost = || Err(Error::internal("a batch item had no answer"));
    let answers = reports.iter().map(|report| match ended.remove(&report.id()) {
        Some(applied) => Ok(applied),
        None => asked.next().unwrap_or_else(lost),
    });
    Ok(answers.collect())
}

async fn succeed(
    database: &Database,
    caller: &Caller,
    reports: &[&WorkerReport],
) -> Result<HashMap<RunId, Applied>> {
    if reports.is_empty() {
        return Ok(HashMap::new());
    }
    let mut reports: Vec<&WorkerReport> = reports.to_vec();
    // Whoever locks several runs locks them in this order.
    reports.sort_by_key(|report| report.id());
    let (clock, workspace, projects) =
        (database.clock_override(), caller.workspace.as_str(), restricted_to(caller));
    let ids: Vec<_> = reports.iter().map(|report| uuid(report.id().to_bits())).collect();
    let epochs: Vec<_> = reports.iter().map(|report| number(report.drawn.report.epoch)).collect();
    let workers: Vec<_> = reports.iter().map(|report| report.worker.as_str()).collect();
    // One for all, if it is the same.
    let mut actors: Vec<_> = reports.iter().map(|report| report.actor.as_str()).collect();
    let first = actors.first().copied();
    if actors.iter().all(|actor| Some(*actor) == first) {
        actors.truncate(1);
    }
    let hashes: Vec<LeaseHash> = reports.iter().map(|report| report.drawn.report.token.hash()).collect();
    let hashes: Vec<&[u8]> = hashes.iter().map(LeaseHash::as_bytes).collect();
    let (results, output_refs): (Vec<_>, Vec<_>) = reports
        .iter()
        .map(|report| match &report.drawn.report.outcome {
            Outcome::Succeed { result, output_ref } => {
                (result.as_ref().map(|json| JsonText(json.as_str())), output_ref.as_deref())
            }
            Outcome::Fail { .. } | Outcome::Release => (None, None),
        })
        .unzip();
    let params: Params<'_> =
        &[&clock, &workspace, &ids, &epochs, &workers, &actors, &results, &output_refs, &projects, &hashes];
    let mut session = database.session().await?;
    let [succeeded] = session.transact_and_notify(&caller.workspace, [(SUCCEED, params)]).await?;
    let mut ended = HashMap::with_capacity(succeeded.len());
    let actors: HashMap<RunId, &str> =
        reports.iter().map(|report| (report.id(), report.actor.as_str())).collect();
    for run in rows::all(&succeeded, rows::run)? {
        let actor = actors.get(&run.id).copied().unwrap_or_default();
        let event = success_event(&run, actor.to_owned());
        ended.insert(run.id, Applied { run, events: vec![event] });
    }
    Ok(ended)
}

/// The event that the statement wrote; the suite holds the two, and the rule, to one another.
fn success_event(run: &Run, actor: String) -> Event {
    let elapsed = run.claimed_at.map(|from| run.updated_at.since(from)).unwrap_or_default();
    let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let payload = json!({"attempt": run.attempt, "outputRef": run.output_ref, "elapsedMs": elapsed});
    Event {
        run_id: run.id,
        step_id: None,
        seq: run.last_seq,
        kind: EventType::Succeeded,
        at: run.updated_at,
        actor,
        payload: Json::from_value(payload),
    }
}

/// The reports put before the rule, one transaction for as many as name different runs.
async fn ask(
    database: &Database,
    caller: &Caller,
    reports: &[&WorkerReport],
) -> Result<Vec<CoreResult<Applied>>> {
    let mut answers = Vec::with_capacity(reports.len());
    let mut rest = reports;
    while !rest.is_empty() {
        let mut seen = HashSet::new();
        let alike = rest.iter().take_while(|report| seen.insert(report.id())).count();
        let (now, later) = rest.split_at(alike);
        answers.extend(ask_once(database, caller, now).await?);
        rest = later;
    }
    Ok(answers)
}

async fn ask_once(
    database: &Database,
    caller: &Caller,
    reports: &[&WorkerReport],
) -> Result<Vec<CoreResult<Applied>>> {
    let ids: Vec<RunId> = reports.iter().map(|report| report.id()).collect();
    let mut session = database.session().await?;
    let (mut runs, now) = lock(database, &mut session, caller, &ids).await?;
    let decided: Vec<CoreResult<WriteSet>> = reports
        .iter()
        .map(|report| {
            let run = runs.get(&report.id()).filter(|run| caller.may_touch(run.project_id.as_ref()));
            let run = run.ok_or_else(|| missing(report.id()))?;
            let DrawnReport { report: said, draw } = &report.drawn;
            finish(run, &report.hold(), &said.outcome, *draw, Act { now, actor: &report.actor })
        })
        .collect();
    let mut writer = SetWriter::new(caller, now);
    for set in decided.iter().flatten() {
        writer.write(&runs, set)?;
    }
    writer.commit(session, &[]).await?;
    let answers = reports.iter().zip(decided).map(|(report, set)| {
        let run = runs.remove(&report.id()).ok_or_else(|| missing(report.id()));
        Ok(set?.into_applied(run?))
    });
    Ok(answers.collect())
}
