//! Scene headings: what is one, and what it says of setting, place and time.

/// A heading taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) setting: Option<String>,
    pub(crate) location: String,
    pub(crate) time_of_day: Option<String>,
}

/// Longer ones first: `INT` begins `INT./EXT`.
const SETTINGS: [(&str, &str); 9] = [
    ("INT./EXT", "INT/EXT"),
    ("EXT./INT", "INT/EXT"),
    ("INT/EXT", "INT/EXT"),
    ("EXT/INT", "INT/EXT"),
    ("I./E", "INT/EXT"),
    ("I/E", "INT/EXT"),
    ("INT", "INT"),
    ("EXT", "EXT"),
    ("EST", "EST"),
];

/// Words of which a heading's last part has one if it is a time of day; `INT. HOUSE - CELLAR` has none.
const TIMES: [&str; 24] = [
    "DAY",
    "NIGHT",
    "MORNING",
    "EVENING",
    "AFTERNOON",
    "NOON",
    "MIDNIGHT",
    "MIDDAY",
    "DUSK",
    "DAWN",
    "SUNSET",
    "SUNRISE",
    "SUNDOWN",
    "TWILIGHT",
    "NIGHTFALL",
    "DAYBREAK",
    "HOUR",
    "LATER",
    "CONTINUOUS",
    "CONT'D",
    "MOMENTS",
    "SAME",
    "AM",
    "PM",
];

/// Whether a line begins like a scene heading.
pub(crate) fn is_heading(line: &str) -> bool {
    setting(line).is_some()
}

/// The heading without its scene number (`INT. LOFT - DAY #12A#`), and the number.
pub(crate) fn split_number(line: &str) -> (&str, Option<&str>) {
    let line = line.trim();
    let numbered = line.strip_suffix('#').and_then(|rest| rest.rsplit_once('#'));
    match numbered {
        Some((heading, number)) if is_number(number.trim()) && !heading.trim().is_empty() => {
            (heading.trim_end(), Some(number.trim()))
        }
        Some(_) | None => (line, None),
    }
}

/// Scene numbers are `1`, `12A`, `110-A`, `I-1.`: short, of letters, digits, dashes and periods.
pub(crate) fn is_number(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && text.bytes().any(|b| b.is_ascii_alphanumeric())
}

/// Takes a heading apart.
pub(crate) fn place(heading: &str) -> Place {
    let (setting, rest) = match setting(heading) {
        Some((setting, rest)) => (Some(setting.to_owned()), rest),
        None => (None, heading),
    };
    let (location, time) = match split_time(rest) {
        Some((location, time)) => (location, Some(time.trim().to_owned())),
        None => (rest, None),
    };
    Place { setting, location: location.trim().to_owned(), time_of_day: time }
}

fn setting(line: &str) -> Option<(&'static str, &str)> {
    SETTINGS.iter().find_map(|(written, setting)| {
        let start = line.get(..written.len())?;
        let rest = &line[written.len()..];
        let ends = rest.starts_with(['.', ' ']) && start.eq_ignore_ascii_case(written);
        ends.then(|| (*setting, rest.trim_start_matches('.').trim_start()))
    })
}

fn split_time(rest: &str) -> Option<(&str, &str)> {
    let (location, time) =
        [" - ", " – ", " — "].iter().filter_map(|dash| rest.rsplit_once(dash)).max_by_key(
            // The last dash of whichever kind.
            |(location, _)| location.len(),
        )?;
    let is_time = time
        .to_uppercase()
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .any(|word| TIMES.contains(&word));
    is_time.then_some((location, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_apart(heading: &str) -> (Option<String>, String, Option<String>) {
        let place = place(heading);
        (place.setting, place.location, place.time_of_day)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn headings_come_apart() {
        let cases = [
            ("INT. LOFT - DAY", some("INT"), "LOFT", some("DAY")),
            ("ext harbour – late afternoon", some("EXT"), "harbour", some("late afternoon")),
            ("INT./EXT. CAR - MOVING - NIGHT", some("INT/EXT"), "CAR - MOVING", some("NIGHT")),
            ("I/E. TRAM", some("INT/EXT"), "TRAM", None),
            ("INT. HOUSE - CELLAR", some("INT"), "HOUSE - CELLAR", None),
            ("THE LONG DREAM", None, "THE LONG DREAM", None),
        ];
        for (heading, setting, location, time) in cases {
            assert_eq!(taken_apart(heading), (setting, location.to_owned(), time), "{heading}");
        }
    }

    #[test]
    fn words_that_begin_alike_are_no_headings() {
        for line in ["INTERIOR MONOLOGUE", "Extra chairs.", "ESTHER", "int", "é. X"] {
            assert!(!is_heading(line), "{line}");
        }
    }

    #[test]
    fn a_number_stands_last_between_hashes() {
        assert_eq!(split_number("INT. LOFT - DAY #12A#"), ("INT. LOFT - DAY", Some("12A")));
        assert_eq!(split_number("INT. LOFT #1 - DAY"), ("INT. LOFT #1 - DAY", None));
        assert_eq!(split_number("INT. LOFT ##"), ("INT. LOFT ##", None));
        assert_eq!(split_number("#1#"), ("#1#", None));
    }
}
