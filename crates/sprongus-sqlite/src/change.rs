//! A rare verb: read the run, ask the rule, write. All under the write lock, so nothing can have changed in between.

use rusqlite::{Connection, OptionalExtension};
use sprongus_core::ids::RunId;
use sprongus_core::rules::{Act, Decision};
use sprongus_core::run::{Applied, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::Change;
use sprongus_core::{Error, Result};

use crate::enqueue::BY_ID;
use crate::fault::Told;
use crate::rows;
use crate::writer::Tx;

/// Carries out the verb.
pub fn run(tx: &Tx<'_>, caller: &Caller, id: RunId, change: &Change) -> Result<Applied> {
    let run = load(tx.connection, caller, id)??;
    let decision = change.decide(&run, Act { now: tx.now, actor: &caller.actor })?;
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
            rows::update_run(tx, &change.run)?;
            rows::insert_events(tx, &change.events)?;
            Ok(Applied { run: change.run, events: change.events })
        }
    }
}
