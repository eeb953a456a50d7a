//! How often a question is asked again, and when.

use std::time::Duration;

const BASE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// A server that asks for more patience than this is asked again all the same.
const LONGEST_ASKED: Duration = Duration::from_secs(5 * 60);

/// What is left of a question's retries.
pub(super) struct Retries {
    most: u32,
    used: u32,
}

impl Retries {
    pub(super) fn new(most: u32) -> Self {
        Self { most, used: 0 }
    }

    pub(super) fn are_left(&self) -> bool {
        self.used < self.most
    }

    /// Uses one; no pause before it.
    pub(super) fn at_once(&mut self) -> Duration {
        self.used += 1;
        Duration::ZERO
    }

    /// Uses one, if there is one, and answers the pause before it: what the server asked for, else a backoff that doubles, half
    /// of it drawn at random so that many who failed at once do not come back at once.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if !self.are_left() {
            return None;
        }
        let full = BASE.saturating_mul(1 << self.used.min(6)).min(LONGEST);
        self.used += 1;
        Some(
            asked.map_or_else(|| full.mul_f64(0.5 + fastrand::f64() / 2.0), |asked| asked.min(LONGEST_ASKED)),
        )
    }

    /// Which of how many it is.
    pub(super) fn count(&self) -> String {
        format!("{} of {}", self.used, self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_a_server_may_ask_for_five() {
        let mut retries = Retries::new(9);
        for full in [1, 2, 4, 8, 16, 32, 60] {
            let pause = retries.next(None).unwrap().as_secs_f64();
            assert!((f64::from(full) / 2.0..=f64::from(full)).contains(&pause), "{pause} of {full}");
        }
        assert_eq!(retries.next(Some(Duration::from_secs(86_400))), Some(LONGEST_ASKED));
        assert_eq!(retries.next(Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(retries.next(None), None);
        assert_eq!(retries.count(), "9 of 9");
    }
}
