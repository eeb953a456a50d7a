//! Heartbeat: the leases of the runs held, longer.

use std::time::Duration;

use sprongus_core::Result;
use sprongus_core::rules::Act;
use sprongus_core::rules::heartbeat::heartbeat;
use sprongus_core::run::{Beat, Hold};
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkerId;

use crate::connection::writer::Tx;
use crate::rows;
use crate::runs::load::load;

/// A lease that grows leaves the timer index alone: the timer fires early and is put off.
const EXTEND: &str = "UPDATE runs SET lease_ms = ?2, lease_expires_at = ?3 WHERE id = ?1";
const SHORTEN: &str = "UPDATE runs SET lease_ms = ?2, lease_expires_at = ?3, timer_at = ?3 WHERE id = ?1";
const DRAINING: &str = "SELECT 1 FROM workers WHERE workspace_id = ?1 AND id = ?2 AND draining = 1";

/// Lengthens each lease.
pub fn run(
    tx: &Tx<'_>,
    caller: &Caller,
    holds: &[Hold],
    lease: Option<Duration>,
) -> Result<Vec<Result<Beat>>> {
    let mut drain: Option<(&WorkerId, bool)> = None;
    let mut answers = Vec::with_capacity(holds.len());
    for hold in holds {
        let drains = match drain {
            Some((worker, drains)) if *worker == hold.worker_id => drains,
            Some(_) | None => {
                rows::exists(tx.connection, DRAINING, (caller.workspace.as_str(), hold.worker_id.as_str()))?
            }
        };
        drain = Some((&hold.worker_id, drains));
        answers.push(extend(tx, caller, hold, lease)?.map(|beat| Beat { drain: drains, ..beat }));
    }
    Ok(answers)
}

fn extend(tx: &Tx<'_>, caller: &Caller, hold: &Hold, lease: Option<Duration>) -> Result<Result<Beat>> {
    let run = match load(tx.connection, caller, hold.id)? {
        Ok(run) => run,
        Err(missing) => return Ok(Err(missing)),
    };
    let extension = match heartbeat(&run, hold, lease, Act { now: tx.now, actor: &caller.actor }) {
        Ok(extension) => extension,
        Err(refused) => return Ok(Err(refused)),
    };
    let shorter = run.lease_expires_at.is_some_and(|end| extension.lease_expires_at < end);
    let end = extension.lease_expires_at.to_string();
    let sql = if shorter { SHORTEN } else { EXTEND };
    rows::execute(tx.connection, sql, (hold.id.to_string(), rows::millis(extension.lease), end))?;
    Ok(Ok(extension.beat))
}
