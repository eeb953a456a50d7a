//! What rules decided, on its way into the tables: all of a set in the transaction at hand.

use sprongus_core::Result;
use sprongus_core::rules::artifact::is_done_with_workdir;
use sprongus_core::rules::enqueue::taken;
use sprongus_core::rules::{Transition, WriteSet};
use sprongus_core::run::artifact::FileName;
use sprongus_core::runs::Caller;

use crate::connection::writer::Tx;
use crate::events::operator::note;
use crate::rows;

const DROP_WORKDIR: &str = "DELETE FROM run_artifacts WHERE run_id = ?1 AND name = ?2";

/// Writes the set.
///
/// # Errors
/// `conflict` when the id of a new run is in use; the caller's error undoes the rest.
pub fn write(tx: &Tx<'_>, caller: &Caller, set: &WriteSet) -> Result<()> {
    if write_unless_taken(tx, caller, set)? { Ok(()) } else { Err(taken()) }
}

/// The same; false, and nothing is written, when the id of the first new run is in use.
pub fn write_unless_taken(tx: &Tx<'_>, caller: &Caller, set: &WriteSet) -> Result<bool> {
    let WriteSet { new_runs, transitions, settings, acts } = set;
    for (place, new) in new_runs.iter().enumerate() {
        if !rows::insert_run(tx, &new.run)? {
            return if place == 0 { Ok(false) } else { Err(taken()) };
        }
        write_beside(tx, new)?;
    }
    for transition in transitions {
        rows::update_run(tx, &transition.run)?;
        write_beside(tx, transition)?;
        // A kept work directory that nobody needs any more.
        if is_done_with_workdir(&transition.run) {
            let key = (transition.run.id.to_string(), FileName::WORKDIR);
            rows::execute(tx.connection, DROP_WORKDIR, key)?;
        }
    }
    settings.iter().try_for_each(|change| rows::put_setting(tx, caller, change))?;
    acts.iter().try_for_each(|act| note(tx, caller, Some(act.clone())))?;
    Ok(true)
}

/// What a transition writes beside the run's row.
pub fn write_beside(tx: &Tx<'_>, transition: &Transition) -> Result<()> {
    rows::insert_events(tx, &transition.events)?;
    transition.steps.iter().try_for_each(|step| rows::put_step(tx, step))
}
