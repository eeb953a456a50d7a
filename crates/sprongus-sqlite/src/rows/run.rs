//! A run's row. Its columns stand in two lists, those that are written once and those that change, so that inserting, changing
//! and reading go through the same two orders.

use std::time::Duration;

use rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER;
use sprongus_core::Result;
use sprongus_core::json::Json;
use sprongus_core::rules::placement::Placement;
use sprongus_core::run::Run;
use sprongus_core::run::lease::LeaseHash;
use sprongus_core::schedule::Scheduled;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::values::time::Timestamp;

use super::{Binder, Read, RowReader, millis, number, to_json};
use crate::connection::writer::Tx;
use crate::error::{MapDbErr, db_err};

/// The columns of a run; `lasting` and `changing` for one of the two lists. `due_at` is called `due_since` on Postgres.
macro_rules! run_columns {
    (lasting) => {
        "id, workspace_id, project_id, agent_task_id, kind, input, priority, max_attempts, idempotency_key, \
         fingerprint, tags, traceparent, created_at, schedule_id, scheduled_for, schedule_revision"
    };
    (changing) => {
        "state, progress, attempt, crashes, gate, run_at, due_at, expire_at, result, output_ref, error, epoch, claimed_by, \
         claimed_at, lease_ms, lease_expires_at, closing_until, cleanup, last_report, last_seq, started_at, \
         finished_at, updated_at, lease_hash, blocked_on"
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

/// The columns of [`run_columns`].
pub fn run(row: &mut RowReader<'_, '_>) -> Read<Run> {
    let run_at;
    Ok(Run {
        id: row.parse()?,
        workspace_id: row.parse()?,
        project_id: row.parse_optional()?,
        agent_task_id: row.parse_optional()?,
        kind: row.parse()?,
        input: row.json()?,
        priority: row.integer()?,
        max_attempts: row.integer()?,
        idempotency_key: row.value()?,
        fingerprint: row.value()?,
        tags: row.parse_json()?.unwrap_or_default(),
        traceparent: row.value()?,
        created_at: row.parse()?,
        scheduled: scheduled(row)?,
        state: row.parse()?,
        progress: row.integer()?,
        attempt: row.integer()?,
        crashes: row.integer()?,
        gate: row.parse_json()?,
        run_at: {
            run_at = row.parse()?;
            run_at
        },
        // Empty in rows of before schema 16.
        due_at: row.parse_optional()?.unwrap_or(run_at),
        expire_at: row.parse_optional()?,
        result: row.optional_json()?,
        output_ref: row.value()?,
        error: row.value()?,
        epoch: row.integer()?,
        claimed_by: row.parse_optional()?,
        claimed_at: row.parse_optional()?,
        lease: Duration::from_millis(row.integer()?),
        lease_expires_at: row.parse_optional()?,
        closing_until: row.parse_optional()?,
        cleanup: row.parse()?,
        last_report: row.value()?,
        last_seq: row.integer()?,
        started_at: row.parse_optional()?,
        finished_at: row.parse_optional()?,
        updated_at: row.parse()?,
        lease_hash: row.value::<Option<[u8; 32]>>()?.map(LeaseHash::from),
        blocked_on: row.parse_optional()?,
    })
}

/// The schedule that made it.
fn scheduled(row: &mut RowReader<'_, '_>) -> Read<Option<Scheduled>> {
    let schedule_id: Option<ScheduleId> = row.parse_optional()?;
    let scheduled_for = row.parse_optional()?;
    let revision: Option<u32> = row.value()?;
    let revision = revision.unwrap_or_default();
    Ok(schedule_id.map(|schedule_id| Scheduled { schedule_id, scheduled_for, revision }))
}

const INSERT_RUN: &str = concat!(
    "INSERT OR FAIL INTO runs (",
    run_columns!(lasting),
    ", ",
    run_columns!(changing),
    ", ready, timer_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
     ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43)"
);

/// Writes a new run; false when there is one of its id, as the trigger that guards it says.
pub fn insert_run(tx: &Tx<'_>, run: &Run) -> Result<bool> {
    let mut insert = tx.connection.prepare_cached(INSERT_RUN).map_db_err()?;
    let mut row = Binder::of(&mut insert);
    let tags = if run.tags.is_empty() { "{}".to_owned() } else { to_json(&run.tags)? };
    row.text(&run.id.to_string())?;
    row.text(run.workspace_id.as_str())?;
    row.optional(run.project_id.as_ref().map(|id| id.as_str()))?;
    row.optional(run.agent_task_id.as_ref().map(|id| id.as_str()))?;
    row.text(run.kind.as_str())?;
    row.text(run.input.as_str())?;
    row.number(i64::from(run.priority))?;
    row.number(i64::from(run.max_attempts))?;
    row.optional(run.idempotency_key.as_deref())?;
    row.text(&run.fingerprint)?;
    row.text(&tags)?;
    row.optional(run.traceparent.as_deref())?;
    row.time(Some(run.created_at))?;
    let scheduled = run.scheduled.as_ref();
    row.optional(scheduled.map(|by| by.schedule_id.as_str()))?;
    row.time(scheduled.and_then(|by| by.scheduled_for))?;
    row.bind(scheduled.map(|by| by.revision))?;
    bind_changing(&mut row, run, tx.now)?;
    match insert.raw_execute() {
        Ok(_) => Ok(true),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.extended_code == SQLITE_CONSTRAINT_TRIGGER =>
        {
            Ok(false)
        }
        Err(error) => Err(db_err(error)),
    }
}

const UPDATE_RUN: &str = concat!(
    "UPDATE runs SET (",
    run_columns!(changing),
    ", ready, timer_at) = (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
     ?22, ?23, ?24, ?25, ?26, ?27, ?28) WHERE id = ?1"
);

/// Writes a run over the one before.
pub fn update_run(tx: &Tx<'_>, run: &Run) -> Result<()> {
    let mut update = tx.connection.prepare_cached(UPDATE_RUN).map_db_err()?;
    let mut row = Binder::of(&mut update);
    row.text(&run.id.to_string())?;
    bind_changing(&mut row, run, tx.now)?;
    update.raw_execute().map_db_err()?;
    Ok(())
}

fn bind_changing(row: &mut Binder<'_, '_>, run: &Run, now: Timestamp) -> Result<()> {
    row.text(run.state.as_str())?;
    row.number(i64::from(run.progress))?;
    row.number(i64::from(run.attempt))?;
    row.number(i64::from(run.crashes))?;
    row.optional(run.gate.as_ref().map(to_json).transpose()?.as_deref())?;
    row.time(Some(run.run_at))?;
    row.time(Some(run.due_at))?;
    row.time(run.expire_at)?;
    row.optional(run.result.as_ref().map(Json::as_str))?;
    row.optional(run.output_ref.as_deref())?;
    row.optional(run.error.as_deref())?;
    row.number(number(run.epoch))?;
    row.optional(run.claimed_by.as_ref().map(|id| id.as_str()))?;
    row.time(run.claimed_at)?;
    row.number(millis(run.lease))?;
    row.time(run.lease_expires_at)?;
    row.time(run.closing_until)?;
    row.text(run.cleanup.as_str())?;
    row.optional(run.last_report.as_deref())?;
    row.number(number(run.last_seq))?;
    row.time(run.started_at)?;
    row.time(run.finished_at)?;
    row.time(Some(run.updated_at))?;
    row.bytes(run.lease_hash.as_ref().map(LeaseHash::as_bytes))?;
    row.optional(run.blocked_on.as_ref().map(|on| on.as_str()))?;
    let placement = Placement::of(run, now);
    row.number(i64::from(placement.is_ready()))?;
    row.time(placement.timer())
}
