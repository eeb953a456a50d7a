//! When something recurs, as instants: a cron expression in a time zone, or an interval.
//!
//! # Clock changes
//!
//! Under [`Dst::Literal`] the ticks of an expression are the instants at which a wall clock in the zone shows a time that matches:
//! where the clock is set forward there are none, where it is set back there are two.
//!
//! Under [`Dst::Once`] each matching civil time has one tick:
//!
//! - where the clock shows it, the first time that it does;
//! - where the clock skips it, the first instant after the gap. Several of these, or one of them and a time that matches at that instant,
//!   are one tick.
//!
//! An expression whose hour field names all 24 hours means "so often" and not "at that time", and is literal under both.
//!
//! So [`Recurrence::next`], [`Recurrence::prev`], iteration and [`Recurrence::tally`] are four views of one set of instants. All work
//! stretch by stretch between clock changes, and month by month within one, and never walk over seconds.

mod every;
mod in_zone;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use super::civil::CivilTime;
use super::cron::Cron;
use super::zone::{Stretch, Zone};
use crate::error::Error;
use crate::values::time::Timestamp;
use every::Every;
use in_zone::InZone;

/// What an expression means where clocks change; see the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dst {
    /// Each civil time once.
    #[default]
    Once,
    /// What the clock shows.
    Literal,
}

/// An instant at which something recurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tick {
    /// The instant.
    pub at: Timestamp,
    /// The civil time that matched, of a cron expression. At the end of a gap the last one that the clock skipped, unless the one that
    /// it shows then matches too.
    pub civil: Option<CivilTime>,
}

/// How far a schedule has been read: every tick up to it has been dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Ticks are looked for after this instant.
    pub at: Timestamp,
    /// And after this civil time, under [`Dst::Once`]. It keeps two processes whose zone data differ from making two ticks of one civil
    /// time. It means nothing for another expression or zone: leave it out when a schedule is edited.
    pub civil: Option<CivilTime>,
}

impl From<Timestamp> for Cursor {
    fn from(at: Timestamp) -> Self {
        Self { at, civil: None }
    }
}

impl From<Tick> for Cursor {
    fn from(tick: Tick) -> Self {
        Self { at: tick.at, civil: tick.civil }
    }
}

/// Ticks counted and not walked over; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Tick,
    /// The last; it may be the first.
    pub last: Tick,
}

/// When something recurs.
#[derive(Clone)]
pub struct Recurrence {
    rule: Rule,
    /// Inclusive.
    start: Option<Timestamp>,
    /// Exclusive.
    end: Option<Timestamp>,
}

#[derive(Clone)]
enum Rule {
    Cron(InZone),
    Every(Every),
}

impl Recurrence {
    /// The shortest interval.
    pub const SHORTEST: Duration = Duration::from_secs(1);

    /// By a cron expression, in a zone.
    pub fn cron(cron: Cron, zone: Zone, dst: Dst) -> Self {
        Self { rule: Rule::Cron(InZone::new(cron, zone, dst)), start: None, end: None }
    }

    /// At `first`, and then at intervals of whole milliseconds.
    ///
    /// # Errors
    ///
    /// `validation` when the interval is shorter than [`Recurrence::SHORTEST`] or has a fraction of a millisecond.
    pub fn every(first: Timestamp, interval: Duration) -> Result<Self, Error> {
        Ok(Self { rule: Rule::Every(Every::new(first, interval)?), start: None, end: None })
    }

    /// The same without the ticks before `start`.
    #[must_use]
    pub fn starting_at(mut self, start: Timestamp) -> Self {
        self.start = Some(start);
        self
    }

    /// The same without `end` and the ticks after it.
    #[must_use]
    pub fn ending_at(mut self, end: Timestamp) -> Self {
        self.end = Some(end);
        self
    }

    /// The first tick after the cursor, always later than that; none when there are no more.
    pub fn next(&self, after: impl Into<Cursor>) -> Option<Tick> {
        self.next_in(after.into(), &mut None)
    }

    fn next_in(&self, after: Cursor, stretch: &mut Option<Stretch>) -> Option<Tick> {
        let after = Cursor { at: self.not_before_start(after.at), ..after };
        let tick = match &self.rule {
            Rule::Cron(cron) => cron.next(after, stretch),
            Rule::Every(every) => every.next(after.at),
        };
        tick.filter(|tick| self.end.is_none_or(|end| tick.at < end))
    }

    /// The last tick before an instant, always earlier than that; none when there is none.
    pub fn prev(&self, before: Timestamp) -> Option<Tick> {
        let before = self.end.map_or(before, |end| before.min(end));
        let tick = match &self.rule {
            Rule::Cron(cron) => cron.prev(before),
            Rule::Every(every) => every.prev(before),
        };
        tick.filter(|tick| self.start.is_none_or(|start| tick.at >= start))
    }

    /// The ticks after the cursor, in order.
    pub fn ticks(&self, after: impl Into<Cursor>) -> Ticks<'_> {
        Ticks { recurrence: self, cursor: Some(after.into()), stretch: None }
    }

    /// The ticks after the cursor up to `until`, inclusive; none when there are none. The work is a step for each month in between, and
    /// does not grow with their number.
    pub fn tally(&self, after: impl Into<Cursor>, until: Timestamp) -> Option<Tally> {
        let after: Cursor = after.into();
        let first = self.next(after).filter(|tick| tick.at <= until)?;
        let last = self.prev(just_after(until)).filter(|last| last.at >= first.at)?;
        let count = match &self.rule {
            Rule::Cron(cron) => cron.count(Cursor { at: first.at, civil: after.civil }, last.at),
            Rule::Every(every) => every.count(first.at, last.at),
        };
        Some(Tally { count, first, last })
    }

    /// The cron expression, its zone and what it means at clock changes; none for an interval.
    pub fn expression(&self) -> Option<(&Cron, &Zone, Dst)> {
        match &self.rule {
            Rule::Cron(cron) => Some((cron.cron(), cron.zone(), cron.dst())),
            Rule::Every(_) => None,
        }
    }

    fn not_before_start(&self, after: Timestamp) -> Timestamp {
        let start = self.start.map(|start| Timestamp::from_millis(start.as_millis() - 1));
        start.map_or(after, |start| after.max(start))
    }
}

/// The cron expression or the interval, for logs.
impl fmt::Debug for Recurrence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Cron(cron) => write!(out, "{} in {:?}", cron.cron(), cron.zone()),
            Rule::Every(every) => write!(out, "{every:?}"),
        }
    }
}

fn just_after(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() + 1)
}

/// The ticks of a [`Recurrence`], in order. Each is what [`Recurrence::next`] says of the one before.
#[derive(Clone, Debug)]
pub struct Ticks<'a> {
    recurrence: &'a Recurrence,
    /// None when there are no more.
    cursor: Option<Cursor>,
    /// Where the last one was found: the next one is mostly there too.
    stretch: Option<Stretch>,
}

impl Iterator for Ticks<'_> {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        let tick = self.recurrence.next_in(self.cursor?, &mut self.stretch);
        self.cursor = tick.map(Cursor::from);
        tick
    }
}
