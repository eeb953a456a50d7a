//! Record: what a run's process printed and what its steps came to.

use sprongus_core::rules::{Act, record};
use sprongus_core::run::Hold;
use sprongus_core::run::event::Event;
use sprongus_core::run::step::{LogLine, StepReport};
use sprongus_core::runs::Caller;

use crate::connection::clock::{PRESENT, present};
use crate::connection::session::{Database, Params};
use crate::error::Result;
use crate::rows::values::{Time, uuid};
use crate::rows::{self, number, run_columns, small, step_columns, to_json};
use crate::runs::load::missing;
use crate::runs::write_set::SetWriter;

const LOCK: &str =
    concat!("SELECT ", run_columns!(), " FROM runs WHERE workspace_id = $1 AND id = $2 FOR UPDATE");
const STEPS_OF_EPOCH: &str = concat!(
    "SELECT ",
    step_columns!(),
    " FROM run_steps WHERE workspace_id = $1 AND run_id = $2 AND epoch = $3 ORDER BY ordinal"
);
const RAISE_SEQ: &str = "UPDATE runs SET last_seq = $3, updated_at = $4 WHERE workspace_id = $1 AND id = $2";
const PUT_CHUNK: &str = "
    INSERT INTO run_logs (workspace_id, run_id, first, lines, attempt, body)
    SELECT $1, $2, coalesce((SELECT first + lines FROM run_logs WHERE run_id = $2 ORDER BY first DESC LIMIT 1), 1), $3, $4, $5
    WHERE NOT ($6 AND (SELECT attempt = $4 AND body = $5 FROM run_logs WHERE run_id = $2 ORDER BY first DESC LIMIT 1) IS TRUE)";

/// Writes both, or neither. The same steps again change nothing; of the same lines again one can only tell in a call that is made
/// once more because its connection broke (`is_retry`): the last chunk is its own, for one hold at a time writes.
pub async fn run(
    database: &Database,
    caller: &Caller,
    hold: &Hold,
    steps: &[StepReport],
    lines: Vec<LogLine>,
    is_retry: bool,
) -> Result<Vec<Event>> {
    let (workspace, id, epoch) = (caller.workspace.as_str(), uuid(hold.id.to_bits()), number(hold.epoch));
    let clock = database.clock_override();
    let mut session = database.session().await?;
    let asked: [(&str, Params<'_>); 3] =
        [(LOCK, &[&workspace, &id]), (STEPS_OF_EPOCH, &[&workspace, &id, &epoch]), (PRESENT, &[&clock])];
    let [run, recorded, now] = session.begin_with(&caller.workspace, asked).await?;
    let (run, recorded, now) =
        (rows::first(&run, rows::run)?, rows::all(&recorded, rows::step)?, present(&now)?);
    let Some(run) = run.filter(|run| caller.may_touch(run.project_id.as_ref())) else {
        session.roll_back().await?;
        return Err(missing(hold.id).into());
    };
    let transition = match record::steps(&run, hold, &recorded, steps, Act { now, actor: &caller.actor }) {
        Ok(transition) => transition,
        Err(refused) => {
            session.roll_back().await?;
            return Err(refused.into());
        }
    };
    let mut writer = SetWriter::new(caller, now);
    writer.add_events(&transition);
    let (seq, time) = (number(transition.run.last_seq), Time(now));
    let lines = record::kept(lines);
    let (body, count, attempt) = (to_json(&lines)?, number(lines.len() as u64), small(run.attempt));
    let raised: Params<'_> = &[&workspace, &id, &seq, &time];
    let chunk: Params<'_> = &[&workspace, &id, &count, &attempt, &body, &is_retry];
    let all = [(RAISE_SEQ, raised, !transition.events.is_empty()), (PUT_CHUNK, chunk, !lines.is_empty())];
    let more: Vec<(&str, Params<'_>)> =
        all.into_iter().filter(|(.., wanted)| *wanted).map(|(sql, params, _)| (sql, params)).collect();
    writer.commit(session, &more).await?;
    Ok(transition.events)
}
