//! A step's row.

use rusqlite::Row;
use sprongus_core::step::Step;

use super::{Read, Reader};

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
