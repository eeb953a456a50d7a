//! A rare verb: read the run under its lock, ask the rule, write.

use std::collections::HashMap;

use sprongus_core::Error;
use sprongus_core::event::Event;
use sprongus_core::ids::RunId;
use sprongus_core::rules::{Act, Decision};
use sprongus_core::run::{Applied, Run};
use sprongus_core::runs::Caller;
use sprongus_core::step::Step;
use sprongus_core::store::Change;
use sprongus_core::time::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::fault::Result;
use crate::rows::{self, number, run_columns, step_columns};
use crate::session::{Database, PRESENT, Params, Session};
use crate::values::{JsonText, Time, uuid};
use crate::writing::Writing;

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
pub(crate) const TOLD_LAST: &str = "
    SELECT 1 FROM run_events WHERE run_id = $1 AND seq = $2 AND type = $3 AND actor = $4 AND payload = $5";

/// Carries out the verb. Progress alone may be told again; of a call that is made once more because its connection broke
/// (`is_repeat`), the run's last event says whether it was heard.
pub async fn run(
    database: &Database,
    caller: &Caller,
    id: RunId,
    change: &Change,
    is_repeat: bool,
) -> Result<Applied> {
    let mut session = database.session().await?;
    let (mut runs, now) = lock(database, &mut session, caller, &[id]).await?;
    let run = match runs.remove(&id).filter(|run| caller.may_touch(run.project_id.as_ref())) {
        Some(run) => run,
        None => {
            session.roll_back().await?;
            return Err(missing(id).into());
        }
    };
    let waits_at = waiting_steps(&session, caller, [&run]).await?.remove(&id);
    let decision = match change.decide(&run, waits_at.as_ref(), Act { now, actor: &caller.actor }) {
        Ok(Decision::Change(change)) => change,
        Ok(Decision::Unchanged) => {
            session.roll_back().await?;
            return Ok(Applied { run, events: Vec::new() });
        }
        Err(refused) => {
            session.roll_back().await?;
            return Err(refused.into());
        }
    };
    if is_repeat
        && matches!(change, Change::Progress { .. })
        && was_told(&session, &run, decision.events.last()).await?
    {
        session.roll_back().await?;
        return Ok(Applied { run, events: Vec::new() });
    }
    let mut writing = Writing::new(&caller.workspace, now);
    writing.change(&run, &decision)?;
    writing.commit(session, &[]).await?;
    Ok(Applied { run: decision.run, events: decision.events })
}

/// Whether the last event of a run says what `event` would.
async fn was_told(session: &Session, run: &Run, event: Option<&Event>) -> Result<bool> {
    let Some(event) = event else { return Ok(false) };
    let (id, seq) = (uuid(run.id.to_bits()), number(run.last_seq));
    let (kind, actor, payload) =
        (event.kind.as_str(), event.actor.as_str(), JsonText(event.payload.as_str()));
    Ok(!session.ask(TOLD_LAST, &[&id, &seq, &kind, &actor, &payload]).await?.is_empty())
}

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
    let (workspace, turned) = (caller.workspace.as_str(), database.turned());
    let asked: [(&str, Params<'_>); 3] =
        [(LOCK_QUEUED, &[&workspace, &ids]), (LOCK, &[&workspace, &ids]), (PRESENT, &[&turned])];
    let mut answers = session.begin_with(&caller.workspace, &asked).await?;
    let now = present(&answers.pop().unwrap_or_default())?;
    Ok((found(&answers.pop().unwrap_or_default())?, now))
}

/// The same within a transaction that has begun.
pub async fn lock_in(
    database: &Database,
    session: &Session,
    caller: &Caller,
    ids: &[RunId],
) -> Result<(HashMap<RunId, Run>, Timestamp)> {
    let ids: Vec<Uuid> = ids.iter().map(|id| uuid(id.to_bits())).collect();
    let (workspace, turned) = (caller.workspace.as_str(), database.turned());
    session.ask(LOCK_QUEUED, &[&workspace, &ids]).await?;
    let runs = session.ask(LOCK, &[&workspace, &ids]).await?;
    let now = present(&session.ask(PRESENT, &[&turned]).await?)?;
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
    for row in session.ask(WAITS_AT, &[&caller.workspace.as_str(), &ids, &epochs, &gates]).await? {
        let step = rows::step(&row)?;
        steps.insert(step.run_id, step);
    }
    Ok(steps)
}

fn found(rows: &[Row]) -> Result<HashMap<RunId, Run>> {
    let mut runs = HashMap::with_capacity(rows.len());
    for row in rows {
        let run = rows::run(row)?;
        runs.insert(run.id, run);
    }
    Ok(runs)
}

/// The answer to [`PRESENT`].
pub fn present(rows: &[Row]) -> Result<Timestamp> {
    match rows.first() {
        Some(row) => Ok(row.try_get::<_, Time>(0)?.0),
        None => Err(Error::internal("the clock gave no time").into()),
    }
}
