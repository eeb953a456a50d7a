//! A step's row.

use rusqlite::Row;
use sprongus_core::Result;
use sprongus_core::run::step::Step;

use super::{Read, Reader, millis, number};
use crate::connection::writer::Tx;
use crate::error::MapDbErr;

/// The columns of a step.
macro_rules! step_columns {
    () => {
        "id, run_id, epoch, attempt, ordinal, phase, name, type, status, output, tokens_in, tokens_out, started_at, \
         completed_at"
    };
}
pub(crate) use step_columns;

/// A row of [`step_columns`].
pub fn step(row: &Row<'_>) -> Read<Step> {
    let mut row = Reader::of(row);
    let tokens = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Ok(Step {
        id: row.text()?,
        run_id: row.text()?,
        epoch: row.count()?,
        attempt: row.count()?,
        ordinal: row.count()?,
        phase: row.text()?,
        name: row.plain()?,
        kind: row.text()?,
        status: row.text()?,
        output: row.plain()?,
        tokens_in: tokens(row.plain()?),
        tokens_out: tokens(row.plain()?),
        started_at: row.optional()?,
        completed_at: row.optional()?,
    })
}

const PUT_STEP: &str = concat!(
    "INSERT INTO run_steps (",
    step_columns!(),
    ", duration_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
     ON CONFLICT (run_id, epoch, ordinal) DO UPDATE SET phase = excluded.phase, name = excluded.name,
        type = excluded.type, status = excluded.status, output = excluded.output, tokens_in = excluded.tokens_in,
        tokens_out = excluded.tokens_out, started_at = excluded.started_at, completed_at = excluded.completed_at,
        duration_ms = excluded.duration_ms"
);

/// Puts a step over what is recorded of it.
pub fn put_step(tx: &Tx<'_>, step: &Step) -> Result<()> {
    let params = rusqlite::params![
        step.id.to_string(),
        step.run_id.to_string(),
        number(step.epoch),
        step.attempt,
        step.ordinal,
        step.phase.as_str(),
        step.name,
        step.kind.as_str(),
        step.status.as_str(),
        step.output,
        step.tokens_in.map(number),
        step.tokens_out.map(number),
        step.started_at.map(|time| time.to_string()),
        step.completed_at.map(|time| time.to_string()),
        step.duration().map(millis),
    ];
    tx.connection.prepare_cached(PUT_STEP).map_db_err()?.execute(params).map_db_err()?;
    Ok(())
}
