//! How long a failed run waits before its next attempt: exponential, capped, with full jitter.
//!
//! Full jitter (a uniform draw between zero and the capped exponential) is the variant that does the least total work under
//! contention in Marc Brooker's comparison, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

use std::time::Duration;

/// The shape of the wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub base: Duration,
    /// By how much it grows with each one; at least 1.
    pub factor: f64,
    /// The longest wait at all.
    pub max: Duration,
    /// Whether the wait is drawn between zero and the longest.
    pub jitter: bool,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(2), factor: 2.0, max: Duration::from_secs(300), jitter: true }
    }
}

impl Backoff {
    /// The wait after the failure of `attempt` (1, 2, …). `draw` is a random number in 0..1, the caller's own, so that the
    /// rule stays pure. In whole milliseconds.
    pub fn wait(&self, attempt: u32, draw: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let longest = self.base.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let longest = longest.min(self.max.as_secs_f64());
        let wait = if self.jitter { longest * draw.clamp(0.0, 1.0) } else { longest };
        Duration::from_millis((wait * 1_000.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_is_never_over_its_cap(attempt: u32, draw in 0.0..1.0_f64) {
            let backoff = Backoff::default();
            let wait = backoff.wait(attempt, draw);
            prop_assert!(wait <= backoff.max);
            prop_assert!(wait <= backoff.wait(attempt, 1.0));
        }
    }

    #[test]
    fn without_jitter_it_doubles() {
        let backoff = Backoff { jitter: false, ..Backoff::default() };
        let waits: Vec<u64> = (1..=9).map(|attempt| backoff.wait(attempt, 0.3).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
    }

    #[test]
    fn jitter_spreads_over_the_whole_range() {
        let backoff = Backoff::default();
        assert_eq!(backoff.wait(3, 0.0), Duration::ZERO);
        assert_eq!(backoff.wait(3, 0.5), Duration::from_secs(4));
    }
}
