//! The six fields of an expression: what each is called, which values it takes, and their names.

/// A field of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Second,
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    MonthDay,
    /// 1 to 12.
    Month,
    /// 0 to 6; 7 is read as 0.
    WeekDay,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEK_DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Field {
    /// What a value of it is called, with its article.
    pub fn article(self) -> &'static str {
        match self {
            Self::Second => "a second",
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::MonthDay => "a day of the month",
            Self::Month => "a month",
            Self::WeekDay => "a day of the week",
        }
    }

    /// The smallest value.
    pub fn first(self) -> u32 {
        match self {
            Self::Second | Self::Minute | Self::Hour | Self::WeekDay => 0,
            Self::MonthDay | Self::Month => 1,
        }
    }

    /// The largest value; 7 for Sunday is not one of them.
    pub fn last(self) -> u32 {
        match self {
            Self::Second | Self::Minute => 59,
            Self::Hour => 23,
            Self::MonthDay => 31,
            Self::Month => 12,
            Self::WeekDay => 6,
        }
    }

    /// How many values there are.
    pub fn count(self) -> u32 {
        self.last() - self.first() + 1
    }

    /// Every value, as bits.
    pub fn every(self) -> u64 {
        ((1 << self.count()) - 1) << self.first()
    }

    /// The names of its values from the first on; none for most fields.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::WeekDay => &WEEK_DAYS,
            Self::Second | Self::Minute | Self::Hour | Self::MonthDay => &[],
        }
    }

    /// The value of a name in any case.
    pub fn named(self, text: &str) -> Option<u32> {
        let found = self.names().iter().position(|name| name.eq_ignore_ascii_case(text))?;
        u32::try_from(found).ok().map(|found| found + self.first())
    }

    /// Which values it takes, for people: `0 to 59`, `1 to 12 or JAN to DEC`.
    pub fn range(self) -> &'static str {
        match self {
            Self::Second | Self::Minute => "0 to 59",
            Self::Hour => "0 to 23",
            Self::MonthDay => "1 to 31",
            Self::Month => "1 to 12 or JAN to DEC",
            Self::WeekDay => "0 to 7 or SUN to SAT",
        }
    }
}
