//! A run's row. Its columns stand in two lists, those that are written once and those that change, so that every statement that
//! reads or writes a run goes through the same two orders.

use std::time::Duration;

use sprongus_core::Result as CoreResult;
use sprongus_core::run::lease::LeaseHash;
use sprongus_core::run::state::State;
use sprongus_core::run::{Cleanup, Run};
use sprongus_core::schedule::Scheduled;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::{ScheduleId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{RowReader, millis, number, small, to_json};
use crate::error::Result;
use crate::rows::values::{JsonString, JsonText, Time, uuid};

/// The columns of a run; `lasting` and `changing` for one of the two lists, `taken` for what a claim does not know of what it took. `due_since` is [`Run::due_at`], and NULL where that is `run_at`;
/// on SQLite the same column is called `due_at`.
macro_rules! run_columns {
    (lasting) => {
        concat!("id, workspace_id, ", $crate::rows::run_columns!(lasting but the key))
    };
    (lasting but the key) => {
        "project_id, agent_task_id, kind, input, priority, max_attempts, idempotency_key, \
         fingerprint, tags, traceparent, created_at, schedule_id, scheduled_for, schedule_revision"
    };
    (changing) => {
        "state, progress, attempt, crashes, gate, run_at, due_since, expire_at, result, output_ref, error, epoch, claimed_by, \
         claimed_at, lease_ms, lease_expires_at, closing_until, cleanup, last_report, last_seq, started_at, \
         finished_at, updated_at, lease_hash, blocked_on"
    };
    (taken) => {
        concat!(
            "id, ",
            $crate::rows::run_columns!(lasting but the key),
            ", attempt, crashes, run_at, due_since, expire_at, result, output_ref, error, epoch, closing_until, last_seq, started_at, \
             finished_at"
        )
    };
    () => {
        concat!(
            $crate::rows::run_columns!(lasting),
            ", ",
            $crate::rows::run_columns!(changing)
        )
    };
}
pub(crate) use run_columns;

/// Runs over those before, from [`RunColumns`].
pub const UPDATE_RUNS: &str = concat!(
    "UPDATE runs r SET (",
    run_columns!(changing),
    ", ended_as) = (t.state, t.progress, t.attempt, t.crashes, t.gate, t.run_at, t.due_since, t.expire_at, t.result, t.output_ref, t.error,
     t.epoch, t.claimed_by, t.claimed_at, t.lease_ms, t.lease_expires_at, t.closing_until, t.cleanup, t.last_report,
     t.last_seq, t.started_at, t.finished_at, t.updated_at, t.lease_hash, t.blocked_on,
     CASE WHEN t.state IN ('failed', 'canceled') THEN t.state END)
     FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::integer[], $6::integer[], $7::jsonb[], $8::timestamptz[],
        $9::timestamptz[], $10::timestamptz[], $11::jsonb[], $12::text[], $13::text[], $14::bigint[], $15::text[],
        $16::timestamptz[], $17::bigint[], $18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[], $22::bigint[],
        $23::timestamptz[], $24::timestamptz[], $25::timestamptz[], $26::bytea[], $27::text[])
        AS t (id, ",
    run_columns!(changing),
    ")
     WHERE r.workspace_id = $1 AND r.id = t.id"
);

/// New runs, whole: the columns that change in the order of [`UPDATE_RUNS`], those that do not behind them.
pub const INSERT_RUNS: &str = concat!(
    "INSERT INTO runs (workspace_id, id, ",
    run_columns!(changing),
    ", ",
    run_columns!(lasting but the key),
    ", ended_as) SELECT $1, t.*, CASE WHEN t.state IN ('failed', 'canceled') THEN t.state END
     FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::integer[], $6::integer[], $7::jsonb[], $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::jsonb[], $12::text[], $13::text[], $14::bigint[],
        $15::text[], $16::timestamptz[], $17::bigint[], $18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[],
        $22::bigint[], $23::timestamptz[], $24::timestamptz[], $25::timestamptz[], $26::bytea[], $27::text[], $28::text[],
        $29::text[], $30::text[], $31::jsonb[], $32::smallint[], $33::integer[], $34::text[], $35::text[], $36::jsonb[], $37::text[],
        $38::timestamptz[], $39::text[], $40::timestamptz[], $41::integer[]) AS t (id, ",
    run_columns!(changing),
    ", ",
    run_columns!(lasting but the key),
    ")"
);

/// The columns of [`run_columns`].
pub fn run(row: &mut RowReader<'_>) -> Result<Run> {
    let run_at;
    Ok(Run {
        id: RunId::from_bits(row.bits()?),
        workspace_id: row.parse()?,
        project_id: row.parse_optional()?,
        agent_task_id: row.parse_optional()?,
        kind: row.parse()?,
        input: row.json()?,
        priority: row.smallint()?,
        max_attempts: row.integer()?,
        idempotency_key: row.value()?,
        fingerprint: row.value()?,
        tags: row.parse_json()?.unwrap_or_default(),
        traceparent: row.value()?,
        created_at: row.time()?,
        scheduled: scheduled(row)?,
        state: row.parse()?,
        progress: row.smallint()?,
        attempt: row.integer()?,
        crashes: row.integer()?,
        gate: row.parse_json()?,
        run_at: {
            run_at = row.time()?;
            run_at
        },
        // Empty until it differs: an enqueue writes it once.
        due_at: row.optional_time()?.unwrap_or(run_at),
        expire_at: row.optional_time()?,
        result: row.optional_json()?,
        output_ref: row.value()?,
        error: row.value()?,
        epoch: row.bigint()?,
        claimed_by: row.parse_optional()?,
        claimed_at: row.optional_time()?,
        lease: Duration::from_millis(row.bigint()?),
        lease_expires_at: row.optional_time()?,
        closing_until: row.optional_time()?,
        cleanup: row.parse()?,
        last_report: row.value()?,
        last_seq: row.bigint()?,
        started_at: row.optional_time()?,
        finished_at: row.optional_time()?,
        updated_at: row.time()?,
        lease_hash: lease_hash(row.value()?)?,
        blocked_on: row.parse_optional()?,
    })
}

/// What is the same for all plain runs that one claim takes.
pub struct Taking<'a> {
    pub workspace: &'a WorkspaceId,
    pub worker: &'a WorkerId,
    pub lease: Duration,
    pub hash: LeaseHash,
    pub now: Timestamp,
}

/// The columns of `run_columns!(taken)`, of a plain run that a claim has just taken: it waits for nothing and has no gate.
pub fn taken(row: &mut RowReader<'_>, taking: &Taking<'_>) -> Result<Run> {
    let run_at;
    Ok(Run {
        id: RunId::from_bits(row.bits()?),
        workspace_id: taking.workspace.clone(),
        project_id: row.parse_optional()?,
        agent_task_id: row.parse_optional()?,
        kind: row.parse()?,
        input: row.json()?,
        priority: row.smallint()?,
        max_attempts: row.integer()?,
        idempotency_key: row.value()?,
        fingerprint: row.value()?,
        tags: row.parse_json()?.unwrap_or_default(),
        traceparent: row.value()?,
        created_at: row.time()?,
        scheduled: scheduled(row)?,
        attempt: row.integer()?,
        crashes: row.integer()?,
        run_at: {
            run_at = row.time()?;
            run_at
        },
        due_at: row.optional_time()?.unwrap_or(run_at),
        expire_at: row.optional_time()?,
        result: row.optional_json()?,
        output_ref: row.value()?,
        error: row.value()?,
        epoch: row.bigint()?,
        closing_until: row.optional_time()?,
        last_seq: row.bigint()?,
        started_at: row.optional_time()?,
        finished_at: row.optional_time()?,
        state: State::Running,
        progress: 0,
        gate: None,
        blocked_on: None,
        claimed_by: Some(taking.worker.clone()),
        claimed_at: Some(taking.now),
        lease: taking.lease,
        lease_expires_at: Some(taking.now.plus(taking.lease)),
        lease_hash: Some(taking.hash),
        cleanup: Cleanup::Owed,
        last_report: None,
        updated_at: taking.now,
    })
}

/// The schedule that made it.
fn scheduled(row: &mut RowReader<'_>) -> Result<Option<Scheduled>> {
    let schedule_id: Option<ScheduleId> = row.parse_optional()?;
    let scheduled_for = row.optional_time()?;
    let revision: Option<i32> = row.value()?;
    let revision = revision.and_then(|revision| u32::try_from(revision).ok()).unwrap_or_default();
    Ok(schedule_id.map(|schedule_id| Scheduled { schedule_id, scheduled_for, revision }))
}

fn lease_hash(bytes: Option<&[u8]>) -> Result<Option<LeaseHash>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let hash: [u8; 32] = bytes.try_into().map_err(super::unreadable)?;
    Ok(Some(hash.into()))
}

/// Runs as the columns of one statement: their ids, and what changes of them, in the order of [`run_columns`].
pub struct RunColumns<'a> {
    pub ids: Vec<Uuid>,
    states: Vec<&'static str>,
    progress: Vec<i16>,
    attempts: Vec<i32>,
    crashes: Vec<i32>,
    gates: Vec<Option<JsonString>>,
    run_at: Vec<Time>,
    due_since: Vec<Option<Time>>,
    expire_at: Vec<Option<Time>>,
    results: Vec<Option<JsonText<'a>>>,
    output_refs: Vec<Option<&'a str>>,
    errors: Vec<Option<&'a str>>,
    epochs: Vec<i64>,
    claimed_by: Vec<Option<&'a str>>,
    claimed_at: Vec<Option<Time>>,
    leases: Vec<i64>,
    lease_ends: Vec<Option<Time>>,
    closing: Vec<Option<Time>>,
    cleanups: Vec<&'static str>,
    reports: Vec<Option<&'a str>>,
    seqs: Vec<i64>,
    started: Vec<Option<Time>>,
    finished: Vec<Option<Time>>,
    updated: Vec<Time>,
    hashes: Vec<Option<&'a [u8]>>,
    blocked_on: Vec<Option<&'a str>>,
}

impl<'a> RunColumns<'a> {
    /// The columns of these runs.
    pub fn of(runs: &[&'a Run]) -> CoreResult<Self> {
        let gate =
            |run: &&Run| -> CoreResult<_> { Ok(run.gate.as_ref().map(to_json).transpose()?.map(JsonString)) };
        Ok(Self {
            ids: runs.iter().map(|run| uuid(run.id.to_bits())).collect(),
            states: runs.iter().map(|run| run.state.as_str()).collect(),
            progress: runs.iter().map(|run| i16::from(run.progress)).collect(),
            attempts: runs.iter().map(|run| small(run.attempt)).collect(),
            crashes: runs.iter().map(|run| small(run.crashes)).collect(),
            gates: runs.iter().map(gate).collect::<CoreResult<_>>()?,
            run_at: runs.iter().map(|run| Time(run.run_at)).collect(),
            due_since: runs.iter().map(|run| due_since(run)).collect(),
            expire_at: runs.iter().map(|run| run.expire_at.map(Time)).collect(),
            results: runs
                .iter()
                .map(|run| run.result.as_ref().map(|result| JsonText(result.as_str())))
                .collect(),
            output_refs: runs.iter().map(|run| run.output_ref.as_deref()).collect(),
            errors: runs.iter().map(|run| run.error.as_deref()).collect(),
            epochs: runs.iter().map(|run| number(run.epoch)).collect(),
            claimed_by: runs.iter().map(|run| run.claimed_by.as_ref().map(|id| id.as_str())).collect(),
            claimed_at: runs.iter().map(|run| run.claimed_at.map(Time)).collect(),
            leases: runs.iter().map(|run| millis(run.lease)).collect(),
            lease_ends: runs.iter().map(|run| run.lease_expires_at.map(Time)).collect(),
            closing: runs.iter().map(|run| run.closing_until.map(Time)).collect(),
            cleanups: runs.iter().map(|run| run.cleanup.as_str()).collect(),
            reports: runs.iter().map(|run| run.last_report.as_deref()).collect(),
            seqs: runs.iter().map(|run| number(run.last_seq)).collect(),
            started: runs.iter().map(|run| run.started_at.map(Time)).collect(),
            finished: runs.iter().map(|run| run.finished_at.map(Time)).collect(),
            updated: runs.iter().map(|run| Time(run.updated_at)).collect(),
            hashes: runs.iter().map(|run| run.lease_hash.as_ref().map(LeaseHash::as_bytes)).collect(),
            blocked_on: runs.iter().map(|run| run.blocked_on.as_ref().map(|on| on.as_str())).collect(),
        })
    }

    /// What a statement over them takes.
    pub fn params<'b>(&'b self, workspace: &'b &str) -> Vec<&'b (dyn ToSql + Sync)> {
        vec![
            workspace,
            &self.ids,
            &self.states,
            &self.progress,
            &self.attempts,
            &self.crashes,
            &self.gates,
            &self.run_at,
            &self.due_since,
            &self.expire_at,
            &self.results,
            &self.output_refs,
            &self.errors,
            &self.epochs,
            &self.claimed_by,
            &self.claimed_at,
            &self.leases,
            &self.lease_ends,
            &self.closing,
            &self.cleanups,
            &self.reports,
            &self.seqs,
            &self.started,
            &self.finished,
            &self.updated,
            &self.hashes,
            &self.blocked_on,
        ]
    }
}

/// The same of what never changes of them, but for their key.
pub struct LastingColumns<'a> {
    projects: Vec<Option<&'a str>>,
    tasks: Vec<Option<&'a str>>,
    kinds: Vec<&'a str>,
    inputs: Vec<JsonText<'a>>,
    priorities: Vec<i16>,
    most: Vec<i32>,
    keys: Vec<Option<&'a str>>,
    fingerprints: Vec<&'a str>,
    tags: Vec<JsonString>,
    traces: Vec<Option<&'a str>>,
    made: Vec<Time>,
    schedules: Vec<Option<&'a str>>,
    ticks: Vec<Option<Time>>,
    revisions: Vec<Option<i32>>,
}

impl<'a> LastingColumns<'a> {
    /// The columns of these runs.
    pub fn of(runs: &[&'a Run]) -> CoreResult<Self> {
        Ok(Self {
            projects: runs.iter().map(|run| run.project_id.as_ref().map(|id| id.as_str())).collect(),
            tasks: runs.iter().map(|run| run.agent_task_id.as_ref().map(|id| id.as_str())).collect(),
            kinds: runs.iter().map(|run| run.kind.as_str()).collect(),
            inputs: runs.iter().map(|run| JsonText(run.input.as_str())).collect(),
            priorities: runs.iter().map(|run| i16::from(run.priority)).collect(),
            most: runs.iter().map(|run| small(run.max_attempts)).collect(),
            keys: runs.iter().map(|run| run.idempotency_key.as_deref()).collect(),
            fingerprints: runs.iter().map(|run| run.fingerprint.as_str()).collect(),
            tags: runs.iter().map(|run| Ok(JsonString(to_json(&run.tags)?))).collect::<CoreResult<_>>()?,
            traces: runs.iter().map(|run| run.traceparent.as_deref()).collect(),
            made: runs.iter().map(|run| Time(run.created_at)).collect(),
            schedules: runs
                .iter()
                .map(|run| run.scheduled.as_ref().map(|by| by.schedule_id.as_str()))
                .collect(),
            ticks: runs.iter().map(|run| run.scheduled.as_ref()?.scheduled_for.map(Time)).collect(),
            revisions: runs.iter().map(|run| Some(small(run.scheduled.as_ref()?.revision))).collect(),
        })
    }

    /// What a statement over them takes.
    pub fn params(&self) -> [&(dyn ToSql + Sync); 14] {
        [
            &self.projects,
            &self.tasks,
            &self.kinds,
            &self.inputs,
            &self.priorities,
            &self.most,
            &self.keys,
            &self.fingerprints,
            &self.tags,
            &self.traces,
            &self.made,
            &self.schedules,
            &self.ticks,
            &self.revisions,
        ]
    }
}

/// Since when a run is due, where that is not `run_at`, as it is kept.
pub fn due_since(run: &Run) -> Option<Time> {
    (run.due_at != run.run_at).then_some(Time(run.due_at))
}
