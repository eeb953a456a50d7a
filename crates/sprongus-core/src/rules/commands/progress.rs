//! running → running: the worker tells how far it is.

use serde_json::json;

use crate::error::{Error, Result};
use crate::redact::redact;
use crate::rules::{Act, LeaseCheck, Transition, WriteSet, check_lease, lease_lost};
use crate::run::event::EventType;
use crate::run::state::Verb;
use crate::run::{Hold, Run};
use crate::values::text::{printable, truncate};

/// The longest message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1_024;

/// Records percent done. The same percentage again without a message changes nothing.
///
/// # Errors
/// `validation` over 100; `lease_lost` when the caller does not hold the run.
pub fn progress(
    run: &Run,
    hold: &Hold,
    percent: u32,
    message: Option<&str>,
    act: Act<'_>,
) -> Result<WriteSet> {
    let percent = u8::try_from(percent).ok().filter(|&percent| percent <= 100);
    let Some(percent) = percent else { return Err(Error::validation("progress must be 0 to 100")) };
    match check_lease(run, hold, Verb::Progress, act.now)? {
        LeaseCheck::Holds => {}
        LeaseCheck::LetGo | LeaseCheck::Closes => return Err(lease_lost(run, hold, act.now)),
    }
    if run.progress == percent && message.is_none() {
        return Ok(WriteSet::default());
    }
    let message = message.map(|text| truncate(&redact(&printable(text)), MAX_MESSAGE_BYTES).into_owned());
    let mut change = Transition::of(run);
    change.run.progress = percent;
    change.push_event(EventType::Progressed, act, json!({"progress": percent, "message": message}));
    Ok(change.into())
}
