//! A step's row.

use sprongus_core::run::step::Step;
use sprongus_core::values::ids::{RunId, StepId};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{RowReader, millis, number, small};
use crate::error::Result;
use crate::rows::values::{Time, uuid};

/// The columns of a step.
macro_rules! step_columns {
    () => {
        "id, run_id, epoch, attempt, ordinal, phase, name, type, status, output, tokens_in, tokens_out, started_at, \
         completed_at"
    };
}
pub(crate) use step_columns;

/// The columns of [`step_columns`].
pub fn step(row: &mut RowReader<'_>) -> Result<Step> {
    let tokens = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Ok(Step {
        id: StepId::from_bits(row.bits()?),
        run_id: RunId::from_bits(row.bits()?),
        epoch: row.bigint()?,
        attempt: row.integer()?,
        ordinal: row.bigint()?,
        phase: row.parse()?,
        name: row.value()?,
        kind: row.parse()?,
        status: row.parse()?,
        output: row.value()?,
        tokens_in: tokens(row.value()?),
        tokens_out: tokens(row.value()?),
        started_at: row.optional_time()?,
        completed_at: row.optional_time()?,
    })
}

/// Puts steps over what is recorded of them.
pub const PUT_STEPS: &str = concat!(
    "INSERT INTO run_steps (workspace_id, ",
    step_columns!(),
    ", duration_ms)
     SELECT $1, * FROM unnest($2::uuid[], $3::uuid[], $4::bigint[], $5::integer[], $6::bigint[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::timestamptz[], $15::timestamptz[],
        $16::bigint[])
     ON CONFLICT (run_id, epoch, ordinal) DO UPDATE SET phase = excluded.phase, name = excluded.name,
        type = excluded.type, status = excluded.status, output = excluded.output, tokens_in = excluded.tokens_in,
        tokens_out = excluded.tokens_out, started_at = excluded.started_at, completed_at = excluded.completed_at,
        duration_ms = excluded.duration_ms"
);

/// Steps as the columns of one insert.
pub struct StepColumns<'a> {
    ids: Vec<Uuid>,
    runs: Vec<Uuid>,
    epochs: Vec<i64>,
    attempts: Vec<i32>,
    ordinals: Vec<i64>,
    phases: Vec<&'a str>,
    names: Vec<&'a str>,
    types: Vec<&'a str>,
    statuses: Vec<&'a str>,
    outputs: Vec<Option<&'a str>>,
    tokens_in: Vec<Option<i64>>,
    tokens_out: Vec<Option<i64>>,
    started: Vec<Option<Time>>,
    completed: Vec<Option<Time>>,
    durations: Vec<Option<i64>>,
}

impl<'a> StepColumns<'a> {
    /// The columns of these steps.
    pub fn of(steps: impl Iterator<Item = &'a Step> + Clone) -> Self {
        Self {
            ids: steps.clone().map(|step| uuid(step.id.to_bits())).collect(),
            runs: steps.clone().map(|step| uuid(step.run_id.to_bits())).collect(),
            epochs: steps.clone().map(|step| number(step.epoch)).collect(),
            attempts: steps.clone().map(|step| small(step.attempt)).collect(),
            ordinals: steps.clone().map(|step| i64::from(step.ordinal)).collect(),
            phases: steps.clone().map(|step| step.phase.as_str()).collect(),
            names: steps.clone().map(|step| step.name.as_str()).collect(),
            types: steps.clone().map(|step| step.kind.as_str()).collect(),
            statuses: steps.clone().map(|step| step.status.as_str()).collect(),
            outputs: steps.clone().map(|step| step.output.as_deref()).collect(),
            tokens_in: steps.clone().map(|step| step.tokens_in.map(number)).collect(),
            tokens_out: steps.clone().map(|step| step.tokens_out.map(number)).collect(),
            started: steps.clone().map(|step| step.started_at.map(Time)).collect(),
            completed: steps.clone().map(|step| step.completed_at.map(Time)).collect(),
            durations: steps.clone().map(|step| step.duration().map(millis)).collect(),
        }
    }

    /// What [`PUT_STEPS`] takes.
    pub fn params<'b>(&'b self, workspace: &'b &str) -> [&'b (dyn ToSql + Sync); 16] {
        [
            workspace,
            &self.ids,
            &self.runs,
            &self.epochs,
            &self.attempts,
            &self.ordinals,
            &self.phases,
            &self.names,
            &self.types,
            &self.statuses,
            &self.outputs,
            &self.tokens_in,
            &self.tokens_out,
            &self.started,
            &self.completed,
            &self.durations,
        ]
    }
}
