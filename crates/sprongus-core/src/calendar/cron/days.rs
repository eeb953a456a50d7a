//! The two day fields: which days of a month they name. Their bits are days 1 to 31.

use super::super::civil::{Date, month_length, weekday};
use super::Cron;

/// What both day fields have: whether they begin with `*`, and with which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// A value, a range, or one of the letters.
    Restricted,
    /// `*/n`; `*` and `?` are `*/1`.
    Star(u8),
}

impl Start {
    fn is_star(self) -> bool {
        matches!(self, Self::Star(_))
    }
}

/// The field of the day of the month.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MonthDays {
    pub start: Start,
    /// Plain days, bits 1 to 31.
    pub days: u32,
    /// `L-n` for each bit n, 0 to 30; `L` is bit 0.
    pub from_end: u32,
    /// `nW` for each bit n, 1 to 31.
    pub nearest: u32,
    /// `LW`.
    pub last_weekday: bool,
}

/// The field of the day of the week.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WeekDays {
    pub start: Start,
    /// Plain weekdays, bits 0 to 6.
    pub days: u32,
    /// `d#n`: for each n from 1 to 5 at n - 1, weekdays as bits.
    pub nth: [u8; 5],
    /// `dL`: weekdays as bits.
    pub last: u8,
}

/// A month as the day fields see it: all that a day depends on.
#[derive(Clone, Copy)]
struct Month {
    /// 28 to 31.
    length: u32,
    /// The weekday of the first.
    first: u32,
}

const fn bits(length: u32) -> u32 {
    (u32::MAX >> (31 - length)) & !1
}

impl Month {
    fn weekday(self, day: u32) -> u32 {
        (self.first + day - 1) % 7
    }

    /// Every day that is this weekday.
    fn all(self, day: u32) -> u32 {
        let first = 1 + (day + 7 - self.first) % 7;
        // Every seventh bit; those past the end fall off.
        (0x1020_4081 << first) & bits(self.length)
    }

    /// The day from Monday to Friday nearest to this day, in the same month.
    fn nearest_weekday(self, day: u32) -> u32 {
        match self.weekday(day) {
            6 if day == 1 => 3,
            6 => day - 1,
            0 if day == self.length => day - 2,
            0 => day + 1,
            _ => day,
        }
    }
}

fn each(mask: u32) -> impl Iterator<Item = u32> {
    (0..32).filter(move |bit| mask >> bit & 1 == 1)
}

impl MonthDays {
    fn within(&self, month: Month) -> u32 {
        let mut days = self.days;
        for back in each(self.from_end).filter(|back| *back < month.length) {
            days |= 1 << (month.length - back);
        }
        for day in each(self.nearest).filter(|day| *day <= month.length) {
            days |= 1 << month.nearest_weekday(day);
        }
        if self.last_weekday {
            days |= 1 << month.nearest_weekday(month.length);
        }
        days & bits(month.length)
    }
}

impl WeekDays {
    fn within(&self, month: Month) -> u32 {
        let mut days = each(self.days).map(|day| month.all(day)).fold(0, |all, some| all | some);
        for (week, names) in (0_u32..).zip(self.nth) {
            // The nth of a weekday is in the nth seven days of the month.
            let seven = (0b111_1111 << (1 + 7 * week)) & bits(month.length);
            days |= each(names.into()).map(|day| month.all(day) & seven).sum::<u32>();
        }
        let last_seven = 0b111_1111 << (month.length - 6);
        days | each(self.last.into()).map(|day| month.all(day) & last_seven).sum::<u32>()
    }
}

/// Which days match in each kind of month: its length, then the weekday of its first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Days([[u32; 7]; 4]);

impl Days {
    /// What both fields name together.
    pub fn new(by_month: &MonthDays, by_week: &WeekDays) -> Self {
        let both = by_month.start.is_star() || by_week.start.is_star();
        let mut days = [[0; 7]; 4];
        for (length, kinds) in (28..).zip(&mut days) {
            for (first, kind) in (0..).zip(kinds) {
                let month = Month { length, first };
                let (by_month, by_week) = (by_month.within(month), by_week.within(month));
                *kind = if both { by_month & by_week } else { by_month | by_week };
            }
        }
        Self(days)
    }

    /// Whether any day matches in these months, as bits 1 to 12. In the 400 years in which the calendar repeats, every month of every
    /// length begins on every weekday.
    pub fn come_in(&self, months: u32) -> bool {
        let lengths = |month: u32| match month {
            2 => 0..=1,
            4 | 6 | 9 | 11 => 2..=2,
            _ => 3..=3,
        };
        each(months).flat_map(lengths).any(|length| self.0[length].iter().any(|days| *days != 0))
    }
}

impl Cron {
    /// Which days of a month match, as bits 1 to 31; none when the month does not.
    pub(super) fn days_of(&self, year: i64, month: u8) -> u32 {
        if self.months >> month & 1 == 0 {
            return 0;
        }
        let first = weekday(Date { year, month, day: 1 }.to_days());
        let Days(days) = &self.days;
        days[usize::from(month_length(year, month) - 28)][usize::from(first)]
    }
}
