//! What becomes of the ticks since the last look: those on time become runs, and those that were missed what the policy says.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::recurrence::{Cursor, Recurrence, Tally, Tick};
use crate::values::time::Timestamp;

/// What becomes of ticks that nobody made a run of in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedPolicy {
    /// They are skipped.
    Skip,
    /// The newest becomes a run, the others are skipped.
    #[default]
    Last,
    /// The newest [`Missed::max`] become runs, oldest first.
    All,
}

/// Which ticks count as missed, and what becomes of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missed {
    /// What becomes of them.
    pub policy: MissedPolicy,
    /// A tick is missed when it is looked at more than this much later.
    pub after: Duration,
    /// Under [`MissedPolicy::All`], how many become runs.
    pub max: u32,
    /// Under [`MissedPolicy::All`], the age above which none does.
    pub within: Option<Duration>,
}

impl Default for Missed {
    fn default() -> Self {
        Self { policy: MissedPolicy::default(), after: Duration::from_secs(60), max: 100, within: None }
    }
}

/// How many runs one look makes of missed ticks. The next look is a second later, so they start at most this many a second.
pub const CAUGHT_UP_AT_ONCE: usize = 10;

/// How many runs one look makes at most. More are due only where [`Missed::after`] is long.
pub const RUNS_AT_ONCE: usize = 1000;

/// What one look at a schedule has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Ticks that become runs, oldest first.
    pub runs: Vec<Tick>,
    /// Ticks that are skipped as missed; all are older than those of `runs`.
    pub skipped: Option<Tally>,
    /// How far the schedule has been read then. It never goes back.
    pub cursor: Cursor,
    /// When to look again: at the next tick, at once or in a second where this look did not deal with all. Never, when there is none.
    pub again: Option<Timestamp>,
}

/// What to do about the ticks after `cursor` up to `now`. The work is bounded by the number of runs it returns, a step for each month since
/// the cursor, and a bisection: a cursor a year behind a schedule of every second is as cheap as one a minute behind.
///
/// The caller writes runs, event and cursor in one transaction, and calls again when [`Due::again`] has come. A `now` that is not after
/// the cursor has nothing due.
pub fn due(recurrence: &Recurrence, cursor: Cursor, now: Timestamp, missed: &Missed) -> Due {
    let mut due = Due { runs: Vec::new(), skipped: None, cursor, again: None };
    // Missed is what is older than `after`, so that which is exactly as old is on time.
    let late = Timestamp::from_millis(now.minus(missed.after).as_millis() - 1);
    if let Some(tally) = recurrence.tally(cursor, late) {
        let keep = match missed.policy {
            MissedPolicy::Skip => None,
            MissedPolicy::Last => Some(tally.last),
            MissedPolicy::All => oldest_kept(recurrence, cursor, &tally, now, missed),
        };
        due.skipped = match keep {
            None => Some(tally),
            Some(kept) => recurrence.tally(cursor, Timestamp::from_millis(kept.at.as_millis() - 1)),
        };
        if let Some(skipped) = due.skipped {
            due.cursor = skipped.last.into();
        }
    }
    due.read_on(recurrence, late, now);
    due
}

impl Due {
    /// Makes runs of what is left after the cursor.
    fn read_on(&mut self, recurrence: &Recurrence, late: Timestamp, now: Timestamp) {
        let mut caught_up = 0;
        for tick in recurrence.ticks(self.cursor) {
            let is_late = tick.at <= late;
            if tick.at > now {
                self.again = Some(tick.at);
                return;
            }
            if is_late && caught_up == CAUGHT_UP_AT_ONCE {
                self.again = Some(now.plus(Duration::from_secs(1)));
                return;
            }
            if self.runs.len() == RUNS_AT_ONCE {
                self.again = Some(now);
                return;
            }
            caught_up += usize::from(is_late);
            self.runs.push(tick);
            self.cursor = tick.into();
        }
    }
}

/// Of missed ticks, the oldest of the newest [`Missed::max`] that are not too old; none when all are too old.
fn oldest_kept(
    recurrence: &Recurrence,
    cursor: Cursor,
    missed: &Tally,
    now: Timestamp,
    policy: &Missed,
) -> Option<Tick> {
    let mut first = missed.first;
    if let Some(within) = policy.within {
        let oldest = now.minus(within);
        if first.at < oldest {
            first =
                recurrence.next(Cursor { at: Timestamp::from_millis(oldest.as_millis() - 1), ..cursor })?;
        }
    }
    let last = missed.last.at;
    if policy.max == 0 || first.at > last {
        return None;
    }
    // The number of ticks from an instant to the last one falls as the instant rises: bisect for the first that leaves few enough.
    let fits = |after: i64| {
        let cursor = Cursor { at: Timestamp::from_millis(after), ..cursor };
        recurrence.tally(cursor, last).is_none_or(|tally| tally.count <= policy.max.into())
    };
    let (mut low, mut high) = (first.at.as_millis() - 1, last.as_millis());
    if fits(low) {
        return Some(first);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle }
    }
    recurrence.next(Cursor { at: Timestamp::from_millis(high), ..cursor })
}
