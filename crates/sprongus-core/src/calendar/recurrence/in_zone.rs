//! A cron expression in a zone. Time there is a row of stretches with a constant offset; in each, a civil time is one instant.

use super::super::civil::CivilTime;
use super::super::cron::Cron;
use super::super::zone::{Stretch, Zone};
use super::{Cursor, Dst, Tick};
use crate::values::time::Timestamp;

/// The widest two offsets can be apart, and more: RFC 9636 recommends -25 to 26 hours.
const WIDEST: i64 = 52 * 3600;

#[derive(Clone)]
pub struct InZone {
    cron: Cron,
    zone: Zone,
    dst: Dst,
    /// Whether each civil time has one tick.
    once: bool,
}

/// A stretch as the expression sees it.
struct Span {
    stretch: Stretch,
    /// Civil times below this one have had their tick before; in seconds, [`i64::MIN`] where none has.
    spent: i64,
}

impl Span {
    /// What the clock shows at the first second.
    fn shows_first(&self) -> i64 {
        self.stretch.start.saturating_add(self.stretch.offset)
    }
}

fn second(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

fn civil(seconds: i64) -> CivilTime {
    CivilTime::from_seconds(seconds)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second.saturating_mul(1000))
}

impl InZone {
    pub fn new(cron: Cron, zone: Zone, dst: Dst) -> Self {
        let once = dst == Dst::Once && !cron.names_every_hour();
        Self { cron, zone, dst, once }
    }

    pub fn cron(&self) -> &Cron {
        &self.cron
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    pub fn dst(&self) -> Dst {
        self.dst
    }

    /// The stretch with what was spent before it, or before the cursor's civil time.
    fn span(&self, stretch: Stretch, after: Option<CivilTime>) -> Span {
        let mut spent = i64::MIN;
        if self.once {
            let mut before = self.zone.preceding(&stretch);
            while let Some(one) = before.filter(|one| one.end > stretch.start - WIDEST) {
                spent = spent.max(one.end + one.offset);
                before = self.zone.preceding(&one);
            }
            spent = spent.max(after.map_or(i64::MIN, |after| after.as_seconds() + 1));
        }
        Span { stretch, spent }
    }

    /// The last matching time that the clock skipped when the stretch began.
    fn skipped(&self, span: &Span) -> Option<CivilTime> {
        let gap = self.once && span.spent != i64::MIN && span.stretch.start != i64::MIN;
        gap.then(|| self.cron.last_within(civil(span.spent), civil(span.shows_first()))).flatten()
    }

    /// The civil times within a stretch that have their tick there, from one second to another, both inclusive.
    fn shown(span: &Span, from: i64, to: i64) -> (CivilTime, CivilTime) {
        let Stretch { start, end, offset } = span.stretch;
        let (from, to) = (from.max(start) + offset, to.min(end - 1) + offset);
        (civil(from.max(span.spent)), civil(to + 1))
    }

    pub fn next(&self, after: Cursor, known: &mut Option<Stretch>) -> Option<Tick> {
        let (from, to) = (second(after.at) + 1, second(Timestamp::from_millis(i64::MAX)));
        let found = known.filter(|stretch| (stretch.start..stretch.end).contains(&from));
        let mut stretch = found.unwrap_or_else(|| self.zone.stretch(from));
        loop {
            *known = Some(stretch);
            let span = self.span(stretch, after.civil);
            let (shown, end) = Self::shown(&span, from, to);
            let first = self.cron.first_within(shown, end);
            if stretch.start >= from
                && let Some(skipped) = self.skipped(&span)
            {
                let both = first.filter(|first| first.as_seconds() == span.shows_first());
                return Some(Tick { at: at(stretch.start), civil: Some(both.unwrap_or(skipped)) });
            }
            if let Some(first) = first {
                return Some(Tick { at: at(first.as_seconds() - stretch.offset), civil: Some(first) });
            }
            stretch = self.zone.following(&stretch).filter(|next| next.start <= to)?;
        }
    }

    pub fn prev(&self, before: Timestamp) -> Option<Tick> {
        let to = (before.as_millis() - 1).div_euclid(1000);
        let from = second(Timestamp::from_millis(i64::MIN));
        let mut stretch = self.zone.stretch(to);
        loop {
            let span = self.span(stretch, None);
            let (shown, end) = Self::shown(&span, from, to);
            if let Some(last) = self.cron.last_within(shown, end) {
                return Some(Tick { at: at(last.as_seconds() - stretch.offset), civil: Some(last) });
            }
            if let Some(skipped) = self.skipped(&span) {
                return Some(Tick { at: at(stretch.start), civil: Some(skipped) });
            }
            stretch = self.zone.preceding(&stretch).filter(|one| one.end > from)?;
        }
    }

    /// How many ticks there are from the cursor to `to`, both inclusive.
    pub fn count(&self, from: Cursor, to: Timestamp) -> u64 {
        let (first, last) = (second(from.at), second(to));
        let mut found = 0;
        let mut stretch = Some(self.zone.stretch(first));
        while let Some(one) = stretch.filter(|one| one.start <= last) {
            let span = self.span(one, from.civil);
            let (shown, end) = Self::shown(&span, first, last);
            found += self.cron.count_within(shown, end);
            if one.start >= first && self.skipped(&span).is_some() {
                let shows = span.shows_first();
                // One that the clock shows at the end of the gap is that same tick.
                found += 1 - self.cron.count_within(civil(shows), civil(shows + 1));
            }
            stretch = self.zone.following(&one);
        }
        found
    }
}
