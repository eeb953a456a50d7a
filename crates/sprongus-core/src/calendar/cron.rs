//! Cron expressions: five fields, or six with seconds first, as sets of civil times. Time zones and clock changes are left to
//! [`recurrence`](super::recurrence).
//!
//! ```text
//! second (0-59, only with six fields)
//! | minute (0-59)
//! | |  hour (0-23)
//! | |  | day of the month (1-31, L, L-n, nW, LW)
//! | |  | |  month (1-12, JAN-DEC)
//! | |  | |  | day of the week (0-7 or SUN-SAT, 0 and 7 are Sunday; d#n, dL)
//! 0 30 2 1W * ?
//! ```
//!
//! Where the rules come from:
//!
//! - Fields, `*`, lists and ranges: [POSIX `crontab`](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html).
//! - Steps, names, `7` for Sunday, `@daily` and its like, and the rule of the two day fields: Vixie cron, today
//!   [cronie](https://man7.org/linux/man-pages/man5/crontab.5.html). POSIX says that a day matches when either field does, if both are
//!   restricted. Vixie cron decides "restricted" by the field's first character, so `*/2` counts as unrestricted, and both fields must
//!   match. So does this.
//! - Seconds first, `?`, `L`, `W`, `#`, and ranges that wrap (`FRI-MON`): the
//!   [Quartz scheduler](https://www.quartz-scheduler.org/documentation/quartz-2.3.0/tutorials/crontrigger.html). Unlike there, weekdays
//!   are numbered as in cron, from Sunday = 0, there is no field for the year, and a list may mix these with plain days.
//!
//! A step counts from the start of its range, through the wrap: `22-4/3` is 22, 1 and 4. An expression that no day of the Gregorian
//! calendar matches is refused when it is read.

mod days;
mod fault;
mod field;
mod groups;
mod item;
mod parse;
mod piece;
mod print;
mod search;
#[cfg(test)]
mod tests;
mod words;

use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use days::{Days, MonthDays, WeekDays};
pub use fault::CronError;

/// A cron expression that has been understood. Two are equal when they are written the same in canonical text (`Display`), which keeps
/// neither names, spaces nor the order of lists: `0 9 * * 1,2,3` and `0 9 * * wed,MON-TUE` both read `0 9 * * MON-WED`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cron {
    /// Bits 0 to 59.
    seconds: u64,
    /// Bits 0 to 59.
    minutes: u64,
    /// Bits 0 to 23.
    hours: u32,
    /// Days of the month.
    month_days: MonthDays,
    /// Bits 1 to 12.
    months: u32,
    /// Days of the week.
    week_days: WeekDays,
    /// What both day fields name together.
    days: Days,
}

/// All 24 hours.
const EVERY_HOUR: u32 = (1 << 24) - 1;

impl Cron {
    /// The most bytes of an expression.
    pub const MAX_BYTES: usize = 256;

    /// Reads an expression of five or six fields, or a word such as `@daily`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it, with its column and what would be right.
    pub fn parse(text: &str) -> Result<Self, CronError> {
        parse::parse(text)
    }

    /// Whether the hour field names all 24 hours. Such an expression means "so often", not "at that time of day".
    pub fn names_every_hour(&self) -> bool {
        self.hours == EVERY_HOUR
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        Self::parse(text)
    }
}

impl Serialize for Cron {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cron {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(|fault: CronError| de::Error::custom(fault))
    }
}
