//! A clock that stands still until a test turns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sprongus_core::values::time::{Clock, Timestamp};

/// 2026-01-01T00:00:00.000Z, where every test begins.
const START: i64 = 1_767_225_600_000;

/// The present as a test sets it. Clones are one clock, so that two stores can live through the same time.
#[derive(Clone, Debug)]
pub struct TurnedClock(Arc<AtomicI64>);

impl TurnedClock {
    /// A clock at the beginning of 2026.
    pub fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START)))
    }

    /// Turns it on by `later`, in whole milliseconds.
    pub fn turn(&self, later: Duration) {
        let millis = i64::try_from(later.as_millis()).unwrap_or(i64::MAX / 2);
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Turns it back by `earlier`, in whole milliseconds.
    pub fn turn_back(&self, earlier: Duration) {
        let millis = i64::try_from(earlier.as_millis()).unwrap_or(i64::MAX / 2);
        self.0.fetch_sub(millis, Ordering::SeqCst);
    }
}

impl Default for TurnedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}
