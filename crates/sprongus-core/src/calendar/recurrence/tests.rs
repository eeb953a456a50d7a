//! Instants that can be looked up in an almanac; the oracle in `tests/calendar` compares all others.

use super::super::zone::{SystemZones, ZoneData, Zones};
use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    SystemZones::bundled().zone(name).unwrap()
}

fn recurrence(cron: &str, zone_name: &str, dst: Dst) -> Recurrence {
    Recurrence::cron(cron.parse().unwrap(), zone(zone_name), dst)
}

/// The ticks from one instant to another as text: `03-28T01:00`, in UTC.
fn between(recurrence: &Recurrence, from: &str, to: &str) -> Vec<String> {
    let (from, to) = (time(from), time(to));
    let after = Timestamp::from_millis(from.as_millis() - 1);
    let ticks = recurrence.ticks(after).take_while(|tick| tick.at < to);
    let found: Vec<Timestamp> = ticks.map(|tick| tick.at).collect();
    let mut back = Vec::new();
    let mut before = to;
    while let Some(tick) = recurrence.prev(before).filter(|tick| tick.at >= from) {
        before = tick.at;
        back.insert(0, tick.at);
    }
    assert_eq!(found, back, "forward and back");
    let tally = recurrence.tally(after, Timestamp::from_millis(to.as_millis() - 1));
    assert_eq!(tally.map_or(0, |tally| tally.count), found.len() as u64, "counted");
    found.iter().map(|at| at.to_string()[5..16].to_owned()).collect()
}

#[test]
fn a_skipped_time_has_its_tick_at_the_first_instant_after_the_gap() {
    let day = ("2027-03-28T00:00:00Z", "2027-03-29T00:00:00Z");
    let once = |cron| between(&recurrence(cron, "Europe/London", Dst::Once), day.0, day.1);
    // From 01:00 to 02:00, at 01:00 UTC.
    assert_eq!(once("30 1 * * *"), ["03-28T01:00"]);
    assert_eq!(once("59 1 * * *"), ["03-28T01:00"]);
    // Several together once, with one that the clock shows then.
    assert_eq!(once("*/15 1 * * *"), ["03-28T01:00"]);
    assert_eq!(once("0,30 1,2 * * *"), ["03-28T01:00", "03-28T01:30"]);
    assert_eq!(once("0 2 * * *"), ["03-28T01:00"]);
    assert_eq!(once("30 2 * * *"), ["03-28T01:30"]);
    let literal = |cron| between(&recurrence(cron, "Europe/London", Dst::Literal), day.0, day.1);
    assert_eq!(literal("30 1 * * *"), [""; 0]);
    assert_eq!(literal("0,30 1,2 * * *"), ["03-28T01:00", "03-28T01:30"]);
}

#[test]
fn a_repeated_time_has_its_tick_the_first_time() {
    let day = ("2027-10-31T00:00:00Z", "2027-11-01T00:00:00Z");
    // From 02:00 back to 01:00, at 01:00 UTC.
    let once = |cron| between(&recurrence(cron, "Europe/London", Dst::Once), day.0, day.1);
    assert_eq!(once("30 1 * * *"), ["10-31T00:30"]);
    assert_eq!(once("0 1,2 * * *"), ["10-31T00:00", "10-31T02:00"]);
    // A 02:00 job does not run twice because the hour before it was repeated.
    assert_eq!(once("0 2 * * *"), ["10-31T02:00"]);
    let literal = |cron| between(&recurrence(cron, "Europe/London", Dst::Literal), day.0, day.1);
    assert_eq!(literal("30 1 * * *"), ["10-31T00:30", "10-31T01:30"]);
    assert_eq!(literal("0 2 * * *"), ["10-31T02:00"]);
}

#[test]
fn an_expression_of_all_hours_keeps_every_hour() {
    for dst in [Dst::Once, Dst::Literal] {
        let spring = recurrence("0 * * * *", "Europe/London", dst);
        assert_eq!(between(&spring, "2027-03-28T00:00:00Z", "2027-03-29T00:00:00Z").len(), 24);
        let autumn = recurrence("*/30 0-23 * * *", "Europe/London", dst);
        assert_eq!(between(&autumn, "2027-10-31T00:00:00Z", "2027-11-01T00:00:00Z").len(), 48);
    }
    let most = recurrence("0 0-22 * * *", "Europe/London", Dst::Once);
    assert_eq!(between(&most, "2027-10-30T23:00:00Z", "2027-11-01T00:00:00Z").len(), 23);
}

#[test]
fn midnight_is_not_lost_where_the_clock_changes_at_midnight() {
    for (name, from, to, first) in [
        (
            "Asia/Beirut",
            "2027-03-26T22:00:00Z",
            "2027-03-29T00:00:00Z",
            "03-26T22:00 03-27T22:00 03-28T21:00",
        ),
        ("Africa/Cairo", "2027-04-29T00:00:00Z", "2027-05-01T00:00:00Z", "04-29T22:00 04-30T21:00"),
        (
            "Atlantic/Azores",
            "2027-03-27T00:00:00Z",
            "2027-03-29T12:00:00Z",
            "03-27T01:00 03-28T01:00 03-29T00:00",
        ),
        (
            "Atlantic/Azores",
            "2027-10-30T00:00:00Z",
            "2027-11-01T12:00:00Z",
            "10-30T00:00 10-31T00:00 11-01T01:00",
        ),
        (
            "America/Santiago",
            "2027-09-04T00:00:00Z",
            "2027-09-07T00:00:00Z",
            "09-04T04:00 09-05T04:00 09-06T03:00",
        ),
        (
            "America/Santiago",
            "2027-04-03T00:00:00Z",
            "2027-04-06T00:00:00Z",
            "04-03T03:00 04-04T04:00 04-05T04:00",
        ),
        (
            "America/Nuuk",
            "2027-03-27T00:00:00Z",
            "2027-03-29T12:00:00Z",
            "03-27T02:00 03-28T01:00 03-29T01:00",
        ),
    ] {
        let daily = recurrence("@daily", name, Dst::Once);
        assert_eq!(between(&daily, from, to).join(" "), first, "{name}");
    }
    // And no week, and no month.
    let weekly = recurrence("@weekly", "Asia/Beirut", Dst::Once);
    assert_eq!(
        between(&weekly, "2027-03-20T00:00:00Z", "2027-04-10T00:00:00Z"),
        ["03-20T22:00", "03-27T22:00", "04-03T21:00"]
    );
    let last = recurrence("0 0 LW * *", "Africa/Cairo", Dst::Once);
    assert_eq!(between(&last, "2027-04-15T00:00:00Z", "2027-05-15T00:00:00Z"), ["04-29T22:00"]);
}

#[test]
fn changes_of_half_an_hour_and_of_two_are_whole() {
    let troll = recurrence("30 1,2 * * *", "Antarctica/Troll", Dst::Once);
    assert_eq!(
        between(&troll, "2027-03-28T00:00:00Z", "2027-03-29T00:00:00Z"),
        ["03-28T01:00", "03-28T23:30"]
    );
    let howe = recurrence("15 2 * * *", "Australia/Lord_Howe", Dst::Once);
    assert_eq!(between(&howe, "2027-10-02T00:00:00Z", "2027-10-03T00:00:00Z"), ["10-02T15:30"]);
    let howe = recurrence("45 1 * * *", "Australia/Lord_Howe", Dst::Once);
    assert_eq!(between(&howe, "2027-04-03T00:00:00Z", "2027-04-04T00:00:00Z"), ["04-03T14:45"]);
    let howe = recurrence("45 1 * * *", "Australia/Lord_Howe", Dst::Literal);
    assert_eq!(
        between(&howe, "2027-04-03T00:00:00Z", "2027-04-04T00:00:00Z"),
        ["04-03T14:45", "04-03T15:15"]
    );
    let chatham = recurrence("0 3 * * *", "Pacific/Chatham", Dst::Once);
    assert_eq!(between(&chatham, "2027-09-25T00:00:00Z", "2027-09-26T00:00:00Z"), ["09-25T14:00"]);
}

#[test]
fn a_day_that_a_country_left_out_is_one_tick() {
    // Samoa had no 30 December 2011.
    let hourly = recurrence("0 0,12 * * *", "Pacific/Apia", Dst::Once);
    let found = between(&hourly, "2011-12-29T10:00:00Z", "2011-12-31T00:00:00Z");
    assert_eq!(found, ["12-29T10:00", "12-29T22:00", "12-30T10:00", "12-30T22:00"]);
}

#[test]
fn next_is_after_what_was_asked_to_the_millisecond() {
    let hourly = recurrence("30 * * * *", "America/New_York", Dst::Once);
    for (after, found) in [
        ("2027-11-07T05:29:59.999Z", "2027-11-07T05:30:00.000Z"),
        ("2027-11-07T05:30:00.000Z", "2027-11-07T06:30:00.000Z"),
        ("2027-11-07T05:30:00.001Z", "2027-11-07T06:30:00.000Z"),
        ("2027-11-07T06:30:00.000Z", "2027-11-07T07:30:00.000Z"),
    ] {
        assert_eq!(hourly.next(time(after)).unwrap().at.to_string(), found);
    }
    assert_eq!(hourly.prev(time("2027-11-07T06:30:00.001Z")).unwrap().at, time("2027-11-07T06:30:00Z"));
    assert_eq!(hourly.prev(time("2027-11-07T06:30:00.000Z")).unwrap().at, time("2027-11-07T05:30:00Z"));
}

#[test]
fn ticks_are_from_the_start_inclusive_to_the_end_exclusive() {
    let daily = || recurrence("@daily", "UTC", Dst::Once);
    let bounded = daily().starting_at(time("2026-12-02T00:00:00Z")).ending_at(time("2026-12-04T00:00:00Z"));
    assert_eq!(
        between(&bounded, "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ["12-02T00:00", "12-03T00:00"]
    );
    assert_eq!(bounded.next(time("2026-12-03T00:00:00Z")), None);
    assert_eq!(bounded.prev(time("2026-12-02T00:00:00Z")), None);
    let late = daily().starting_at(time("2026-12-02T00:00:00.001Z"));
    assert_eq!(late.next(time("2026-12-01T12:00:00Z")).unwrap().at, time("2026-12-03T00:00:00Z"));
}

#[test]
fn an_interval_counts_from_its_first_tick() {
    let first = time("2026-12-01T00:00:00.250Z");
    let every =
        Recurrence::every(first, Duration::from_secs(90)).unwrap().ending_at(time("2026-12-01T00:06:00Z"));
    let found = between(&every, "2026-11-01T00:00:00Z", "2026-12-02T00:00:00Z");
    assert_eq!(found, ["12-01T00:00", "12-01T00:01", "12-01T00:03", "12-01T00:04"]);
    assert_eq!(every.next(first).unwrap().at, time("2026-12-01T00:01:30.250Z"));
    for (interval, said) in
        [(999, "an interval below one second: 999ms"), (0, "an interval below one second: 0ns")]
    {
        let error = Recurrence::every(first, Duration::from_millis(interval)).unwrap_err();
        assert_eq!((error.message(), error.hint()), (said, "use 1s or more, in whole milliseconds"));
    }
    assert!(Recurrence::every(first, Duration::from_nanos(1_000_000_001)).is_err());
    let longest = Recurrence::every(first, Duration::from_secs(u64::MAX)).unwrap();
    assert_eq!(longest.next(first), None);
    assert_eq!(longest.next(time("2026-11-01T00:00:00Z")).unwrap().at, first);
}

#[test]
fn a_tick_tells_the_civil_time_that_it_is_for() {
    let civil = |cron: &str, after: &str| {
        let tick = recurrence(cron, "Europe/London", Dst::Once).next(time(after)).unwrap();
        tick.civil.unwrap().to_string()
    };
    assert_eq!(civil("30 1 * * *", "2027-03-28T00:00:00Z"), "2027-03-28T01:30:00");
    assert_eq!(civil("*/20 1 * * *", "2027-03-28T00:00:00Z"), "2027-03-28T01:40:00");
    assert_eq!(civil("0,20 1,2 * * *", "2027-03-28T00:00:00Z"), "2027-03-28T02:00:00");
    assert_eq!(civil("30 1 * * *", "2027-10-31T00:00:00Z"), "2027-10-31T01:30:00");
}

#[test]
fn processes_with_different_zone_data_have_one_tick_for_a_civil_time() {
    let data =
        |version: &str| ZoneData { source: "made for this test".to_owned(), version: version.to_owned() };
    // By the older data the clock is set forward in March as ever; by the newer one the country has stopped doing so.
    let older = Zone::from_rule("Test/Zone", "AAA-1BBB,M3.5.0/1,M10.5.0/2", data("2025b")).unwrap();
    let newer = Zone::from_rule("Test/Zone", "AAA-1", data("2026f")).unwrap();
    let zones = [older, newer];
    for cron in ["30 1 * * *", "15,45 0-2 * * *", "*/10 2,3 * * *", "0 0 * * *", "59 59 23 * * *"] {
        for seed in 0..16_u64 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut cursor = Cursor::from(time("2027-03-25T00:00:00Z"));
            let mut seen = std::collections::BTreeSet::new();
            while cursor.at < time("2027-04-02T00:00:00Z") {
                let zone = zones[random.usize(..2)].clone();
                let tick = Recurrence::cron(cron.parse().unwrap(), zone, Dst::Once).next(cursor).unwrap();
                assert!(tick.at > cursor.at && seen.insert(tick.civil), "{cron}: {tick:?} again");
                cursor = tick.into();
            }
        }
    }
}

#[test]
fn the_years_end_at_9999() {
    let yearly = recurrence("@yearly", "Europe/London", Dst::Once);
    assert_eq!(yearly.next(time("9999-06-01T00:00:00Z")), None);
    assert_eq!(yearly.prev(time("9999-06-01T00:00:00Z")).unwrap().at, time("9999-01-01T00:00:00Z"));
    assert_eq!(yearly.prev(Timestamp::from_millis(i64::MIN)), None);
    assert!(yearly.next(Timestamp::from_millis(i64::MIN)).is_some());
    let minutely = recurrence("* * * * *", "Pacific/Apia", Dst::Once);
    let all = minutely.tally(Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)).unwrap();
    assert!(all.count > 5_000_000_000, "{all:?}");
}

#[test]
fn what_is_counted_is_what_comes_however_near_a_clock_change_it_begins() {
    let data = ZoneData { source: "made for this test".to_owned(), version: "1".to_owned() };
    let civil = |text: &str| CivilTime::from_seconds(time(text).as_millis() / 1000);
    let changing = "AAA0BBB,J334/21:29:00,J150/0";
    for (rule, cron) in [
        ("AAA0BBB,J334/21:32:04,J150/0", "* * 0-8,10-23 * * *"),
        ("AAA0", "* * 0-8,10-23 * * *"),
        (changing, "* * 0-8,10-23 * * *"),
        (changing, "* * * * * *"),
    ] {
        let zone = Zone::from_tzif("Test/Zone", &tzif(rule), data.clone()).unwrap();
        let recurrence = Recurrence::cron(cron.parse().unwrap(), zone, Dst::Once);
        for from in (0..20).chain(180..215) {
            for ahead in [0, 3_600] {
                let at = Timestamp::from_millis(time("2026-11-30T21:28:50Z").as_millis() + from * 1_000);
                let mark = civil(&Timestamp::from_millis(at.as_millis() + ahead * 1_000).to_string());
                for cursor in [Cursor { at, civil: None }, Cursor { at, civil: Some(mark) }] {
                    for more in [0, 1, 999, 1_000, 1_999, 2_000, 2_999, 3_000, 15_000, 4_000_000] {
                        let end = Timestamp::from_millis(at.as_millis() + more);
                        let walked =
                            recurrence.ticks(cursor).take_while(|tick| tick.at <= end).count() as u64;
                        let counted = recurrence.tally(cursor, end).map_or(0, |tally| tally.count);
                        assert_eq!(counted, walked, "{rule} {cron} {cursor:?} to {end}");
                    }
                }
            }
        }
    }
}

/// A file of zone data whose rule says all ([RFC 9636](https://www.rfc-editor.org/rfc/rfc9636)): it has no change of its own.
fn tzif(rule: &str) -> Vec<u8> {
    let mut block = b"TZif2".to_vec();
    block.extend([0; 15]);
    for count in [0_u32, 0, 0, 0, 1, 4] {
        block.extend(count.to_be_bytes());
    }
    block.extend([0; 6]);
    block.extend(b"AAA\0");
    [&block[..], &block, format!("\n{rule}\n").as_bytes()].concat()
}
