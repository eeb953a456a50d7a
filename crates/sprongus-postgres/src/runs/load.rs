//! Runs as they stand, under their locks, for the rule that is to be asked.

use std::collections::HashMap;

use sprongus_core::Error;
use sprongus_core::run::Run;
use sprongus_core::run::step::Step;
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::connection::clock::{PRESENT, present};
use crate::connection::session::{Database, Params, Session};
use crate::error::Result;
use crate::rows::values::uuid;
use crate::rows::{self, RowReader, number, run_columns, step_columns};

/// A claim locks a place in the queue first and the run after it; whoever might take a run out of the queue does so too, or the two
/// would wait for each other. Locked within, so that each run's place is looked up: a plan for a join began with the whole queue.
const LOCK_QUEUED: &str = "
    SELECT 1 FROM runs r CROSS JOIN LATERAL (
        SELECT 1 FROM run_queue q WHERE q.workspace_id = r.workspace_id AND q.kind = r.kind AND q.rank = 100 - r.priority
            AND q.run_at = r.run_at AND q.id = r.id FOR UPDATE) AS place
    WHERE r.workspace_id = $1 AND r.id = ANY ($2)";
const LOCK: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs WHERE workspace_id = $1 AND id = ANY ($2) ORDER BY id FOR UPDATE"
);
const WAITS_AT: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM run_steps JOIN unnest($2::uuid[], $3::bigint[], $4::uuid[]) AS gate (gate_run, gate_epoch, gate_step)
        ON run_id = gate_run AND epoch = gate_epoch AND id = gate_step WHERE workspace_id = $1"
);

/// That there is no such run, or none the caller may know of.
pub fn missing(id: RunId) -> Error {
    Error::not_found(format_args!("run: {id}"))
}

/// Begins a transaction that holds the runs; answers them as they stand, and the present.
pub async fn lock(
    database: &Database,
    session: &mut Session,
    caller: &Caller,
    ids: &[RunId],
) -> Result<(HashMap<RunId, Run>, Timestamp)> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.to_bits())).collect();
    let (workspace, clock) = (caller.workspace.as_str(), database.clock_override());
    let asked: [(&str, Params<'_>); 3] =
        [(LOCK_QUEUED, &[&workspace, &ids]), (LOCK, &[&workspace, &ids]), (PRESENT, &[&clock])];
    let [_, runs, now] = session.begin_with(&caller.workspace, asked).await?;
    Ok((found(&runs)?, present(&now)?))
}

/// The same within a transaction that has begun.
pub async fn lock_in(
    database: &Database,
    session: &Session,
    caller: &Caller,
    ids: &[RunId],
) -> Result<(HashMap<RunId, Run>, Timestamp)> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.to_bits())).collect();
    let (workspace, clock) = (caller.workspace.as_str(), database.clock_override());
    session.query(LOCK_QUEUED, &[&workspace, &ids]).await?;
    let runs = session.query(LOCK, &[&workspace, &ids]).await?;
    let now = present(&session.query(PRESENT, &[&clock]).await?)?;
    Ok((found(&runs)?, now))
}

/// The steps at which runs wait, where they were recorded.
pub async fn waiting_steps(
    session: &Session,
    caller: &Caller,
    runs: impl IntoIterator<Item = &Run>,
) -> Result<HashMap<RunId, Step>> {
    let mut steps = HashMap::new();
    let (mut ids, mut epochs, mut gates) = (Vec::new(), Vec::new(), Vec::new());
    for (run, gate) in runs.into_iter().filter_map(|run| Some((run, run.waiting_for()?))) {
        ids.push(uuid(run.id.to_bits()));
        epochs.push(number(run.epoch));
        gates.push(uuid(gate.step_id.to_bits()));
    }
    if ids.is_empty() {
        return Ok(steps);
    }
    for row in session.query(WAITS_AT, &[&caller.workspace.as_str(), &ids, &epochs, &gates]).await? {
        let step = rows::step(&mut RowReader::new(&row))?;
        steps.insert(step.run_id, step);
    }
    Ok(steps)
}

fn found(rows: &[Row]) -> Result<HashMap<RunId, Run>> {
    let mut runs = HashMap::with_capacity(rows.len());
    for row in rows {
        let run = rows::run(&mut RowReader::new(row))?;
        runs.insert(run.id, run);
    }
    Ok(runs)
}
