//! What keeping house tells of itself: how many rounds there were, what was done in them, and how long ago the last one went well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sprongus_core::figures::metric::{Metric, Series, Value};
use tokio::time::Instant;

/// What comes round.
pub(super) const CHORES: [&str; 4] = ["timers", "minutes", "retention", "sweep"];

/// Figures for who watches the process; the same ones however often it is cloned.
#[derive(Clone, Debug)]
pub struct Figures(Arc<[OfChore; CHORES.len()]>);

#[derive(Debug)]
struct OfChore {
    went_well: AtomicU64,
    failed: AtomicU64,
    done: AtomicU64,
    /// When the last round that went well ended; at first, when it all began.
    last: Mutex<Instant>,
}

impl Figures {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let of_chore = |_| OfChore {
            went_well: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            done: AtomicU64::new(0),
            last: Mutex::new(now),
        };
        Self(Arc::new(CHORES.map(of_chore)))
    }

    /// So many things were done in a chore.
    pub(super) fn did(&self, chore: &str, things: u64) {
        if let Some(of) = self.of(chore) {
            of.done.fetch_add(things, Ordering::Relaxed);
        }
    }

    /// A round is over.
    pub(super) fn round_over(&self, chore: &str, well: bool) {
        let Some(of) = self.of(chore) else { return };
        if well {
            of.went_well.fetch_add(1, Ordering::Relaxed);
            *of.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        } else {
            of.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn of(&self, chore: &str) -> Option<&OfChore> {
        CHORES.iter().position(|name| *name == chore).and_then(|place| self.0.get(place))
    }

    /// The figures as they stand.
    pub fn metrics(&self) -> Vec<Metric> {
        let series = |value: fn(&OfChore) -> Value, of_all: &[(&'static str, &'static str)]| {
            let of_each = CHORES.into_iter().zip(self.0.iter());
            let labeled = of_each.map(|(chore, of)| {
                let labels = [("chore", chore)].into_iter().chain(of_all.iter().copied()).collect();
                Series { labels, value: value(of) }
            });
            labeled.collect::<Vec<Series>>()
        };
        let mut rounds =
            series(|of| Value::Sum(of.went_well.load(Ordering::Relaxed)), &[("outcome", "well")]);
        rounds.extend(series(|of| Value::Sum(of.failed.load(Ordering::Relaxed)), &[("outcome", "failed")]));
        let done = series(|of| Value::Sum(of.done.load(Ordering::Relaxed)), &[]);
        let idle = |of: &OfChore| {
            let last = *of.last.lock().unwrap_or_else(PoisonError::into_inner);
            Value::Now(last.elapsed().as_secs_f64())
        };
        let idle = series(idle, &[]);
        let metric = |name, help, series| Metric { name, help, series };
        vec![
            metric("housekeeping_rounds", "Housekeeping rounds, by outcome", rounds),
            metric("housekeeping_done", "Timers, events, runs or files processed by housekeeping", done),
            metric("housekeeping_idle_seconds", "Time since the last successful housekeeping round", idle),
        ]
    }
}
