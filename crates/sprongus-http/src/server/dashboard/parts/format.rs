//! Times, spans and numbers as people read them. The exact time stands beside each, and the script keeps the relative one true.

use std::time::Duration;

use sprongus_core::values::time::Timestamp;

/// A time, and how long ago it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// RFC 3339, to the millisecond.
    pub exact: String,
    /// `3 min ago`, `in 2 h`.
    pub relative: String,
}

impl When {
    /// A time as it is seen from `now`.
    pub fn new(time: Timestamp, now: Timestamp) -> Self {
        let relative = if time > now {
            format!("in {}", coarse(time.since(now)))
        } else {
            match now.since(time) {
                short if short < Duration::from_secs(1) => "just now".to_owned(),
                span => format!("{} ago", coarse(span)),
            }
        };
        Self { exact: time.to_string(), relative }
    }
}

/// A span in its largest unit, for what moves.
pub fn coarse(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} d", seconds / 86_400),
    }
}

/// A span in its two largest units, for what has happened.
pub fn span(span: Duration) -> String {
    let (millis, seconds) = (span.as_millis(), span.as_secs());
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, span.subsec_millis() / 100),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        172_800.. => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A span given in milliseconds.
pub fn span_ms(millis: u64) -> String {
    span(Duration::from_millis(millis))
}

/// A number with its thousands apart.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Tokens of models, given to them and got back; none where there were none.
pub fn tokens(given: u64, got: u64) -> Option<(String, String)> {
    (given + got > 0).then(|| (number(given), number(got)))
}

/// A size in its largest binary unit, such as `1.5 KiB`.
pub fn bytes(bytes: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", tenths(1_024)),
        1_048_576..1_073_741_824 => format!("{} MiB", tenths(1_048_576)),
        1_073_741_824.. => format!("{} GiB", tenths(1_073_741_824)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        let of = |millis| span(Duration::from_millis(millis));
        assert_eq!([of(12), of(1_250), of(61_000)], ["12 ms", "1.2 s", "1 min 1 s"]);
        assert_eq!([of(3_660_000), of(200_000_000)], ["1 h 1 min", "2 d 7 h"]);
        assert_eq!(coarse(Duration::from_secs(7_300)), "2 h");
    }

    #[test]
    fn times_are_relative_to_now() {
        let now = Timestamp::from_millis(1_000_000);
        let at = |millis| When::new(Timestamp::from_millis(millis), now).relative;
        assert_eq!([at(999_500), at(700_000), at(1_120_000)], ["just now", "5 min ago", "in 2 min"]);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([number(7), number(1_234), number(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([bytes(12), bytes(1_536), bytes(3 << 30)], ["12 B", "1.5 KiB", "3.0 GiB"]);
    }
}
