//! Intervals: elapsed time, which no clock change touches.

use std::time::Duration;

use super::{Recurrence, Tick};
use crate::error::Error;
use crate::values::time::Timestamp;

#[derive(Clone, Copy, Debug)]
pub struct Every {
    /// Milliseconds since 1970.
    first: i64,
    /// Milliseconds.
    interval: i64,
}

impl Every {
    pub fn new(first: Timestamp, interval: Duration) -> Result<Self, Error> {
        let refused =
            |message: String| Error::validation(message).with_hint("use 1s or more, in whole milliseconds");
        if interval < Recurrence::SHORTEST {
            return Err(refused(format!("an interval below one second: {interval:?}")));
        }
        if !interval.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(refused(format!("an interval with a fraction of a millisecond: {interval:?}")));
        }
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        Ok(Self { first: first.as_millis(), interval })
    }

    /// The tick of this number; none past the year 9999.
    fn tick(self, number: i64) -> Option<Tick> {
        let millis = self.interval.checked_mul(number)?.checked_add(self.first)?;
        let at = Timestamp::from_millis(millis);
        (at.as_millis() == millis).then_some(Tick { at, civil: None })
    }

    pub fn next(self, after: Timestamp) -> Option<Tick> {
        let behind = after.as_millis() - self.first;
        self.tick(if behind < 0 { 0 } else { behind / self.interval + 1 })
    }

    pub fn prev(self, before: Timestamp) -> Option<Tick> {
        let behind = before.as_millis() - 1 - self.first;
        (behind >= 0).then(|| self.tick(behind / self.interval)).flatten()
    }

    /// From one tick to another, both inclusive.
    pub fn count(self, first: Timestamp, last: Timestamp) -> u64 {
        let apart = (last.as_millis() - first.as_millis()) / self.interval;
        u64::try_from(apart).map_or(0, |apart| apart + 1)
    }
}
