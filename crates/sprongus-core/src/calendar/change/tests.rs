//! Sentences about clock changes.

use super::super::zone::{SystemZones, Zone, Zones};
use super::*;

/// The sentence about the first change in 2027.
fn next_change(cron: &str, zone: &str, dst: Dst, after: &str) -> String {
    let zone = SystemZones::bundled().zone(zone).unwrap();
    let recurrence = Recurrence::cron(cron.parse().unwrap(), zone, dst);
    let sentence = changes(&recurrence, after.parse().unwrap()).next().map(|change| change.to_string());
    sentence.unwrap_or_default()
}

const SPRING: &str = "2027-01-01T00:00:00Z";
const AUTUMN: &str = "2027-06-01T00:00:00Z";

#[test]
fn a_clock_change_is_told_in_a_sentence() {
    for (cron, zone, dst, after, sentence) in [
        (
            "30 2 * * *",
            "Europe/London",
            Dst::Once,
            SPRING,
            "On 2027-03-28 at 01:00, clocks in Europe/London go forward 1 hour to 02:00: no tick is affected",
        ),
        (
            "30 1 * * *",
            "Europe/London",
            Dst::Once,
            SPRING,
            "On 2027-03-28 at 01:00, clocks in Europe/London go forward 1 hour to 02:00: 01:30 is skipped and fires at 02:00 instead",
        ),
        (
            "*/15 1 * * *",
            "Europe/London",
            Dst::Once,
            SPRING,
            "On 2027-03-28 at 01:00, clocks in Europe/London go forward 1 hour to 02:00: 4 times from 01:00 to 01:45 are skipped and fire once, at 02:00",
        ),
        (
            "30 1 * * *",
            "Europe/London",
            Dst::Literal,
            SPRING,
            "On 2027-03-28 at 01:00, clocks in Europe/London go forward 1 hour to 02:00: 01:30 is skipped and does not fire",
        ),
        (
            "0,30 1 * * *",
            "Europe/London",
            Dst::Literal,
            SPRING,
            "On 2027-03-28 at 01:00, clocks in Europe/London go forward 1 hour to 02:00: 2 times from 01:00 to 01:30 are skipped and do not fire",
        ),
        (
            "30 1 * * *",
            "Europe/London",
            Dst::Once,
            AUTUMN,
            "On 2027-10-31 at 02:00, clocks in Europe/London go back 1 hour to 01:00: 01:30 comes twice and fires the first time",
        ),
        (
            "0 * * * *",
            "Europe/London",
            Dst::Once,
            AUTUMN,
            "On 2027-10-31 at 02:00, clocks in Europe/London go back 1 hour to 01:00: 01:00 comes twice and fires both times",
        ),
        (
            "*/10 1 * * *",
            "Australia/Lord_Howe",
            Dst::Once,
            SPRING,
            "On 2027-04-04 at 02:00, clocks in Australia/Lord_Howe go back 30 minutes to 01:30: 3 times from 01:30 to 01:50 come twice and fire the first time",
        ),
        (
            "0 0 * * *",
            "Asia/Beirut",
            Dst::Once,
            SPRING,
            "On 2027-03-28 at 00:00, clocks in Asia/Beirut go forward 1 hour to 01:00: 00:00 is skipped and fires at 01:00 instead",
        ),
    ] {
        assert_eq!(next_change(cron, zone, dst, after), sentence);
    }
}

#[test]
fn an_interval_and_a_zone_without_changes_have_none() {
    assert_eq!(next_change("0 0 * * *", "Asia/Kolkata", Dst::Once, SPRING), "");
    let utc = Recurrence::cron("0 0 * * *".parse().unwrap(), Zone::utc(), Dst::Once);
    assert_eq!(changes(&utc, SPRING.parse().unwrap()).next(), None);
    let every = Recurrence::every(SPRING.parse().unwrap(), std::time::Duration::from_secs(60)).unwrap();
    assert_eq!(changes(&every, SPRING.parse().unwrap()).next(), None);
}

#[test]
fn a_year_of_changes_is_in_order() {
    let zone = SystemZones::bundled().zone("Europe/London").unwrap();
    let recurrence = Recurrence::cron("30 1 * * SUN".parse().unwrap(), zone, Dst::Once);
    let year =
        changes(&recurrence, SPRING.parse().unwrap()).take(3).map(|change| change.change.at.to_string());
    assert_eq!(
        year.collect::<Vec<_>>(),
        ["2027-03-28T01:00:00.000Z", "2027-10-31T01:00:00.000Z", "2028-03-26T01:00:00.000Z"]
    );
}
