//! What a clock change does to an expression, for whoever plans with it.

#[cfg(test)]
mod tests;

use std::fmt;

use super::civil::CivilTime;
use super::recurrence::{Dst, Recurrence};
use super::zone::Change;
use crate::values::time::Timestamp;

/// A clock change in the zone of an expression, and what it does to it. Its text is a sentence in plain English without a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The zone.
    pub zone: String,
    /// The change.
    pub change: Change,
    /// What it does.
    pub effect: Effect,
}

/// What a clock change does to an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No time that the clock skips or repeats matches.
    None,
    /// These times are skipped, and become one tick at the first instant after the gap.
    Moved(Times),
    /// These times are skipped, and have no tick.
    Skipped(Times),
    /// These times come twice, and have a tick the first time.
    First(Times),
    /// These times come twice, and have a tick each time.
    Twice(Times),
}

/// Matching civil times that a clock change skips or repeats; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: CivilTime,
    /// The last; it may be the first.
    pub last: CivilTime,
}

/// The clock changes after an instant, in order, each with its effect. None for an interval, which no clock change touches.
pub fn changes(recurrence: &Recurrence, after: Timestamp) -> impl Iterator<Item = ClockChange> {
    let mut after = after;
    std::iter::from_fn(move || {
        let (cron, zone, dst) = recurrence.expression()?;
        let change = zone.next_change(after)?;
        after = change.at;
        let (from, to) = (change.from(), change.to());
        let times = |from, to| {
            let (first, last) = (cron.first_within(from, to)?, cron.last_within(from, to)?);
            Some(Times { count: cron.count_within(from, to), first, last })
        };
        let once = dst == Dst::Once && !cron.names_every_hour();
        let effect = match (from < to, once) {
            (true, true) => times(from, to).map(Effect::Moved),
            (true, false) => times(from, to).map(Effect::Skipped),
            (false, true) => times(to, from).map(Effect::First),
            (false, false) => times(to, from).map(Effect::Twice),
        };
        let effect = effect.unwrap_or(Effect::None);
        Some(ClockChange { zone: zone.name().to_owned(), change, effect })
    })
}

/// A time of day, with seconds where they are not 0.
struct TimeOfDay(CivilTime);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.second_of_day();
        write!(out, "{:02}:{:02}", second / 3600, second / 60 % 60)?;
        if second % 60 == 0 { Ok(()) } else { write!(out, ":{:02}", second % 60) }
    }
}

/// `1 hour`, `30 minutes`, `1 hour 30 minutes`.
struct Shift(i64);

impl fmt::Display for Shift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.0 / 3600, "hour"), (self.0 / 60 % 60, "minute"), (self.0 % 60, "second")];
        let mut gap = "";
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let plural = if count == 1 { "" } else { "s" };
            write!(out, "{gap}{count} {unit}{plural}")?;
            gap = " ";
        }
        Ok(())
    }
}

/// `On 2027-03-28 at 01:00, clocks in Europe/London go forward 1 hour to 02:00: 01:30 is skipped and fires at 02:00 instead`.
impl fmt::Display for ClockChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.change.from(), self.change.to());
        let way = if from < to { "forward" } else { "back" };
        write!(out, "On {} at {}, clocks in {} go {way} ", from.date(), TimeOfDay(from), self.zone)?;
        write!(out, "{} to {}: ", Shift(self.change.forward().abs()), TimeOfDay(to))?;
        let (one, times) = match self.effect {
            Effect::None => return out.write_str("no tick is affected"),
            Effect::Moved(times) | Effect::Skipped(times) | Effect::First(times) | Effect::Twice(times) => {
                (times.count == 1, times)
            }
        };
        let be = if one { "is skipped" } else { "are skipped" };
        let (come, fire) = if one { ("comes", "fires") } else { ("come", "fire") };
        match self.effect {
            Effect::None => Ok(()),
            Effect::Moved(_) if one => write!(out, "{times} {be} and fires at {} instead", TimeOfDay(to)),
            Effect::Moved(_) => write!(out, "{times} {be} and fire once, at {}", TimeOfDay(to)),
            Effect::Skipped(_) => {
                write!(out, "{times} {be} and {} not fire", if one { "does" } else { "do" })
            }
            Effect::First(_) => write!(out, "{times} {come} twice and {fire} the first time"),
            Effect::Twice(_) => write!(out, "{times} {come} twice and {fire} both times"),
        }
    }
}

/// `01:30`, `4 times from 01:00 to 01:45`.
impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 1 {
            return write!(out, "{}", TimeOfDay(self.first));
        }
        write!(out, "{} times from {} to {}", self.count, TimeOfDay(self.first), TimeOfDay(self.last))
    }
}
