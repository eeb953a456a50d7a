//! How much may wait to be written at once. A database that is slow or away lets requests pile up in the process that asks it; beyond a
//! bound they are refused, so that the process runs out of nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorCode, Result};
use crate::rules::enqueue::Prepared;
use crate::run::Outcome;
use crate::store::DrawnReport;

/// The most that waits in one process, in bytes.
pub const MOST_WAITING: usize = 256 << 20;

/// What an item takes besides its own texts, in bytes.
const FRAME: usize = 1 << 10;

/// Roughly the memory that an item takes while it waits.
pub trait Weigh {
    /// How much it weighs, in bytes, for the limit of what may wait.
    fn weight(&self) -> usize;
}

impl Weigh for Prepared {
    fn weight(&self) -> usize {
        FRAME + self.input.as_str().len()
    }
}

/// And who asks for it.
impl<T: Weigh> Weigh for (String, T) {
    fn weight(&self) -> usize {
        self.1.weight()
    }
}

impl Weigh for DrawnReport {
    fn weight(&self) -> usize {
        let text = match &self.report.outcome {
            Outcome::Succeed { result, .. } => result.as_ref().map_or(0, |result| result.as_str().len()),
            Outcome::Fail { error, .. } => error.len(),
            Outcome::Release => 0,
        };
        FRAME + text
    }
}

/// What waits to be written.
#[derive(Debug)]
pub struct Backlog {
    most: usize,
    waiting: Arc<AtomicUsize>,
}

/// The room of something that waits; free again when dropped.
#[derive(Debug)]
pub struct Room {
    bytes: usize,
    waiting: Arc<AtomicUsize>,
}

impl Backlog {
    /// One of at most `most` bytes.
    pub fn of(most: usize) -> Self {
        Self { most, waiting: Arc::default() }
    }

    /// Makes room for `items`. However large they are, they may wait alone.
    ///
    /// # Errors
    /// `unavailable` when too much waits already.
    pub fn enter<T: Weigh>(&self, items: &[T]) -> Result<Room> {
        let bytes = items.iter().map(Weigh::weight).sum();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let room = Room { bytes, waiting: Arc::clone(&self.waiting) };
        if before > 0 && before.saturating_add(bytes) > self.most {
            return Err(Error::new(ErrorCode::Unavailable, "too much waits to be written to the database")
                .with_hint("try again in a moment; `sprongus doctor` tells whether the database is slow"));
        }
        Ok(room)
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self::of(MOST_WAITING)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weigh for usize {
        fn weight(&self) -> usize {
            *self
        }
    }

    #[test]
    fn what_is_too_much_is_refused_until_there_is_room_again() {
        let backlog = Backlog::of(100);
        let first = backlog.enter(&[30, 30]).unwrap();
        let _second = backlog.enter(&[40]).unwrap();
        let refused = backlog.enter(&[1]).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Unavailable);
        assert!(refused.retryable());
        drop(first);
        let _third = backlog.enter(&[60]).unwrap();
        assert!(backlog.enter(&[1]).is_err(), "what was refused took no room and gave none back");
    }

    #[test]
    fn what_is_larger_than_the_bound_waits_alone() {
        let backlog = Backlog::of(100);
        let large = backlog.enter(&[1_000]).unwrap();
        assert!(backlog.enter(&[1]).is_err());
        drop(large);
        assert!(backlog.enter(&[1]).is_ok());
    }
}
