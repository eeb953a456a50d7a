//! Civil time: what a wall clock and a wall calendar say, without a time zone. The proleptic Gregorian calendar, to the second.

use std::fmt;

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// A day and a time of day as read off a wall clock, to the second. It is an instant only together with a time zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CivilTime(i64);

impl CivilTime {
    /// From seconds since 1970-01-01T00:00:00 on the same wall clock.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970-01-01T00:00:00 on the same wall clock.
    pub const fn as_seconds(self) -> i64 {
        self.0
    }

    /// The day.
    pub fn date(self) -> Date {
        Date::from_days(self.0.div_euclid(DAY))
    }

    /// Seconds since midnight, below [`DAY`].
    pub fn second_of_day(self) -> i64 {
        self.0.rem_euclid(DAY)
    }
}

/// `2026-11-01T01:30:00`.
impl fmt::Display for CivilTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, second) = (self.date(), self.second_of_day());
        write!(out, "{date}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
    }
}

impl fmt::Debug for CivilTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// The year; 0 is 1 BC.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

impl Date {
    /// The day so many days after 1970-01-01. Howard Hinnant, ["chrono-Compatible Low-Level Date
    /// Algorithms"](https://howardhinnant.github.io/date_algorithms.html).
    pub const fn from_days(days: i64) -> Self {
        // Years that begin in March have their leap day at the end.
        let days = days + 719_468;
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = (of_year - (153 * month + 2) / 5 + 1) as u8;
        let month = if month < 10 { month + 3 } else { month - 9 } as u8;
        Self { year: year + era * 400 + (month <= 2) as i64, month, day }
    }

    /// Days since 1970-01-01.
    pub const fn to_days(self) -> i64 {
        let year = self.year - (self.month <= 2) as i64;
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month = (self.month as i64 + 9) % 12;
        let of_year = (153 * month + 2) / 5 + self.day as i64 - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }
}

/// `2026-11-01`.
impl fmt::Display for Date {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// How many days a month has. `month` is 1 to 12.
pub const fn month_length(year: i64, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The weekday of a day so many days after 1970-01-01: 0 is Sunday, 6 Saturday.
pub const fn weekday(days: i64) -> u8 {
    (days + 4).rem_euclid(7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_agree_over_four_hundred_years() {
        let first = Date { year: 1800, month: 1, day: 1 }.to_days();
        let (mut date, mut day) = (Date { year: 1800, month: 1, day: 1 }, first);
        while date.year <= 2200 {
            assert_eq!((Date::from_days(day), date.to_days()), (date, day));
            day += 1;
            date.day += 1;
            if date.day > month_length(date.year, date.month) {
                (date.day, date.month) = (1, date.month + 1);
            }
            if date.month > 12 {
                (date.month, date.year) = (1, date.year + 1);
            }
        }
        assert_eq!(day - first, 146_097 + 365);
    }

    #[test]
    fn a_known_day_has_its_weekday() {
        assert_eq!(weekday(0), 4);
        assert_eq!(weekday(Date { year: 2026, month: 11, day: 1 }.to_days()), 0);
        assert_eq!(weekday(Date { year: 1969, month: 12, day: 27 }.to_days()), 6);
    }

    #[test]
    fn civil_time_reads_as_a_clock_does() {
        let time = Date { year: 2026, month: 11, day: 1 }.to_days() * DAY + 5_400;
        assert_eq!(CivilTime::from_seconds(time).to_string(), "2026-11-01T01:30:00");
        assert_eq!(CivilTime::from_seconds(-1).to_string(), "1969-12-31T23:59:59");
    }
}
