//! Times as people say them: how long ago, how soon, how long.

use std::time::Duration;

use sprongus_core::values::time::Timestamp;

/// `3m ago`, `in 2h` or `now`.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let (past, future) = (now.since(time), time.since(now));
    if past.max(future) < Duration::from_secs(1) {
        "now".to_owned()
    } else if time < now {
        format!("{} ago", rough(past))
    } else {
        format!("in {}", rough(future))
    }
}

/// The time of day in UTC.
pub fn clock(time: Timestamp) -> String {
    format!("{}Z", time.to_string().get(11..19).unwrap_or_default())
}

/// The largest unit alone.
pub fn rough(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Short lengths to the millisecond, long ones to the second.
pub fn length(length: Duration) -> String {
    let (millis, seconds) = (length.as_millis(), length.as_secs());
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{}.{}s", seconds, (millis % 1_000) / 100),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_one_unit() {
        let now = Timestamp::from_millis(1_000_000_000_000);
        let cases = [(0, "now"), (3, "3s ago"), (180, "3m ago"), (7_200, "2h ago"), (864_000, "10d ago")];
        for (seconds, expected) in cases {
            assert_eq!(ago(now.minus(Duration::from_secs(seconds)), now), expected);
        }
        assert_eq!(ago(now.plus(Duration::from_secs(90)), now), "in 1m");
        assert_eq!(clock(now), "01:46:40Z");
    }

    #[test]
    fn lengths_get_coarser() {
        let cases = [(12, "12ms"), (1_250, "1.2s"), (61_000, "1m01s"), (3_725_000, "1h02m")];
        for (millis, expected) in cases {
            assert_eq!(length(Duration::from_millis(millis)), expected);
        }
    }
}
