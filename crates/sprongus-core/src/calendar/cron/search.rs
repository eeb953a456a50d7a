//! An expression over civil time: the next match, the one before, and how many there are, without a walk over seconds. Days are found a
//! month at a time.

use super::super::civil::{CivilTime, DAY, Date, month_length};
use super::Cron;

/// The lowest bit at or above `from`.
fn at_or_above(mask: u64, from: i64) -> Option<i64> {
    let left = if from > 63 { 0 } else { mask >> from << from };
    (left != 0).then(|| left.trailing_zeros().into())
}

/// The highest bit at or below `to`.
fn at_or_below(mask: u64, to: i64) -> Option<i64> {
    let left = if to < 0 { 0 } else { mask << (63 - to) >> (63 - to) };
    (left != 0).then(|| 63 - i64::from(left.leading_zeros()))
}

fn split(second: i64) -> (i64, i64, i64) {
    (second / 3600, second / 60 % 60, second % 60)
}

impl Cron {
    /// The first time of day at or after `from`, in seconds since midnight.
    fn time_from(&self, from: i64) -> Option<i64> {
        let (hour, minute, second) = split(from);
        let at = |hour: i64, minute: i64, second: i64| hour * 3600 + minute * 60 + second;
        let (first_minute, first_second) = (at_or_above(self.minutes, 0)?, at_or_above(self.seconds, 0)?);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = at_or_above(self.seconds, second)
            {
                return Some(at(hour, minute, second));
            }
            if let Some(minute) = at_or_above(self.minutes, minute + 1) {
                return Some(at(hour, minute, first_second));
            }
        }
        let hour = at_or_above(self.hours.into(), hour + 1)?;
        Some(at(hour, first_minute, first_second))
    }

    /// The last time of day at or before `to`.
    fn time_to(&self, to: i64) -> Option<i64> {
        let (hour, minute, second) = split(to);
        let at = |hour: i64, minute: i64, second: i64| hour * 3600 + minute * 60 + second;
        let (last_minute, last_second) = (at_or_below(self.minutes, 59)?, at_or_below(self.seconds, 59)?);
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = at_or_below(self.seconds, second)
            {
                return Some(at(hour, minute, second));
            }
            if let Some(minute) = at_or_below(self.minutes, minute - 1) {
                return Some(at(hour, minute, last_second));
            }
        }
        let hour = at_or_below(self.hours.into(), hour - 1)?;
        Some(at(hour, last_minute, last_second))
    }

    /// How many times of day there are before `second`, at most [`DAY`].
    fn times_before(&self, second: i64) -> u64 {
        let below = |mask: u64, end: i64| u64::from((mask & !(u64::MAX << end)).count_ones());
        let (hour, minute, second) = split(second);
        let (a_minute, an_hour) =
            (below(self.seconds, 60), below(self.seconds, 60) * below(self.minutes, 60));
        let mut found = below(self.hours.into(), hour) * an_hour;
        if self.hours >> hour & 1 == 1 {
            found += below(self.minutes, minute) * a_minute;
            if self.minutes >> minute & 1 == 1 {
                found += below(self.seconds, second);
            }
        }
        found
    }

    fn day_matches(&self, day: i64) -> bool {
        let date = Date::from_days(day);
        self.days_of(date.year, date.month) >> date.day & 1 == 1
    }

    /// The first day that matches from `from` to `to`, both inclusive, in days since 1970.
    fn day_from(&self, from: i64, to: i64) -> Option<i64> {
        let mut date = Date::from_days(from);
        loop {
            let start = Date { day: 1, ..date }.to_days();
            if start > to {
                return None;
            }
            let days = self.days_of(date.year, date.month);
            if let Some(day) = at_or_above(days.into(), date.day.into()) {
                return (start + day - 1 <= to).then_some(start + day - 1);
            }
            date = if date.month == 12 {
                Date { year: date.year + 1, month: 1, day: 1 }
            } else {
                Date { month: date.month + 1, day: 1, ..date }
            };
        }
    }

    /// The last day that matches from `from` to `to`, both inclusive.
    fn day_to(&self, from: i64, to: i64) -> Option<i64> {
        let mut date = Date::from_days(to);
        loop {
            let start = Date { day: 1, ..date }.to_days();
            let days = self.days_of(date.year, date.month);
            if let Some(day) = at_or_below(days.into(), date.day.into()) {
                return (start + day > from).then_some(start + day - 1);
            }
            if start <= from {
                return None;
            }
            date = Date::from_days(start - 1);
        }
    }

    /// The first matching time in `from..to`.
    pub(in super::super) fn first_within(&self, from: CivilTime, to: CivilTime) -> Option<CivilTime> {
        let (from, to) = (from.as_seconds(), to.as_seconds());
        if from >= to {
            return None;
        }
        let (first, last) = (from.div_euclid(DAY), (to - 1).div_euclid(DAY));
        let today = || self.day_matches(first).then(|| self.time_from(from.rem_euclid(DAY))).flatten();
        let found = match today() {
            Some(time) => first * DAY + time,
            None => self.day_from(first + 1, last)? * DAY + self.time_from(0)?,
        };
        (found < to).then_some(CivilTime::from_seconds(found))
    }

    /// The last matching time in `from..to`.
    pub(in super::super) fn last_within(&self, from: CivilTime, to: CivilTime) -> Option<CivilTime> {
        let (from, to) = (from.as_seconds(), to.as_seconds());
        if from >= to {
            return None;
        }
        let (first, last) = (from.div_euclid(DAY), (to - 1).div_euclid(DAY));
        let today = || self.day_matches(last).then(|| self.time_to((to - 1).rem_euclid(DAY))).flatten();
        let found = match today() {
            Some(time) => last * DAY + time,
            None => self.day_to(first, last - 1)? * DAY + self.time_to(DAY - 1)?,
        };
        (found >= from).then_some(CivilTime::from_seconds(found))
    }

    /// How many matching times there are in `from..to`: a step for each month, whatever the expression.
    pub(in super::super) fn count_within(&self, from: CivilTime, to: CivilTime) -> u64 {
        let (from, to) = (from.as_seconds(), to.as_seconds());
        if from >= to {
            return 0;
        }
        let (first, last) = (from.div_euclid(DAY), to.div_euclid(DAY));
        let on = |day: i64, second: i64| if self.day_matches(day) { self.times_before(second) } else { 0 };
        let days = self.days_within_range(first, last) * self.times_before(DAY);
        days + on(last, to.rem_euclid(DAY)) - on(first, from.rem_euclid(DAY))
    }

    /// How many days match in `from..to`, in days since 1970.
    fn days_within_range(&self, from: i64, to: i64) -> u64 {
        let (mut found, mut start) = (0, from);
        while start < to {
            let date = Date::from_days(start);
            let first = start + 1 - i64::from(date.day);
            let end = (first + i64::from(month_length(date.year, date.month))).min(to);
            let days = u64::from(self.days_of(date.year, date.month));
            let before = |day: i64| days & !(u64::MAX << (day - first + 1));
            found += u64::from((before(end) & !before(start)).count_ones());
            start = end;
        }
        found
    }
}
