//! Charts of what happened: bars in SVG, and the same as a table.

use std::fmt;

use sprongus_core::figures::rollup::Counts;
use sprongus_core::values::time::Timestamp;

use super::format::{number, span_ms, tokens};

/// The height of a chart in its own units; each slot is ten of them wide.
const HEIGHT: u64 = 100;

/// A bar chart over time; each slot is 10 units wide, the whole 100 high.
pub struct Chart {
    pub title: &'static str,
    /// How long a slot is: `minute` or `hour`.
    pub slot: &'static str,
    /// Ten units a slot.
    pub width: usize,
    /// The slots, oldest first.
    pub bars: Vec<Bar>,
    /// What the tallest bar stands for.
    pub most: String,
    /// When it begins and in the middle, as text of the hour.
    pub ticks: [Tick; 2],
    pub sums: Sums,
}

/// A point on the axis of time.
pub struct Tick {
    /// RFC 3339, to the millisecond.
    pub exact: String,
    /// The hour and the minute, UTC: `10:15`.
    pub clock: String,
}

pub struct Bar {
    pub x: usize,
    /// The top and the height of what went well, and of what did not.
    pub good: (u64, u64),
    /// The same of what failed.
    pub bad: (u64, u64),
    /// When the slot began.
    pub at: Tick,
    pub sums: Sums,
}

/// Figures of a slot or of a chart as text, with thousands apart.
pub struct Sums {
    pub enqueued: String,
    pub succeeded: String,
    pub failed: String,
    pub canceled: String,
    /// Attempts that failed and will be retried, and leases that were lost.
    pub retried: String,
    /// How long an execution that succeeded took on the average.
    pub mean: Option<String>,
    /// How many of a hundred runs that ended had failed.
    pub share: Option<String>,
    /// Tokens given to models and got back, if there were any.
    pub tokens: Option<(String, String)>,
    /// Whether nothing happened at all.
    pub is_empty: bool,
}

impl Sums {
    fn new(counts: Counts) -> Self {
        let ended = counts.succeeded + counts.failed;
        let permille = (counts.failed * 1_000).checked_div(ended);
        Self {
            enqueued: number(counts.enqueued),
            succeeded: number(counts.succeeded),
            failed: number(counts.failed),
            canceled: number(counts.canceled),
            retried: number(counts.retried + counts.lost),
            mean: counts.succeeded_ms.checked_div(counts.succeeded).map(span_ms),
            share: permille.map(|share| format!("{}.{} %", share / 10, share % 10)),
            tokens: tokens(counts.tokens_in, counts.tokens_out),
            is_empty: counts.is_empty(),
        }
    }
}

impl Tick {
    fn new(time: Timestamp) -> Self {
        let exact = time.to_string();
        let clock = exact.get(11..16).unwrap_or_default().to_owned();
        Self { exact, clock }
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} succeeded, {} failed", self.succeeded, self.failed)
    }
}

impl Chart {
    /// The chart of some slots.
    pub fn new(title: &'static str, slot: &'static str, slots: &[(Timestamp, Counts)]) -> Self {
        let most = slots.iter().map(|(_, counts)| counts.succeeded + counts.failed).max().unwrap_or(0);
        // What happened is seen, however little it is beside the rest.
        let height = |count: u64| match count {
            0 => 0,
            some => (some * HEIGHT / most.max(1)).max(2),
        };
        let bars = slots.iter().enumerate().map(|(index, (at, counts))| {
            let bad = height(counts.failed);
            let good = height(counts.succeeded).min(HEIGHT - bad.min(HEIGHT));
            Bar {
                x: index * 10 + 1,
                good: (HEIGHT - bad - good, good),
                bad: (HEIGHT - bad, bad),
                at: Tick::new(*at),
                sums: Sums::new(*counts),
            }
        });
        let total = slots.iter().map(|(_, counts)| *counts).fold(Counts::default(), Counts::plus);
        let tick = |index: usize| slots.get(index).map_or(Timestamp::from_millis(0), |(at, _)| *at);
        Self {
            title,
            slot,
            width: slots.len() * 10,
            bars: bars.collect(),
            most: number(most),
            ticks: [Tick::new(tick(0)), Tick::new(tick(slots.len() / 2))],
            sums: Sums::new(total),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(counts: &[(u64, u64)]) -> Chart {
        let slots: Vec<_> = counts
            .iter()
            .zip(0..)
            .map(|(&(succeeded, failed), minute)| {
                let counts = Counts { succeeded, failed, succeeded_ms: succeeded * 20, ..Counts::default() };
                (Timestamp::from_millis(minute * 60_000), counts)
            })
            .collect();
        Chart::new("t", "minute", &slots)
    }

    #[test]
    fn the_tallest_bar_is_as_high_as_the_chart() {
        let chart = chart(&[(50, 50), (10, 0), (0, 0)]);
        assert_eq!((chart.bars[0].good, chart.bars[0].bad), ((0, 50), (50, 50)));
        assert_eq!((chart.bars[1].good, chart.bars[1].bad.1), ((90, 10), 0));
        assert_eq!(chart.bars[2].good.1, 0);
        assert_eq!((chart.most.as_str(), chart.width), ("100", 30));
    }

    #[test]
    fn one_failure_among_thousands_is_seen_and_nothing_sticks_out() {
        let chart = chart(&[(100_000, 1), (1, 0)]);
        assert_eq!(chart.bars[0].bad, (98, 2));
        assert_eq!(chart.bars[0].good, (0, 98));
        assert_eq!(chart.bars[1].good.1, 2);
    }

    #[test]
    fn sums_say_what_it_came_to() {
        let sums = chart(&[(3, 1)]).sums;
        assert_eq!((sums.mean.as_deref(), sums.share.as_deref()), (Some("20 ms"), Some("25.0 %")));
        let none = chart(&[(0, 0)]).sums;
        assert!(none.is_empty && none.mean.is_none() && none.share.is_none());
    }
}
