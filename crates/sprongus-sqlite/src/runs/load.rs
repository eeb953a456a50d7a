//! Runs as they stand, for the rule that is to be asked. Under the write lock nothing can change in between.

use std::collections::BTreeMap;

use rusqlite::Connection;
use sprongus_core::run::Run;
use sprongus_core::run::step::Step;
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, Result};

use crate::rows::{self, step_columns};
use crate::runs::enqueue::BY_ID;

const WAITS_AT: &str =
    concat!("SELECT ", step_columns!(), " FROM run_steps WHERE run_id = ?1 AND epoch = ?2 AND id = ?3");

/// The run, or that there is none that the caller may know of. The outer error is the database's.
pub fn load(connection: &Connection, caller: &Caller, id: RunId) -> Result<Result<Run>> {
    let found = rows::first(connection, BY_ID, (id.to_string(), caller.workspace.as_str()), rows::run)?;
    let found = found.filter(|run| caller.may_touch(run.project_id.as_ref()));
    Ok(found.ok_or_else(|| Error::not_found(format_args!("run: {id}"))))
}

/// Those of the runs that there are and that the caller may know of.
pub fn all(connection: &Connection, caller: &Caller, ids: &[RunId]) -> Result<BTreeMap<RunId, Run>> {
    let mut found = BTreeMap::new();
    for &id in ids {
        if let Ok(run) = load(connection, caller, id)? {
            found.insert(id, run);
        }
    }
    Ok(found)
}

/// The step at which a run waits, if it was recorded.
pub fn waits_at(connection: &Connection, run: &Run) -> Result<Option<Step>> {
    let Some(gate) = run.waiting_for() else { return Ok(None) };
    let key = (run.id.to_string(), rows::number(run.epoch), gate.step_id.to_string());
    rows::first(connection, WAITS_AT, key, rows::step)
}
