//! Record: what a run's process printed and what its steps came to.

use std::collections::HashSet;

use sprongus_core::event::Event;
use sprongus_core::rules::{Act, record};
use sprongus_core::run::Hold;
use sprongus_core::runs::Caller;
use sprongus_core::step::{LogLine, Step, StepReport};

use crate::change::{missing, present};
use crate::fault::Result;
use crate::rows::{self, millis, number, run_columns, small, step_columns, written};
use crate::session::{Database, PRESENT, Params};
use crate::values::{Time, uuid};
use crate::writing::Writing;

const LOCK: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE workspace_id = $1 AND id = $2 FOR UPDATE");
const STEPS_OF_EPOCH: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM run_steps WHERE workspace_id = $1 AND run_id = $2 AND epoch = $3 ORDER BY ordinal"
);
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
const TOLD: &str = "UPDATE runs SET last_seq = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2";
const PUT_CHUNK: &str = "
    INSERT INTO run_logs (workspace_id, run_id, first, lines, attempt, body)
    SELECT $1, $2, coalesce((SELECT first + lines FROM run_logs WHERE run_id = $2 ORDER BY first DESC LIMIT 1), 1), $3, $4, $5
    WHERE NOT ($6 AND (SELECT attempt = $4 AND body = $5 FROM run_logs WHERE run_id = $2 ORDER BY first DESC LIMIT 1) IS TRUE)";

/// Writes both, or neither. The same steps again change nothing; of the same lines again one can only tell in a call that is made
/// once more because its connection broke (`is_repeat`): the last chunk is its own, for one hold at a time writes.
pub async fn run(
    database: &Database,
    caller: &Caller,
    hold: &Hold,
    steps: &[StepReport],
    lines: Vec<LogLine>,
    is_repeat: bool,
) -> Result<Vec<Event>> {
    let (workspace, id, epoch) = (caller.workspace.as_str(), uuid(hold.id.to_bits()), number(hold.epoch));
    let turned = database.turned();
    let mut session = database.session().await?;
    let asked: [(&str, Params<'_>); 3] =
        [(LOCK, &[&workspace, &id]), (STEPS_OF_EPOCH, &[&workspace, &id, &epoch]), (PRESENT, &[&turned])];
    let mut answers = session.begin_with(&caller.workspace, &asked).await?;
    let now = present(&answers.pop().unwrap_or_default())?;
    let recorded = answers.pop().unwrap_or_default();
    let recorded = recorded.iter().map(rows::step).collect::<Result<Vec<Step>>>()?;
    let found = answers.pop().unwrap_or_default().first().map(rows::run).transpose()?;
    let Some(run) = found.filter(|run| caller.may_touch(run.project_id.as_ref())) else {
        session.roll_back().await?;
        return Err(missing(hold.id).into());
    };
    let (change, mut steps) =
        match record::steps(&run, hold, &recorded, steps, Act { now, actor: &caller.actor }) {
            Ok(decided) => decided,
            Err(refused) => {
                session.roll_back().await?;
                return Err(refused.into());
            }
        };
    // One statement puts a row once: of several reports of a step the last one stands.
    let mut seen = HashSet::new();
    steps.reverse();
    steps.retain(|step| seen.insert(step.ordinal));

    let mut writing = Writing::new(&caller.workspace, now);
    writing.tell(&run, &change.events);
    let columns = StepColumns::of(steps.iter());
    let put = columns.params(&workspace);
    let (seq, time) = (number(change.run.last_seq), Time(now));
    let lines = record::kept(lines);
    let (body, count, attempt) = (written(&lines)?, number(lines.len() as u64), small(run.attempt));
    let told: Params<'_> = &[&workspace, &id, &seq, &time];
    let chunk: Params<'_> = &[&workspace, &id, &count, &attempt, &body, &is_repeat];
    let all = [
        (PUT_STEPS, &put[..], !steps.is_empty()),
        (TOLD, told, !change.events.is_empty()),
        (PUT_CHUNK, chunk, !lines.is_empty()),
    ];
    let more: Vec<(&str, Params<'_>)> =
        all.into_iter().filter(|(.., wanted)| *wanted).map(|(sql, params, _)| (sql, params)).collect();
    writing.commit(session, &more).await?;
    Ok(change.events)
}

/// Steps as the columns of one insert.
pub struct StepColumns<'a> {
    ids: Vec<uuid::Uuid>,
    runs: Vec<uuid::Uuid>,
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
    pub fn params<'b>(&'b self, workspace: &'b &str) -> [&'b (dyn tokio_postgres::types::ToSql + Sync); 16] {
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
