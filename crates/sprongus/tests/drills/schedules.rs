//! Schedules on bad days: processes killed at random, clocks that are wrong, zone data that differs, a server that dies. Each tick ends
//! once, as a run or in an event that counts it.
//!
//! The control is the mutant without the cursor (`mutants.rs`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sprongus::core::values::time::{Clock, SystemClock, Timestamp};
use sprongus::postgres::Durability;
use sprongus_throwaway::{Server, Settings};

use crate::backing::{Backing, Place, on_both};
use crate::history::History;
use crate::project_folder::ProjectFolder;
use crate::tempo::{chances, eventually, form};
use crate::tzif::tzif;
use crate::worker::WorkerProcess;

on_both!(each_tick_ends_once);

const OVERLAPS: [&str; 5] = ["allow", "skip", "queue_one", "queue_all", "cancel_running"];
const MISSED: [&str; 3] = ["last", "skip", "all"];
const PATIENCE: Duration = Duration::from_secs(60);
const OUTAGE: Duration = Duration::from_secs(5);

/// One process: how wrong its clock is, in seconds, and whether its zone data is the older.
#[derive(Clone, Copy)]
struct Looker {
    clock: i32,
    is_older: bool,
}

/// On a server the database's clock counts; on a file that of each process, so there they are right.
fn lookers(backing: Backing) -> Vec<Looker> {
    let clocks: &[i32] = match backing {
        Backing::File => &[0; 4],
        Backing::Postgres => &[0, 0, 0, 0, 3_600, 3_600, -3_600, -3_600],
    };
    let older = clocks.len() / 4;
    clocks.iter().enumerate().map(|(at, &clock)| Looker { clock, is_older: at < older }).collect()
}

fn each_tick_ends_once(backing: Backing) {
    let (schedules, seconds, kills) = form((10, 14, 5), (60, 180, 60));
    let (mut chance, seed) = chances();
    let durability = sprongus_throwaway::Durability::Full;
    let server = (backing == Backing::Postgres)
        .then(|| Server::start(Settings { durability, ..Settings::default() }).unwrap());
    let project = match &server {
        Some(server) => ProjectFolder::with(Place::on(server, Durability::PowerCut)),
        None => ProjectFolder::new(backing),
    };
    let zones = Zones::make(project.path(), Duration::from_secs(seconds / 2));
    let clock = shim(project.path());
    project.declare("[kinds.note]\ncommand = [\"true\"]\n");
    for number in 0..schedules {
        project.declare(&schedule(number));
    }
    let applied = crate::project_folder::finished(project.sprongus(&["apply"]).env("TZDIR", &zones.newer));
    assert_eq!(applied.code, Some(0), "{applied:?}");

    let start = |looker: Looker| {
        let zone = if looker.is_older { &zones.older } else { &zones.newer };
        project.worker_with(&["--concurrency", "2", "--lease", "3s"], |command| {
            command.env("TZDIR", zone);
            if looker.clock != 0 {
                command.env("LD_PRELOAD", &clock).env("DRILL_CLOCK_OFFSET", looker.clock.to_string());
            }
        })
    };
    let lookers = lookers(backing);
    let mut crew: Vec<WorkerProcess> = lookers.iter().map(|&looker| start(looker)).collect();
    let restarts = [kills / 3, 2 * kills / 3];
    for number in 0..kills {
        std::thread::sleep(Duration::from_millis(chance.u64(..2 * 1_000 * seconds / kills)));
        let one = chance.usize(..crew.len());
        crew[one].kill();
        if let Some(server) = server.as_ref().filter(|_| restarts.contains(&number)) {
            server.kill().unwrap();
            server.start_again().unwrap();
        }
        crew[one] = start(lookers[one]);
        // All are gone for longer than what is late is still due: a third of the schedules have ticks to skip.
        if number == kills / 2 {
            crew.iter_mut().for_each(WorkerProcess::kill);
            std::thread::sleep(OUTAGE);
            crew = lookers.iter().map(|&looker| start(looker)).collect();
        }
    }
    // Who starts beside a file applies what lies beside it: not when it is deleted.
    crew.iter().for_each(|worker| drop(worker.id()));
    // What waits for a run is dropped and counted, and what is skipped is written down.
    for number in 0..schedules {
        let id = format!("tick-{number}");
        let words = ["schedules", "delete", &id, "--yes"];
        eventually("a schedule is deleted", PATIENCE, || {
            crate::project_folder::finished(project.sprongus(&words).env("TZDIR", &zones.newer)).code
                == Some(0)
        });
    }
    drop(crew);

    let history = project.history();
    let mut total = Ticks::default();
    for number in 0..schedules {
        let ticks = ticks_of(&history, backing, number);
        total.runs += ticks.runs;
        total.skipped += ticks.skipped;
    }
    assert!(total.runs > schedules && total.skipped > 0, "{total:?}");
    println!(
        "schedules on {backing:?}: seed {seed}: {kills} kills of {} processes: {} ticks of {schedules} schedules, {} runs and {} \
         skipped, each once",
        lookers.len(),
        total.runs + total.skipped,
        total.runs,
        total.skipped
    );
}

/// Every second, by an interval or by a clock; a third of them misses what is two seconds late.
fn schedule(number: u64) -> String {
    let at = |words: &'static [&'static str], step: u64| {
        words[usize::try_from(number / step).unwrap() % words.len()]
    };
    let when = if number.is_multiple_of(2) {
        "every = \"1s\"".to_owned()
    } else {
        // Not every hour: then a civil time has one tick, however often the clock shows it.
        let far = (SystemClock.now().as_millis() / 3_600_000 + 12) % 24;
        let hours: Vec<String> = (0..24).filter(|hour| *hour != far).map(|hour| hour.to_string()).collect();
        format!("cron = \"* * {} * * *\"\ntime_zone = \"Drill/Zone\"", hours.join(","))
    };
    format!(
        "[schedules.\"tick-{number}\"]\nkind = \"note\"\n{when}\noverlap = \"{}\"\nmissed = \"{}\"\nmissed_after = \"{}s\"\n",
        at(&OVERLAPS, 2),
        at(&MISSED, 1),
        if number.is_multiple_of(3) { 2 } else { 60 },
    )
}

#[derive(Debug, Default)]
struct Ticks {
    runs: u64,
    skipped: u64,
}

/// The ticks of a schedule from its creation to its deletion: none twice, none lost.
fn ticks_of(history: &History, backing: Backing, number: u64) -> Ticks {
    let id = format!("tick-{number}");
    let time = |column: &str| match backing {
        Backing::File => column.to_owned(),
        Backing::Postgres => {
            format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
        }
    };
    let read = |sql: &str| -> Vec<Vec<String>> {
        let rows = history.ask(sql).into_iter();
        rows.map(|row| row.into_iter().map(Option::unwrap_or_default).collect()).collect()
    };
    let millis = |text: &String| text.parse::<Timestamp>().unwrap().as_millis();
    let at = |kind: &str| {
        let sql =
            format!("SELECT {} FROM operator_events WHERE subject = '{id}' AND type = '{kind}'", time("at"));
        millis(&read(&sql)[0][0])
    };
    let (created, deleted) = (at("operator.schedule_created"), at("operator.schedule_deleted"));
    let first = if number.is_multiple_of(2) { created + 1_000 } else { (created + 999) / 1_000 * 1_000 };
    let expected = (deleted - first) / 1_000 + 1;

    let made: Vec<i64> =
        read(&format!("SELECT {} FROM runs WHERE schedule_id = '{id}'", time("scheduled_for")))
            .iter()
            .map(|row| millis(&row[0]))
            .collect();
    let unique: BTreeSet<i64> = made.iter().copied().collect();
    assert_eq!(unique.len(), made.len(), "{id}: a tick has two runs");
    let grid = unique.iter().all(|tick| (tick - first) % 1_000 == 0 && (first..=deleted).contains(tick));
    assert!(grid, "{id}: a run at no tick of it: {first} {unique:?}");
    let mut skipped = 0;
    let sql = format!(
        "SELECT state_after ->> 'count', state_after ->> 'from', state_after ->> 'to', state_after ->> 'reason'
        FROM operator_events WHERE subject = '{id}' AND type = 'schedule.skipped'"
    );
    let rows = read(&sql);
    for row in &rows {
        let (count, from, to) = (row[0].parse::<i64>().unwrap(), millis(&row[1]), millis(&row[2]));
        skipped += count;
        // One that has all ticks of its stretch has none that a run has.
        if count == (to - from) / 1_000 + 1 {
            assert_eq!(unique.range(from..=to).count(), 0, "{id}: skipped, and with a run: {row:?}");
        }
    }
    let made = i64::try_from(made.len()).unwrap();
    assert_eq!(
        made + skipped,
        expected,
        "{id}: {made} runs, {skipped} skipped, from {first} to {deleted}: {rows:?}"
    );
    Ticks { runs: made.unsigned_abs(), skipped: skipped.unsigned_abs() }
}

/// Two folders of zone data that differ in one zone.
struct Zones {
    older: PathBuf,
    newer: PathBuf,
}

impl Zones {
    /// By the newer the clock is set forward `later`; the older knows nothing of that.
    fn make(folder: &Path, later: Duration) -> Self {
        let change = SystemClock.now().plus(later).to_string();
        let (date, time) = change.split_once('T').unwrap();
        let parts: Vec<u32> = date.split('-').map(|part| part.parse().unwrap()).collect();
        // As `J` counts in a rule: without the 29th of February.
        let before: u32 =
            [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].iter().take(parts[1] as usize - 1).sum();
        let (day, time) = (before + parts[2], &time[..8]);
        let newer = format!("AAA0BBB,J{day}/{time},J{}/0", (day + 180) % 365 + 1);
        let zones = Self { older: folder.join("zones-older"), newer: folder.join("zones-newer") };
        for (place, rule) in [(&zones.older, "AAA0"), (&zones.newer, newer.as_str())] {
            fs::create_dir_all(place.join("Drill")).unwrap();
            fs::write(place.join("Drill/Zone"), tzif(rule)).unwrap();
        }
        zones
    }
}

/// What sets a process's clock wrong, built.
fn shim(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, include_str!("clock.c")).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output();
    let built = built.expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library
}
