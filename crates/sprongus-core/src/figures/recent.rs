//! What the figures of the last hour are made of: how many runs ended and how long things took, minute by minute and project by project,
//! so that however busy the hour was, a look at it reads a few thousand sums and no runs.
//!
//! Stores keep it like the minutes of charts ([`crate::figures::rollup`]), a page of the stream at a time, and add what has not been added up yet
//! when they are asked: so the answer is the same whether and by whom it is added up. Other figures are left to the stores.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::run::event::{Event, EventType};
use crate::run::state::State;
use crate::values::time::Timestamp;
use crate::workspace::directory::Stats;

/// How long the sums are kept: past the hour, so that a clock that is a little behind still finds its own.
pub const KEPT: Duration = Duration::from_secs(2 * 3_600);

/// The minutes before the present one that belong to the hour.
const BEFORE: Duration = Duration::from_secs(59 * 60);

/// How finely times are told apart, as a power of two: sixteen groups between a time and twice that, and each of less than that its own.
const FINE: u32 = 4;

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Figure {
    /// Runs that succeeded.
    Succeeded,
    /// Runs given up, and not retried since.
    Failed,
    /// Runs called off, and not retried since.
    Canceled,
    /// Time from due to started, for each attempt.
    Wait,
    /// The last execution of each run that succeeded, and of each that failed in one.
    Execution,
    /// Tokens that steps gave to models.
    TokensIn,
    /// Tokens that models gave back.
    TokensOut,
}

impl Figure {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::Wait,
        Self::Execution,
        Self::TokensIn,
        Self::TokensOut,
    ];

    /// Its name in a database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Wait => "wait",
            Self::Execution => "execution",
            Self::TokensIn => "tokens_in",
            Self::TokensOut => "tokens_out",
        }
    }

    fn of(state: State) -> Option<Self> {
        match state {
            State::Queued | State::Running => None,
            State::Succeeded => Some(Self::Succeeded),
            State::Failed => Some(Self::Failed),
            State::Canceled => Some(Self::Canceled),
        }
    }

    const fn state(self) -> Option<State> {
        match self {
            Self::Succeeded => Some(State::Succeeded),
            Self::Failed => Some(State::Failed),
            Self::Canceled => Some(State::Canceled),
            Self::Wait | Self::Execution | Self::TokensIn | Self::TokensOut => None,
        }
    }
}

impl std::str::FromStr for Figure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|figure| figure.as_str() == text);
        found.ok_or_else(|| Error::internal("a figure that nobody writes"))
    }
}

/// One sum. A run that is retried is taken back from those that ended, which may reach a store before its end does: so a count may be
/// below zero for a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many values were added.
    pub count: i64,
    /// How long they took together, in milliseconds.
    pub total_ms: i64,
}

impl Sum {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, total_ms: self.total_ms + other.total_ms }
    }
}

/// What a sum is of: a minute, a project (empty for none), a figure, and for times the group.
pub type Key = (Timestamp, String, Figure, u16);

/// Sums, each of at least one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent(pub BTreeMap<Key, Sum>);

/// The events that [`Recent::add`] counts; a store reads no others.
pub const COUNTED: [EventType; 7] = [
    EventType::Started,
    EventType::Succeeded,
    EventType::Failed,
    EventType::Canceled,
    EventType::Retried,
    EventType::StepCompleted,
    EventType::StepFailed,
];

impl Recent {
    /// Adds an event of a run of a project. What happened before `oldest` is left out.
    pub fn add(&mut self, project: &str, event: &Event, oldest: Timestamp) {
        let read = |name: &str| event.payload.to_value()[name].as_u64();
        match event.kind {
            EventType::Started => self.took(project, event.at, Figure::Wait, read("waitMs"), oldest),
            EventType::Succeeded => {
                self.put((event.at, project, Figure::Succeeded, 0), 1, 0, oldest);
                self.took(project, event.at, Figure::Execution, read("elapsedMs"), oldest);
            }
            EventType::Failed => {
                self.put((event.at, project, Figure::Failed, 0), 1, 0, oldest);
                self.took(project, event.at, Figure::Execution, read("elapsedMs"), oldest);
            }
            EventType::Canceled => self.put((event.at, project, Figure::Canceled, 0), 1, 0, oldest),
            EventType::Retried => {
                let payload = event.payload.to_value();
                let text = |name: &str| payload[name].as_str();
                // Events of older versions do not say when their run had ended.
                let ended = text("endedAt").and_then(|at| at.parse::<Timestamp>().ok());
                let figure = text("from").and_then(|state| Figure::of(state.parse().ok()?));
                if let Some((at, figure)) = ended.zip(figure) {
                    self.put((at, project, figure, 0), -1, 0, oldest);
                }
            }
            EventType::StepCompleted | EventType::StepFailed => {
                for (figure, name) in [(Figure::TokensIn, "tokensIn"), (Figure::TokensOut, "tokensOut")] {
                    if let Some(tokens @ 1..) = read(name) {
                        let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
                        self.put((event.at, project, figure, 0), tokens, 0, oldest);
                    }
                }
            }
            EventType::Enqueued
            | EventType::RetryScheduled
            | EventType::LeaseLost
            | EventType::Released
            | EventType::Waiting
            | EventType::Approved
            | EventType::Rejected
            | EventType::Progressed
            | EventType::Cleaned
            | EventType::StepStarted
            | EventType::StepSkipped => {}
        }
    }

    fn took(&mut self, project: &str, at: Timestamp, figure: Figure, took: Option<u64>, oldest: Timestamp) {
        if let Some(took) = took {
            self.put((at, project, figure, group(took)), 1, took, oldest);
        }
    }

    fn put(&mut self, of: (Timestamp, &str, Figure, u16), count: i64, took: u64, oldest: Timestamp) {
        let (at, project, figure, group) = of;
        if at >= oldest {
            let more = Sum { count, total_ms: i64::try_from(took).unwrap_or(i64::MAX) };
            let sum = self.0.entry((at.minute(), project.to_owned(), figure, group)).or_default();
            *sum = sum.plus(more);
        }
    }

    /// Writes the figures of all of it into `stats`.
    pub fn write_stats(&self, stats: &mut Stats) {
        let mut sums: BTreeMap<(Figure, u16), Sum> = BTreeMap::new();
        for ((_, _, figure, group), more) in &self.0 {
            let sum = sums.entry((*figure, *group)).or_default();
            *sum = sum.plus(*more);
        }
        write_stats(&sums, stats);
    }
}

/// Writes the figures into `stats`, of sums by figure and group.
pub fn write_stats(sums: &BTreeMap<(Figure, u16), Sum>, stats: &mut Stats) {
    for ((figure, _), sum) in sums {
        if let (Some(state), Ok(count @ 1..)) = (figure.state(), u64::try_from(sum.count)) {
            stats.ended_last_hour.insert(state, count);
        }
    }
    let tokens = |figure| sums.get(&(figure, 0)).map_or(0, |sum| u64::try_from(sum.count).unwrap_or(0));
    stats.tokens_in_last_hour = tokens(Figure::TokensIn);
    stats.tokens_out_last_hour = tokens(Figure::TokensOut);
    let of = |figure, percent| percentile(sums, figure, percent);
    (stats.wait_p50_ms, stats.wait_p99_ms) = (of(Figure::Wait, 50), of(Figure::Wait, 99));
    (stats.run_p50_ms, stats.run_p99_ms) = (of(Figure::Execution, 50), of(Figure::Execution, 99));
}

/// The minute that the last hour begins with: those of the clock, the present one and the 59 before it, as charts show them.
pub fn first_minute(now: Timestamp) -> Timestamp {
    now.minus(BEFORE).minute()
}

/// The group of a time: its first five binary digits and how many come behind them.
fn group(took: u64) -> u16 {
    let behind = (u64::BITS - took.leading_zeros()).saturating_sub(FINE + 1);
    let digits = (u64::from(behind) << FINE) + (took >> behind);
    u16::try_from(digits).unwrap_or(u16::MAX)
}

/// The nearest-rank percentile, as the mean of the group that it lies in: exact where all of it took the same, and never off by more
/// than a sixteenth.
fn percentile(sums: &BTreeMap<(Figure, u16), Sum>, figure: Figure, percent: i64) -> Option<u64> {
    let groups = || sums.range((figure, 0)..=(figure, u16::MAX)).map(|(_, sum)| *sum);
    let all: i64 = groups().map(|sum| sum.count).sum();
    let rank = (all * percent + 99) / 100;
    let mut passed = 0;
    let lies_in = groups().find(|sum| {
        passed += sum.count;
        sum.count > 0 && passed >= rank
    })?;
    u64::try_from(lies_in.total_ms / lies_in.count).ok()
}

#[cfg(test)]
mod tests;
