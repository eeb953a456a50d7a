//! A step's row.

use sprongus_core::Result;
use sprongus_core::run::step::Step;

use super::{Read, RowReader, execute, millis, number};
use crate::connection::writer::Tx;

/// The columns of a step.
macro_rules! step_columns {
    () => {
        "id, run_id, epoch, attempt, ordinal, phase, name, type, status, output, tokens_in, tokens_out, started_at, \
         completed_at"
    };
}
pub(crate) use step_columns;

/// The columns of [`step_columns`].
pub fn step(row: &mut RowReader<'_, '_>) -> Read<Step> {
    let tokens = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Ok(Step {
        id: row.parse()?,
        run_id: row.parse()?,
        epoch: row.integer()?,
        attempt: row.integer()?,
        ordinal: row.integer()?,
        phase: row.parse()?,
        name: row.value()?,
        kind: row.parse()?,
        status: row.parse()?,
        output: row.value()?,
        tokens_in: tokens(row.value()?),
        tokens_out: tokens(row.value()?),
        started_at: row.parse_optional()?,
        completed_at: row.parse_optional()?,
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
    execute(tx.connection, PUT_STEP, params)?;
    Ok(())
}
