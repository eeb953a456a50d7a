//! Record: steps and log lines of a held run.

use sprongus_core::rules::{Act, record};
use sprongus_core::run::event::Event;
use sprongus_core::run::step::{LogLine, StepReport};
use sprongus_core::run::{Hold, Run};
use sprongus_core::runs::Caller;
use sprongus_core::{Error, Result};

use crate::connection::writer::Tx;
use crate::rows::{self, step_columns};
use crate::runs::load::load;
use crate::runs::write_set::write_beside;

const STEPS_OF_EPOCH: &str =
    concat!("SELECT ", step_columns!(), " FROM run_steps WHERE run_id = ?1 AND epoch = ?2 ORDER BY ordinal");
const SET_LAST_SEQ: &str = "UPDATE runs SET last_seq = ?2, updated_at = ?3 WHERE id = ?1";
const NEXT_LINE: &str = "SELECT first + lines FROM run_logs WHERE run_id = ?1 ORDER BY first DESC LIMIT 1";
const PUT_CHUNK: &str =
    "INSERT INTO run_logs (run_id, first, lines, attempt, body) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Writes both, or neither.
pub fn run(
    tx: &Tx<'_>,
    caller: &Caller,
    hold: &Hold,
    steps: &[StepReport],
    lines: &[LogLine],
) -> Result<Vec<Event>> {
    let run = load(tx.connection, caller, hold.id)??;
    let act = Act { now: tx.now, actor: &caller.actor };
    record::admit(&run, hold, act)?;
    put_lines(tx, &run, &record::kept(lines.to_vec()))?;
    if steps.is_empty() {
        return Ok(Vec::new());
    }
    let of_epoch = (hold.id.to_string(), rows::number(hold.epoch));
    let recorded = rows::all(tx.connection, STEPS_OF_EPOCH, of_epoch, rows::step)?;
    let transition = record::steps(&run, hold, &recorded, steps, act)?;
    if !transition.events.is_empty() {
        let (id, seq) = (run.id.to_string(), rows::number(transition.run.last_seq));
        rows::execute(tx.connection, SET_LAST_SEQ, (id, seq, tx.now.to_string()))?;
    }
    write_beside(tx, &transition)?;
    Ok(transition.events)
}

fn put_lines(tx: &Tx<'_>, run: &Run, lines: &[LogLine]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let id = run.id.to_string();
    let first: Option<i64> = rows::first(tx.connection, NEXT_LINE, [&id], |row| row.value())?;
    let count = i64::try_from(lines.len()).map_err(|_| Error::validation("too many lines"))?;
    let chunk = (&id, first.unwrap_or(1), count, run.attempt, rows::to_json(&lines)?);
    rows::execute(tx.connection, PUT_CHUNK, chunk).map(drop)
}
