//! Durations as people write them in `sprongus.toml` and on the command line: `500ms`, `2s`, `5m`, `1h30m`,
//! `7d`.
//!
//! The grammar is small on purpose: whole numbers, each with its unit, the units in falling order and each at
//! most once. `90` and `1.5h` are refused, because a reader has to guess the first and a rounding hides in
//! the second.

use std::fmt;
use std::time::Duration;

/// The units, the greatest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Longer texts cannot be a duration, and need not be read to the end to say so.
const LONGEST: usize = 64;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DurationFault {
    /// Nothing but white space.
    Empty,
    /// A number with no unit behind it.
    NoUnit(String),
    /// A unit that does not exist.
    UnknownUnit(String),
    /// Something else than a whole number in front of a unit.
    NotANumber(String),
    /// A unit that comes twice, or behind a smaller one.
    Order(&'static str),
    /// More milliseconds than fit into 64 bits.
    TooLong,
}

impl fmt::Display for DurationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a duration such as \"500ms\", \"30s\", \"5m\" or \"1h30m\"")?;
        match self {
            Self::Empty => f.write_str(", found nothing"),
            Self::NoUnit(number) => write!(f, ": {number} has no unit (ms, s, m, h or d)"),
            Self::UnknownUnit(unit) => write!(f, ": {unit:?} is not a unit (ms, s, m, h or d)"),
            Self::NotANumber(text) => write!(f, ": {text:?} does not begin with a whole number"),
            Self::Order(unit) => {
                write!(f, ": {unit} is out of order: use each unit once, largest first")
            }
            Self::TooLong => f.write_str(": too long"),
        }
    }
}

impl std::error::Error for DurationFault {}

/// Reads a duration such as `5m` or `1h30m`.
///
/// # Errors
///
/// A [`DurationFault`] whose text says what was expected and what is wrong with `text`.
pub fn parse_duration(text: &str) -> Result<Duration, DurationFault> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationFault::Empty);
    }
    if rest.len() > LONGEST {
        return Err(DurationFault::NotANumber(format!("{}…", rest.chars().take(16).collect::<String>())));
    }
    let mut total: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        if number.is_empty() {
            return Err(DurationFault::NotANumber(rest.to_owned()));
        }
        let letters = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        if unit.is_empty() {
            return Err(DurationFault::NoUnit(number.to_owned()));
        }
        let Some(index) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(DurationFault::UnknownUnit(unit.to_owned()));
        };
        let (name, millis) = UNITS[index];
        if index < next_unit {
            return Err(DurationFault::Order(name));
        }
        next_unit = index + 1;
        let part = number.parse::<u64>().ok().and_then(|n| n.checked_mul(millis));
        total = part.and_then(|part| total.checked_add(part)).ok_or(DurationFault::TooLong)?;
        rest = behind;
    }
    Ok(Duration::from_millis(total))
}

/// Writes a duration the way [`parse_duration`] reads it; what is below a millisecond is dropped.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let mut left = duration.as_millis();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, millis) in UNITS {
        let count = left / u128::from(millis);
        if count > 0 {
            text.push_str(&format!("{count}{name}"));
            left %= u128::from(millis);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("500ms", 500),
            ("2s", 2_000),
            ("5m", 300_000),
            ("24h", 86_400_000),
            ("1h30m", 5_400_000),
            ("7d", 604_800_000),
            (" 1s500ms ", 1_500),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_has_two_readings() {
        for text in
            ["", " ", "5", "1h30", "-5s", "1.5h", "5 m", "5M", "1m1h", "1s1s", "5min", "s", "٣s", "1e3s"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("18446744073709551615d"), Err(DurationFault::TooLong));
        assert_eq!(parse_duration("99999999999999999999s"), Err(DurationFault::TooLong));
        assert!(parse_duration("5").unwrap_err().to_string().contains("5 has no unit"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn never_panics_on_likely_texts(text in "([0-9]{0,22}(ms|s|m|h|d|µs)?){0,6}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn reads_back_what_it_writes(millis in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
