//! Times and durations as options take them.

use std::time::Duration;

use sprongus_core::values::duration::parse_duration;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result};

const HINT: &str =
    "use RFC 3339, such as 2026-11-21T09:30:00Z, or a date such as 2026-11-21 for midnight UTC";

/// Reads a time, or a date for its first moment in UTC.
///
/// # Errors
/// `validation`.
pub fn instant(text: &str) -> Result<Timestamp> {
    let is_date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let read = if is_date { format!("{text}T00:00:00Z").parse() } else { text.parse() };
    read.map_err(|error: Error| error.with_hint(HINT))
}

/// Reads a duration such as `30s`.
///
/// # Errors
/// `validation`.
pub fn span(text: &str) -> Result<Duration> {
    parse_duration(text).map_err(|fault| {
        let text = fault.to_string();
        Error::validation(sprongus_core::values::text::printable(&text).into_owned())
            .with_hint("use whole numbers with units: 500ms, 30s, 5m, 1h30m, 7d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_first_moment() {
        assert_eq!(instant("2026-11-21").unwrap().to_string(), "2026-11-21T00:00:00.000Z");
        assert_eq!(instant("2026-11-21T10:30:00+01:00").unwrap().to_string(), "2026-11-21T09:30:00.000Z");
        for bad in ["", "yesterday", "2026-13-01", "2026-11-21T09:30:00", "----------"] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(span("1h30m").unwrap(), Duration::from_secs(5_400));
        assert!(span("90").is_err() && span("-1s").is_err() && span("\u{1b}[2J").is_err());
    }
}
