//! A walk over every minute of some years in one zone: what the clock shows, and where that jumps.

use sprongus_core::calendar::Zone;
use sprongus_core::values::time::Timestamp;

use super::meaning::{Meaning, days_to};

/// Minutes in a row in which the clock shows minutes in a row of the same day.
struct Row {
    /// Seconds since 1970 of the first minute.
    start: i64,
    /// The day that the clock shows, in days since 1970.
    day: i64,
    /// The minutes of that day, the last one exclusive.
    from: i64,
    to: i64,
    /// Whether the clock has shown all of them before.
    repeated: bool,
}

/// A gap: the second at which it ends, and the minutes that the clock skipped, in minutes since 1970, the last one exclusive.
struct Gap {
    end: i64,
    skipped: (i64, i64),
}

pub struct Walk {
    rows: Vec<Row>,
    gaps: Vec<Gap>,
    /// Seconds since 1970 at which the clock jumped.
    pub changes: Vec<i64>,
    /// Seconds since 1970, the last one exclusive.
    pub from: i64,
    pub to: i64,
}

impl Walk {
    pub fn new(zone: &Zone, years: (i64, i64)) -> Self {
        let (from, to) = (days_to(years.0) * 86_400, days_to(years.1) * 86_400);
        let shows = |second: i64| {
            let civil = zone.civil(Timestamp::from_millis(second * 1000)).as_seconds();
            assert_eq!(civil % 60, 0, "a clock that is not set to the minute");
            civil / 60
        };
        let mut walk = Self { rows: Vec::new(), gaps: Vec::new(), changes: Vec::new(), from, to };
        // Days before, so that what was shown before the first minute is known.
        let start = from - 3 * 86_400;
        let mut highest = shows(start) - 1;
        let mut last = highest;
        for second in (start..to).step_by(60) {
            let shown = shows(second);
            if shown != last + 1 && second >= from {
                walk.changes.push(second);
            }
            if shown > highest + 1 && second >= from {
                walk.gaps.push(Gap { end: second, skipped: (highest + 1, shown) });
            }
            let repeated = shown <= highest;
            if second >= from {
                let (day, minute) = (shown.div_euclid(1440), shown.rem_euclid(1440));
                match walk.rows.last_mut() {
                    Some(row) if shown == last + 1 && row.day == day && row.repeated == repeated => {
                        row.to += 1
                    }
                    _ => walk.rows.push(Row { start: second, day, from: minute, to: minute + 1, repeated }),
                }
            }
            highest = highest.max(shown);
            last = shown;
        }
        walk
    }

    /// The ticks in seconds since 1970, by looking at every minute.
    pub fn ticks(&self, meaning: &Meaning, once: bool) -> Vec<i64> {
        let once = once && !meaning.every_hour;
        let mut found = Vec::new();
        let mut gaps = self.gaps.iter().peekable();
        for row in &self.rows {
            if once && let Some(gap) = gaps.next_if(|gap| gap.end == row.start) {
                let skipped = |minute: &i64| {
                    meaning.on(minute.div_euclid(1440)) && meaning.times[minute.rem_euclid(1440) as usize]
                };
                if (gap.skipped.0..gap.skipped.1).any(|minute| skipped(&minute)) {
                    found.push(gap.end);
                }
            }
            if (once && row.repeated) || !meaning.on(row.day) {
                continue;
            }
            for minute in row.from..row.to {
                if meaning.times[minute as usize] {
                    let start = row.start + (minute - row.from) * 60;
                    let seconds = meaning.seconds.iter().map(|second| start + second);
                    let last = found.last().copied();
                    found.extend(seconds.filter(|second| Some(*second) != last));
                }
            }
        }
        found
    }
}
