//! How many runs to claim ahead of the slots that are free.
//!
//! Runs that take microseconds would starve between one claim and the next; runs that take minutes must not wait here
//! while another worker is idle. So what is claimed ahead is what the slots will have begun within a moment, by how long
//! runs have taken of late: nothing ahead of long ones, up to [`MOST`] ahead of the shortest.

use std::time::Duration;

/// The most runs claimed ahead.
pub(crate) const MOST: usize = 1_000;

/// How soon what is claimed ahead should be begun.
const AHEAD: Duration = Duration::from_millis(50);

/// How much one execution weighs in the average of the last ones.
const WEIGHT: f64 = 1.0 / 16.0;

/// The mean time of the last executions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    mean: Option<f64>,
}

impl Pace {
    pub(crate) fn executed(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.mean = Some(self.mean.map_or(took, |mean| mean + (took - mean) * WEIGHT));
    }

    /// Takes back what was foreseen: what was claimed ahead has waited in vain.
    pub(crate) fn slow_down(&mut self) {
        self.mean = Some(self.mean.unwrap_or_default().max(1.0));
    }

    /// How many to claim ahead of `slots`.
    pub(crate) fn ahead(&self, slots: usize) -> usize {
        let Some(mean) = self.mean else { return 0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded before it is cast"
        )]
        let ahead = (slots as f64 * AHEAD.as_secs_f64() / mean.max(1e-6)).min(MOST as f64) as usize;
        ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_ahead_of_short_runs_only() {
        let mut pace = Pace::default();
        assert_eq!(pace.ahead(8), 0);
        pace.executed(Duration::from_micros(2));
        assert_eq!(pace.ahead(1), MOST);
        (0..200).for_each(|_| pace.executed(Duration::from_millis(10)));
        assert_eq!(pace.ahead(2), 10);
        (0..200).for_each(|_| pace.executed(Duration::from_secs(60)));
        assert_eq!(pace.ahead(1_000), 0);
    }
}
