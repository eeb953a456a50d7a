//! Record: steps and log lines of a held run.

use rusqlite::OptionalExtension;
use sprongus_core::rules::{Act, record};
use sprongus_core::run::event::Event;
use sprongus_core::run::step::{LogLine, Step, StepReport};
use sprongus_core::run::{Hold, Run};
use sprongus_core::runs::Caller;
use sprongus_core::{Error, Result};

use crate::connection::writer::Tx;
use crate::error::MapDbErr;
use crate::rows::{self, step_columns};
use crate::runs::load::load;
use crate::runs::write_set::write_beside;

const STEPS_OF_EPOCH: &str =
    concat!("SELECT ", step_columns!(), " FROM run_steps WHERE run_id = ?1 AND epoch = ?2 ORDER BY ordinal");
const SET_LAST_SEQ: &str = "UPDATE runs SET last_seq = ?2, updated_at = ?3 WHERE id = ?1";
const LAST_CHUNK: &str = "SELECT first + lines FROM run_logs WHERE run_id = ?1 ORDER BY first DESC LIMIT 1";
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
    let recorded: Vec<Step> = {
        let mut select = tx.connection.prepare_cached(STEPS_OF_EPOCH).map_db_err()?;
        let rows =
            select.query_map((hold.id.to_string(), rows::number(hold.epoch)), rows::step).map_db_err()?;
        rows.collect::<rusqlite::Result<_>>().map_db_err()?
    };
    let transition = record::steps(&run, hold, &recorded, steps, act)?;
    if !transition.events.is_empty() {
        let (id, seq) = (run.id.to_string(), rows::number(transition.run.last_seq));
        tx.connection
            .prepare_cached(SET_LAST_SEQ)
            .map_db_err()?
            .execute((id, seq, tx.now.to_string()))
            .map_db_err()?;
    }
    write_beside(tx, &transition)?;
    Ok(transition.events)
}

fn put_lines(tx: &Tx<'_>, run: &Run, lines: &[LogLine]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let id = run.id.to_string();
    let last: Option<i64> = tx
        .connection
        .prepare_cached(LAST_CHUNK)
        .map_db_err()?
        .query_row([&id], |row| row.get(0))
        .optional()
        .map_db_err()?;
    let count = i64::try_from(lines.len()).map_err(|_| Error::validation("too many lines"))?;
    let mut insert = tx.connection.prepare_cached(PUT_CHUNK).map_db_err()?;
    insert.execute((&id, last.unwrap_or(1), count, run.attempt, rows::to_json(&lines)?)).map_db_err()?;
    Ok(())
}
