//! How much of what a run prints is kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What is kept of a run's output unless another limit is given.
pub const OUTPUT_LIMIT: u64 = 10 * 1024 * 1024;

/// Ten million empty lines are ten million records in the database but only ten megabytes of text.
const MOST_LINES: u64 = 100_000;

/// The part of a run's output that is kept, shared by all its steps.
#[derive(Debug)]
pub struct OutputBudget {
    limit: u64,
    used: Mutex<UsedOutput>,
}

/// How much of a budget was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UsedOutput {
    bytes: u64,
    lines: u64,
    exhausted: bool,
}

impl OutputBudget {
    /// A budget of `limit` bytes of text.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self { limit, used: Mutex::default() }
    }

    /// How much of it was used.
    pub fn used(&self) -> UsedOutput {
        *self.lock()
    }

    /// Goes on from what was used elsewhere.
    pub fn carry_on(&self, used: UsedOutput) {
        *self.lock() = used;
    }

    fn lock(&self) -> MutexGuard<'_, UsedOutput> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a line of so many bytes is kept. After the first that is not, none is: what is kept is a beginning.
    pub(crate) fn admit(&self, bytes: usize) -> bool {
        let mut used = self.lock();
        let bytes = used.bytes + bytes as u64 + 1;
        used.exhausted |= bytes > self.limit || used.lines >= MOST_LINES;
        if !used.exhausted {
            (used.bytes, used.lines) = (bytes, used.lines + 1);
        }
        !used.exhausted
    }
}

impl Default for OutputBudget {
    fn default() -> Self {
        Self::new(OUTPUT_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_beginning() {
        let budget = OutputBudget::new(10);
        assert!(budget.admit(4) && budget.admit(4));
        assert!(!budget.admit(5));
        assert!(!budget.admit(0), "a shorter line after the cut would stand in the wrong place");
    }

    #[test]
    fn goes_on_from_what_was_used() {
        let (before, behind) = (OutputBudget::new(10), OutputBudget::new(10));
        assert!(before.admit(7));
        behind.carry_on(before.used());
        assert!(!behind.admit(2));
    }

    #[test]
    fn counts_lines_too() {
        let budget = OutputBudget::default();
        assert!((0..MOST_LINES).all(|_| budget.admit(0)));
        assert!(!budget.admit(0));
    }
}
