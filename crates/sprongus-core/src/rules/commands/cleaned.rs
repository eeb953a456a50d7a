//! An ended run's last report: its CLEANUP is done, and since when its process is gone.

use serde_json::json;

use crate::error::Result;
use crate::rules::finish::digest;
use crate::rules::{Act, LeaseCheck, Transition, WriteSet, check_lease, lease_lost, replay};
use crate::run::event::EventType;
use crate::run::state::Verb;
use crate::run::{Cleanup, Hold, Run};
use crate::values::time::Timestamp;

/// Closes the run under its closing lease. `gone_at` is when the process was gone, by the worker's clock.
///
/// # Errors
/// `lease_lost` when the caller does not hold the closing lease.
pub fn cleaned(run: &Run, hold: &Hold, gone_at: Timestamp, act: Act<'_>) -> Result<WriteSet> {
    let report = digest("cleaned", hold, "");
    match check_lease(run, hold, Verb::Cleaned, act.now)? {
        LeaseCheck::Closes => {}
        LeaseCheck::LetGo => return replay(run, hold, &report, act.now),
        LeaseCheck::Holds => return Err(lease_lost(run, hold, act.now)),
    }
    let mut change = Transition::of(run);
    let next = &mut change.run;
    next.cleanup = Cleanup::None;
    next.lease_expires_at = None;
    next.closing_until = None;
    next.last_report = Some(report);
    let payload = json!({"epoch": hold.epoch, "goneAt": gone_at, "workerId": hold.worker_id});
    change.push_event(EventType::Cleaned, act, payload);
    Ok(change.into())
}
