//! Whether the clock may be believed by what cannot be undone. A machine that starts with a wrong date, or a clock that is set wrong by
//! hand, makes every run look old enough to be deleted.
//!
//! What speaks for a clock is in [`clock_gap`]; otherwise it is believed when this process has seen a whole day go by, with its own clock
//! that nobody sets. Other work that looks at the clock needs no such care: a run that expired or timed out can be retried, a lease that
//! ran out too early is fenced, an upload whose bytes were swept is refused.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sprongus_core::service::clock::{ClockGap, clock_gap};
use sprongus_core::store::Store;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Caller, Result};
use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How far the two clocks may drift apart in between, such as while the machine sleeps, before the watch begins anew.
const DRIFT: Duration = Duration::from_secs(3_600);

/// What speaks for the clock.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Both clocks when the watch began, and whether there is other proof that this one was right.
    began: Mutex<Option<Watch>>,
}

#[derive(Clone, Copy, Debug)]
struct Watch {
    instant: Instant,
    time: Timestamp,
    is_proved: bool,
}

impl Witness {
    /// Whether `now` is believed. Otherwise, and only when the watch has just begun, what speaks against it is logged.
    pub(super) async fn believes(&self, store: &dyn Store, caller: &Caller) -> Result<bool> {
        let now = store.now().await?;
        let is_new = match self.watched(Instant::now(), now) {
            Watched::Enough => return Ok(true),
            Watched::NotYet => false,
            Watched::Anew => true,
        };
        match clock_gap(store, caller).await? {
            None => {
                self.prove();
                Ok(true)
            }
            Some(ClockGap { now, days }) => {
                if is_new {
                    tracing::warn!(
                        workspace = %caller.workspace, %now,
                        "retention is paused for a day: the clock is {days} days ahead of the last run before today; check the clock"
                    );
                }
                Ok(false)
            }
        }
    }

    fn watched(&self, instant: Instant, time: Timestamp) -> Watched {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = *began {
            let passed = instant.duration_since(watch.instant);
            let expected = watch.time.plus(passed);
            if expected.since(time).max(time.since(expected)) <= DRIFT {
                return if watch.is_proved || passed >= DAY { Watched::Enough } else { Watched::NotYet };
            }
        }
        *began = Some(Watch { instant, time, is_proved: false });
        Watched::Anew
    }

    fn prove(&self) {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = began.as_mut() {
            watch.is_proved = true;
        }
    }
}

enum Watched {
    /// The clock has been right for long enough.
    Enough,
    /// It has been as it is for less than a day.
    NotYet,
    /// It was set meanwhile, or nobody has looked yet.
    Anew,
}
