//! A run's row. Its columns stand in two lists, those that are written once and those that change, so that every statement that
//! reads or writes a run goes through the same two orders.

use std::time::Duration;

use sprongus_core::Error;
use sprongus_core::ids::RunId;
use sprongus_core::lease::LeaseHash;
use sprongus_core::run::{Cleanup, Run};
use tokio_postgres::Row;

use super::Reader;
use crate::fault::Result;

/// The columns of a run; `lasting` and `changing` for one of the two lists.
macro_rules! run_columns {
    (lasting) => {
        "id, workspace_id, project_id, agent_task_id, kind, input, priority, max_attempts, idempotency_key, \
         fingerprint, tags, traceparent, created_at"
    };
    (changing) => {
        "state, progress, attempt, crashes, gate, run_at, due_since, expire_at, result, output_ref, error, epoch, claimed_by, \
         claimed_at, lease_ms, lease_expires_at, closing_until, cleanup, last_report, last_seq, started_at, \
         finished_at, updated_at, lease_hash"
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

/// A row of [`run_columns`].
pub fn run(row: &Row) -> Result<Run> {
    run_from(row, 0)
}

/// The columns of a run within a row, from the one numbered `first` on.
pub fn run_from(row: &Row, first: usize) -> Result<Run> {
    let mut row = Reader::from(row, first);
    let run_at;
    Ok(Run {
        id: RunId::from_bits(row.bits()?),
        workspace_id: row.text()?,
        project_id: row.optional()?,
        agent_task_id: row.optional()?,
        kind: row.text()?,
        input: row.json()?,
        priority: row.tiny()?,
        max_attempts: row.small()?,
        idempotency_key: row.plain()?,
        fingerprint: row.plain()?,
        tags: row.parsed()?.unwrap_or_default(),
        traceparent: row.plain()?,
        created_at: row.time()?,
        state: row.text()?,
        progress: row.tiny()?,
        attempt: row.small()?,
        crashes: row.small()?,
        gate: row.parsed()?,
        run_at: {
            run_at = row.time()?;
            run_at
        },
        // Empty until it differs: an enqueue writes it once.
        due_at: row.optional_time()?.unwrap_or(run_at),
        expire_at: row.optional_time()?,
        result: row.optional_json()?,
        output_ref: row.plain()?,
        error: row.plain()?,
        epoch: row.count()?,
        claimed_by: row.optional()?,
        claimed_at: row.optional_time()?,
        lease: Duration::from_millis(row.count()?),
        lease_expires_at: row.optional_time()?,
        closing_until: row.optional_time()?,
        cleanup: cleanup(row.plain()?)?,
        last_report: row.plain()?,
        last_seq: row.count()?,
        started_at: row.optional_time()?,
        finished_at: row.optional_time()?,
        updated_at: row.time()?,
        waiting: None,
        lease_hash: lease_hash(row.plain()?)?,
    })
}

fn lease_hash(bytes: Option<&[u8]>) -> Result<Option<LeaseHash>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let hash: [u8; 32] = bytes.try_into().map_err(super::unreadable)?;
    Ok(Some(hash.into()))
}

fn cleanup(word: &str) -> Result<Cleanup> {
    match word {
        "none" => Ok(Cleanup::None),
        "owed" => Ok(Cleanup::Owed),
        "handed_out" => Ok(Cleanup::HandedOut),
        _ => Err(Error::internal("the database holds what is no cleanup").into()),
    }
}

/// A cleanup as it is kept.
pub fn cleanup_word(cleanup: Cleanup) -> &'static str {
    match cleanup {
        Cleanup::None => "none",
        Cleanup::Owed => "owed",
        Cleanup::HandedOut => "handed_out",
    }
}
