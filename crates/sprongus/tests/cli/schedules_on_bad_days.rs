//! A file that was restored, a zone that is gone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use sprongus::core::values::time::Timestamp;

use crate::backing::Backing;
use crate::sandbox::Sandbox;
use crate::serve::terminate;
use crate::tzif::tzif;

const KIND: &str = "[kinds.report]\ncommand = [\"true\"]\n";

/// The ticks that have a run, oldest first.
fn ticks(sandbox: &Sandbox) -> Vec<i64> {
    let runs = sandbox.line("--json runs list --schedule often --limit 100").exits(0).json();
    let times = runs["data"].as_array().unwrap().iter().map(|run| run["scheduledFor"].as_str().unwrap());
    let mut ticks: Vec<i64> = times.map(|time| time.parse::<Timestamp>().unwrap().as_millis()).collect();
    ticks.sort_unstable();
    ticks
}

/// How many ticks the audit says were skipped.
fn skipped(sandbox: &Sandbox) -> u64 {
    let events = sandbox.line("--json audit list --type schedule.skipped").exits(0).json();
    events["data"].as_array().unwrap().iter().map(|event| event["after"]["count"].as_u64().unwrap()).sum()
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(180), "not within three minutes: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn start(sandbox: &Sandbox, zones: &Path) -> Child {
    sandbox.command(&["-q", "worker"]).env("TZDIR", zones).spawn().unwrap()
}

fn stop(mut worker: Child) {
    terminate(worker.id());
    worker.wait().unwrap();
}

/// What a worker does until so many ticks have runs.
fn work_until(sandbox: &Sandbox, count: usize) {
    let worker = start(sandbox, sandbox.path());
    until("the ticks have runs", || ticks(sandbox).len() >= count);
    stop(worker);
}

#[test]
fn a_restored_copy_goes_on_from_its_own_cursor_by_its_policy() {
    let sandbox = Sandbox::on(Backing::File);
    sandbox.write("sprongus.toml", KIND);
    let words =
        "schedules create often --kind report --every 1s --missed last --missed-after 1s --overlap allow";
    sandbox.line(words).exits(0);
    work_until(&sandbox, 2);
    sandbox.line("backup yesterday").exits(0);
    let kept = ticks(&sandbox);
    let skipped_then = skipped(&sandbox);
    work_until(&sandbox, kept.len() + 4);

    let file = sandbox.path().join(".sprongus/runs.db");
    for beside in ["-wal", "-shm"] {
        let name = format!("{}{beside}", file.display());
        assert!(fs::remove_file(&name).is_ok() || !Path::new(&name).exists(), "{name}");
    }
    fs::copy(sandbox.path().join("yesterday/runs.db"), &file).unwrap();
    assert_eq!((ticks(&sandbox), skipped(&sandbox)), (kept.clone(), skipped_then));
    work_until(&sandbox, kept.len() + 2);

    let made = ticks(&sandbox);
    let unique: BTreeSet<i64> = made.iter().copied().collect();
    assert_eq!((unique.len(), &made[..kept.len()]), (made.len(), &kept[..]), "{made:?}");
    let skipped = skipped(&sandbox);
    assert!(skipped > skipped_then, "what was missed since is skipped but for the last");
    let (first, last) = (made[0], made[made.len() - 1]);
    let all = u64::try_from((last - first) / 1_000 + 1).unwrap();
    assert_eq!(made.len() as u64 + skipped, all, "{made:?}, {skipped} skipped");
}

fn a_zone_that_vanishes_breaks_its_schedule_until_it_is_back(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let zones = sandbox.path().join("zones");
    fs::create_dir_all(zones.join("Test")).unwrap();
    let file = zones.join("Test/Zone");
    fs::write(&file, tzif("AAA-1")).unwrap();
    sandbox.write("sprongus.toml", KIND);
    let create = "schedules create often --kind report --overlap allow --tz Test/Zone --cron";
    let words: Vec<&str> = create.split(' ').chain(["* * * * * *"]).collect();
    assert!(sandbox.command(&words).env("TZDIR", &zones).status().unwrap().success());
    let state = || {
        let output = sandbox.command(&["--json", "schedules", "show", "often"]).env("TZDIR", &zones).output();
        let shown: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        shown["state"].as_str().unwrap().to_owned()
    };
    let worker = start(&sandbox, &zones);
    until("a tick has its run", || !ticks(&sandbox).is_empty());
    stop(worker);

    fs::remove_file(&file).unwrap();
    assert_eq!(state(), "active", "nobody has looked yet");
    let worker = start(&sandbox, &zones);
    until("it is broken", || state() == "broken");
    stop(worker);
    let made = ticks(&sandbox).len();
    let told = sandbox.line("--json audit list --type schedule.broken").exits(0).json();
    assert_eq!(told["data"].as_array().unwrap().len(), 1, "{told}");

    fs::write(&file, tzif("AAA-1")).unwrap();
    let worker = start(&sandbox, &zones);
    until("it has runs again", || ticks(&sandbox).len() > made);
    stop(worker);
    assert_eq!(state(), "active");
    let told = sandbox.line("--json audit list --type schedule.recovered").exits(0).json();
    assert_eq!(told["data"].as_array().unwrap().len(), 1, "{told}");
    let made = ticks(&sandbox);
    let unique: BTreeSet<i64> = made.iter().copied().collect();
    assert_eq!(unique.len(), made.len(), "{made:?}");
}

#[test]
fn a_zone_that_vanishes_from_beside_a_file() {
    a_zone_that_vanishes_breaks_its_schedule_until_it_is_back(Backing::File);
}

#[test]
fn a_zone_that_vanishes_from_beside_postgres() {
    a_zone_that_vanishes_breaks_its_schedule_until_it_is_back(Backing::Postgres);
}
