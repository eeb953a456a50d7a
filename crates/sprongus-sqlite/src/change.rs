//! A rare verb: read the run, ask the rule, write. All under the write lock, so nothing can have changed in between.

use rusqlite::{Connection, OptionalExtension};
use sprongus_core::ids::RunId;
use sprongus_core::rules::artifact::is_done_with_workdir;
use sprongus_core::rules::{self, Act, Decision};
use sprongus_core::run::{Applied, Run};
use sprongus_core::runs::Caller;
use sprongus_core::step::Step;
use sprongus_core::store::Change;
use sprongus_core::{Error, Result};

use crate::enqueue::BY_ID;
use crate::fault::Told;
use crate::rows::{self, step_columns};
use crate::writer::Tx;
use crate::{artifact, record};

const WAITS_AT: &str =
    concat!("SELECT ", step_columns!(), " FROM run_steps WHERE run_id = ?1 AND epoch = ?2 AND id = ?3");

/// Carries out the verb.
pub fn run(tx: &Tx<'_>, caller: &Caller, id: RunId, change: &Change) -> Result<Applied> {
    let run = load(tx.connection, caller, id)??;
    let waits_at = waits_at(tx.connection, &run)?;
    let decision = change.decide(&run, waits_at.as_ref(), Act { now: tx.now, actor: &caller.actor })?;
    write(tx, run, decision)
}

/// The run, or that there is none that the caller may know of. The outer error is the database's.
pub fn load(connection: &Connection, caller: &Caller, id: RunId) -> Result<Result<Run>> {
    let mut select = connection.prepare_cached(BY_ID).told()?;
    let found = select.query_row((id.to_string(), caller.workspace.as_str()), rows::run).optional().told()?;
    let found = found.filter(|run| caller.may_touch(run.project_id.as_ref()));
    Ok(found.ok_or_else(|| Error::not_found(format_args!("run: {id}"))))
}

/// Writes what a rule decided.
pub fn write(tx: &Tx<'_>, run: Run, decision: Decision) -> Result<Applied> {
    match decision {
        Decision::Unchanged => Ok(Applied { run, events: Vec::new() }),
        Decision::Change(change) => {
            put(tx, &change)?;
            Ok(Applied { run: change.run, events: change.events })
        }
    }
}

/// Writes a change, and lets go of a kept work directory that nobody needs any more.
pub fn put(tx: &Tx<'_>, change: &rules::Change) -> Result<()> {
    rows::update_run(tx, &change.run)?;
    rows::insert_events(tx, &change.events)?;
    if let Some(step) = &change.step {
        record::put_step(tx, step)?;
    }
    if is_done_with_workdir(&change.run) {
        artifact::drop_workdir(tx, change.run.id)?;
    }
    Ok(())
}

/// The step at which a run waits, if it was recorded.
pub fn waits_at(connection: &Connection, run: &Run) -> Result<Option<Step>> {
    let Some(gate) = run.waiting_for() else { return Ok(None) };
    let mut select = connection.prepare_cached(WAITS_AT).told()?;
    let key = (run.id.to_string(), rows::number(run.epoch), gate.step_id.to_string());
    select.query_row(key, rows::step).optional().told()
}
