//! Whether the clock may be believed by what cannot be undone.

use std::time::Duration;

use crate::error::{Error, ErrorCode, Result};
use crate::run::list::ListFilter;
use crate::store::Store;
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How far back from today the last run before it may be.
const LONGEST_GAP: Duration = Duration::from_secs(2 * 24 * 3_600);

/// What speaks against the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockGap {
    /// The present, by the clock in doubt.
    pub now: Timestamp,
    /// How much older than today the last run from before today is, in days begun.
    pub days: u64,
}

impl ClockGap {
    /// Why `runs` are not taken.
    pub fn refusal(self, runs: u64) -> Error {
        let Self { now, days } = self;
        let message = format!(
            "the clock may be wrong: it says {now}, {days} days after the last run before today; runs that would be deleted: {runs}"
        );
        Error::new(ErrorCode::Conflict, message).with_hint(
            "check the clock; if it is right, add --yes to `sprongus runs prune`, or \"confirmClock\": true over HTTP",
        )
    }
}

/// Whether the store's clock may be wrong. A machine that starts with a wrong date, or a clock that was set wrong by hand, makes every
/// run look old enough to be deleted. What speaks for a clock: the last run from before today by it is at most two days older than
/// today, or there is none. What was made today proves nothing, since the wrong clock may have made it.
///
/// # Errors
/// Those of the store.
pub async fn clock_gap(store: &dyn Store, caller: &Caller) -> Result<Option<ClockGap>> {
    let now = store.now().await?;
    let today = now.minus(DAY);
    let before = ListFilter { before: Some(today), limit: 1, ..ListFilter::default() };
    let last = store.list(caller, &before).await?.data.pop();
    let gap = last.map(|run| today.since(run.created_at)).filter(|gap| *gap > LONGEST_GAP);
    Ok(gap.map(|gap| ClockGap { now, days: gap.as_secs() / DAY.as_secs() + 1 }))
}
