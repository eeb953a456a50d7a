//! running → running, the lease longer; an ended run's closing lease likewise, up to its end.

use std::time::Duration;

use super::{Act, LeaseCheck, check_lease, lease_lost};
use crate::error::{Error, Result};
use crate::run::state::{State, Verb};
use crate::run::{Beat, Hold, Run};
use crate::values::time::Timestamp;

/// What a heartbeat makes of a lease. No event: a heartbeat is no change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// How long a heartbeat holds from now on.
    pub lease: Duration,
    /// Until when the run is held.
    pub lease_expires_at: Timestamp,
    /// What the worker is told; `drain` is for the store to fill in.
    pub beat: Beat,
}

/// Lengthens the caller's lease; with `lease`, to that length from now on.
///
/// # Errors
/// `lease_lost` when the caller does not hold the run.
pub fn heartbeat(run: &Run, hold: &Hold, lease: Option<Duration>, act: Act<'_>) -> Result<Extension> {
    let lease = lease.unwrap_or(run.lease);
    let end = match check_lease(run, hold, Verb::Heartbeat, act.now)? {
        LeaseCheck::Holds => act.now.plus(lease),
        LeaseCheck::Closes => {
            let end = act.now.plus(lease);
            run.closing_until.map_or(end, |limit| end.min(limit))
        }
        LeaseCheck::LetGo => return Err(lease_lost(run, hold, act.now)),
    };
    let cancel = match run.state {
        State::Failed | State::Canceled => true,
        State::Queued | State::Running | State::Succeeded => false,
    };
    let lease_ms = u64::try_from(end.since(act.now).as_millis()).unwrap_or(u64::MAX);
    Ok(Extension { lease, lease_expires_at: end, beat: Beat { lease_ms, cancel, drain: false } })
}

/// Whether two heartbeats of one batch name the same run: the second would be answered by what the first made.
///
/// # Errors
/// `validation` naming the run.
pub fn check_distinct(ids: impl IntoIterator<Item = crate::values::ids::RunId>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(Error::validation(format!("listed twice in one call: {id}")));
        }
    }
    Ok(())
}
