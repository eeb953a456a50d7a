//! A step's row.

use sprongus_core::ids::{RunId, StepId};
use sprongus_core::step::Step;
use tokio_postgres::Row;

use super::Reader;
use crate::fault::Result;

/// The columns of a step.
macro_rules! step_columns {
    () => {
        "id, run_id, epoch, attempt, ordinal, phase, name, type, status, output, tokens_in, tokens_out, started_at, \
         completed_at"
    };
}
pub(crate) use step_columns;

/// A row of [`step_columns`].
pub fn step(row: &Row) -> Result<Step> {
    let mut row = Reader::from(row, 0);
    let tokens = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Ok(Step {
        id: StepId::from_bits(row.bits()?),
        run_id: RunId::from_bits(row.bits()?),
        epoch: row.count()?,
        attempt: row.small()?,
        ordinal: row.count()?,
        phase: row.text()?,
        name: row.plain()?,
        kind: row.text()?,
        status: row.text()?,
        output: row.plain()?,
        tokens_in: tokens(row.plain()?),
        tokens_out: tokens(row.plain()?),
        started_at: row.optional_time()?,
        completed_at: row.optional_time()?,
    })
}
