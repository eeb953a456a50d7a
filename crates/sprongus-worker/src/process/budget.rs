//! How much of what a run prints is kept.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// What is kept of a run's output unless another limit is given.
pub const OUTPUT_LIMIT: u64 = 10 * 1024 * 1024;

/// Ten million empty lines are ten million records in the database but only ten megabytes of text.
const MOST_LINES: u64 = 1_000_000;

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

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Keep,
    /// The first line that is not kept; the mark stands in its place.
    Mark(String),
    Drop,
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

    pub(super) fn admit(&self, text: &str) -> Admission {
        let mut used = self.lock();
        if used.exhausted {
            return Admission::Drop;
        }
        let bytes = used.bytes + text.len() as u64 + 1;
        if bytes > self.limit {
            used.exhausted = true;
            return Admission::Mark(format!("[output cut: more than {}]", size(self.limit)));
        }
        if used.lines >= MOST_LINES {
            used.exhausted = true;
            return Admission::Mark(format!("[output cut: more than {MOST_LINES} lines]"));
        }
        (used.bytes, used.lines) = (bytes, used.lines + 1);
        Admission::Keep
    }
}

impl Default for OutputBudget {
    fn default() -> Self {
        Self::new(OUTPUT_LIMIT)
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        mib if mib >= 1 << 20 && mib % (1 << 20) == 0 => format!("{} MiB", mib >> 20),
        kib if kib >= 1 << 10 && kib % (1 << 10) == 0 => format!("{} KiB", kib >> 10),
        bytes => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_cut_once() {
        let budget = OutputBudget::new(10);
        assert_eq!(budget.admit("1234"), Admission::Keep);
        assert_eq!(budget.admit("1234"), Admission::Keep);
        assert_eq!(budget.admit(""), Admission::Mark("[output cut: more than 10 bytes]".to_owned()));
        assert_eq!(budget.admit(""), Admission::Drop);
    }

    #[test]
    fn goes_on_from_what_was_used() {
        let (before, behind) = (OutputBudget::new(10), OutputBudget::new(10));
        assert_eq!(before.admit("1234567"), Admission::Keep);
        behind.carry_on(before.used());
        assert_eq!(behind.admit("12"), Admission::Mark("[output cut: more than 10 bytes]".to_owned()));
    }

    #[test]
    fn counts_lines_too() {
        let budget = OutputBudget::default();
        assert!((0..MOST_LINES).all(|_| budget.admit("") == Admission::Keep));
        assert_eq!(budget.admit(""), Admission::Mark("[output cut: more than 1000000 lines]".to_owned()));
        assert_eq!(size(OUTPUT_LIMIT), "10 MiB");
    }
}
