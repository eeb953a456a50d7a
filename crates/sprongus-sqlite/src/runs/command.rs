//! A verb for one run, or a rule over several: read, ask, write.

use sprongus_core::Result;
use sprongus_core::rules::{Act, WriteSet};
use sprongus_core::run::Applied;
use sprongus_core::run::command::RunCommand;
use sprongus_core::runs::Caller;
use sprongus_core::store::Rule;
use sprongus_core::values::ids::RunId;

use crate::connection::writer::Tx;
use crate::runs::load::{self, load};
use crate::runs::write_set::write;

/// Carries out the command.
pub fn run(tx: &Tx<'_>, caller: &Caller, id: RunId, command: &RunCommand) -> Result<Applied> {
    let run = load(tx.connection, caller, id)??;
    let waits_at = load::waits_at(tx.connection, &run)?;
    let set = command.decide(&run, waits_at.as_ref(), Act { now: tx.now, actor: &caller.actor })?;
    write(tx, caller, &set)?;
    Ok(set.into_applied(run))
}

/// Asks the rule, and writes what it answers.
pub fn decide(tx: &Tx<'_>, caller: &Caller, ids: &[RunId], rule: &Rule) -> Result<WriteSet> {
    let runs = load::all(tx.connection, caller, ids)?;
    let set = rule(&runs, Act { now: tx.now, actor: &caller.actor })?;
    write(tx, caller, &set)?;
    Ok(set)
}
