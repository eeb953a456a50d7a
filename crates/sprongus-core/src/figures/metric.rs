//! Figures that a part of the program tells of itself, for who watches it: a store, or what keeps house. What they are called by a
//! Prometheus server, and how they are written, is left to the server.

use std::sync::atomic::{AtomicU64, Ordering};

/// A figure of one or more series.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name without that of the program, such as `store_connections`; of a sum without `_total`.
    pub name: &'static str,
    /// What it says, in a line without a full stop.
    pub help: &'static str,
    /// Its series; all have the same labels, and values of the same sort.
    pub series: Vec<Series>,
}

/// One series of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What tells it from the others.
    pub labels: Vec<(&'static str, &'static str)>,
    /// What it stands at, in the unit its name ends with.
    pub value: Value,
}

/// The value of a series.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A gauge: as it is now.
    Now(f64),
    /// All there ever was since the process began.
    Sum(u64),
    /// How large things were.
    Sizes(Sizes),
}

/// How large things were, sorted into groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The number of things in each group; the last has no bound.
    pub groups: [u64; SIZES.len() + 1],
    /// All sizes together.
    pub sum: u64,
}

/// The bounds of the groups, each with those up to it.
pub const SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// What both stores say of `store_batch`.
pub const SHARED_TRANSACTIONS: &str = "Callers whose writes shared a transaction";

impl Metric {
    /// A figure of a single series, as it is now.
    pub fn now(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::single(name, help, Value::Now(value))
    }

    /// A figure of a single series.
    pub fn single(name: &'static str, help: &'static str, value: Value) -> Self {
        Self { name, help, series: vec![Series { labels: Vec::new(), value }] }
    }
}

/// Counts how large things are; any thread may.
#[derive(Debug, Default)]
pub struct SizeCounter {
    groups: [AtomicU64; SIZES.len() + 1],
    sum: AtomicU64,
}

impl SizeCounter {
    /// Counts a thing.
    pub fn count(&self, size: usize) {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let group = SIZES.iter().position(|bound| size <= *bound).unwrap_or(SIZES.len());
        if let Some(group) = self.groups.get(group) {
            group.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(size, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn read(&self) -> Sizes {
        let groups = std::array::from_fn(|group| self.groups[group].load(Ordering::Relaxed));
        Sizes { groups, sum: self.sum.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_counted_in_the_first_group_that_takes_it() {
        let counter = SizeCounter::default();
        for size in [1, 2, 3, 256, 257, 9_999] {
            counter.count(size);
        }
        assert_eq!(counter.read(), Sizes { groups: [1, 1, 1, 0, 0, 0, 0, 0, 1, 2], sum: 10_518 });
    }
}
