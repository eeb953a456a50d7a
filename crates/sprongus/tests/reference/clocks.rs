//! What clock changes do to a daily job, computed by the calendar: the table in `docs/schedules.md`.

use std::fmt::Write as _;

use sprongus::core::calendar::civil::CivilTime;
use sprongus::core::calendar::zone::{Change, SystemZones, Zone, ZoneData};
use sprongus::core::calendar::{Cron, Dst, Recurrence, Zones};
use sprongus::core::values::time::Timestamp;

/// Zones that change in ways of their own: on the hour and not, by an hour, by half of one and by two, at midnight and before it.
const ZONES: [&str; 12] = [
    "America/New_York",
    "Europe/London",
    "Europe/Dublin",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Beirut",
    "Africa/Cairo",
    "Atlantic/Azores",
    "America/Santiago",
    "America/Nuuk",
    "Antarctica/Troll",
    "Africa/Casablanca",
];

/// The stretch that is told, to its end.
const STRETCH: (&str, &str) = ("2026-11-01T00:00:00Z", "2028-01-01T00:00:00Z");

/// The job where a change leaves 02:30 alone is at a time in the middle of it.
const JOB: i64 = 2 * 3_600 + 30 * 60;

pub const HEADING: &str = "## Clock changes from November 2026 to December 2027\n";

/// The section, from its heading on.
pub fn section() -> String {
    let mut section = format!(
        "{HEADING}
What the next clock changes do to a job that runs every day, computed from the zone data in the program ({}). The job is at 02:30 where
the change affects that time, otherwise at a time that it affects. Times are local.

| zone | clocks change | UTC offset | job | `dst = \"once\"` | `dst = \"literal\"` |
| --- | --- | --- | --- | --- | --- |
",
        ZoneData::bundled().version
    );
    let mut unchanged = Vec::new();
    for name in ZONES {
        let zone = SystemZones::bundled().zone(name).expect("a zone of the bundled copy");
        let changes = kinds_of_changes(&zone);
        if changes.is_empty() {
            unchanged.push(format!("`{name}`"));
        }
        for change in changes {
            writeln!(section, "{}", row(&zone, &change)).expect("text");
        }
    }
    if !unchanged.is_empty() {
        writeln!(section, "\nWithout a change in that time: {}.", unchanged.join(", ")).expect("text");
    }
    section
}

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

/// The first change of each kind: by so much, from this time of day.
fn kinds_of_changes(zone: &Zone) -> Vec<Change> {
    let (mut at, end) = (time(STRETCH.0), time(STRETCH.1));
    let mut found: Vec<Change> = Vec::new();
    while let Some(change) = zone.next_change(at).filter(|change| change.at < end) {
        at = change.at;
        let kind = |change: &Change| (change.forward(), change.from().second_of_day());
        if found.iter().all(|other| kind(other) != kind(&change)) {
            found.push(change);
        }
    }
    found
}

fn row(zone: &Zone, change: &Change) -> String {
    let (from, to) = (change.from(), change.to());
    let (first, last) = (from.min(to), from.max(to));
    // What is skipped or repeated lies in [first, last).
    let usual = CivilTime::from_seconds(first.as_seconds() - first.second_of_day() + JOB);
    let middle = CivilTime::from_seconds((first.as_seconds() + last.as_seconds()) / 2);
    let job = if (first..last).contains(&usual) { usual } else { middle };
    let [once, literal] = [Dst::Once, Dst::Literal].map(|dst| ticks(zone, change, job, dst));
    let way = if change.forward() > 0 { "forward" } else { "back" };
    format!(
        "| `{}` | {} {}, {way} to {} | {} to {} | {} | {once} | {literal} |",
        zone.name(),
        from.date(),
        of_day(from),
        of_day(to),
        offset(change.before),
        offset(change.after),
        of_day(job),
    )
}

/// When a daily job at `job` runs around a change.
fn ticks(zone: &Zone, change: &Change, job: CivilTime, dst: Dst) -> String {
    let (hour, minute) = (job.second_of_day() / 3_600, job.second_of_day() / 60 % 60);
    let cron = Cron::parse(&format!("{minute} {hour} * * *")).expect("an expression");
    let recurrence = Recurrence::cron(cron, zone.clone(), dst);
    let reach = change.forward().abs() * 1_000;
    let begin = Timestamp::from_millis(change.at.as_millis() - reach - 1);
    // A gap has no instants: its ticks are at its end.
    let end = change.at.as_millis() + if change.forward() > 0 { 1 } else { reach };
    let told: Vec<String> = recurrence
        .ticks(begin)
        .map(|tick| tick.at)
        .take_while(|at| at.as_millis() < end)
        .map(|at| {
            let shown = zone.civil(at);
            let at = shown.as_seconds() - at.as_millis().div_euclid(1_000);
            format!("{} ({})", of_day(shown), offset(at))
        })
        .collect();
    match told.as_slice() {
        [] => "does not run".to_owned(),
        [one] => format!("once, at {one}"),
        many => format!("{} times, at {}", many.len(), many.join(" and ")),
    }
}

/// `02:30`.
fn of_day(time: CivilTime) -> String {
    let second = time.second_of_day();
    format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
}

/// `-04:00`.
fn offset(seconds: i64) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", seconds.abs() / 3_600, seconds.abs() / 60 % 60)
}
