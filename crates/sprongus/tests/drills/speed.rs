//! The figures of the issue, by `sprongus bench` and by stop-watch. The short form, in a debug build beside other tests, only
//! sees that nothing is wrong by an order of magnitude.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use crate::backing::Backing;
use crate::project_folder::ProjectFolder;
use crate::tempo::{form, is_long};

/// The best of so many, for whoever else uses the machine.
const TRIES: usize = 3;

/// A figure, and where it should lie.
struct Bar {
    name: &'static str,
    /// The measure's line of `sprongus bench`, and its field.
    line: (&'static str, &'static str),
    at_least: f64,
    at_most: f64,
}

fn at_least(name: &'static str, line: (&'static str, &'static str), short: f64, long: f64) -> Bar {
    Bar { name, line, at_least: form(short, long), at_most: f64::INFINITY }
}

fn at_most(name: &'static str, line: (&'static str, &'static str), short: f64, long: f64) -> Bar {
    Bar { name, line, at_least: 0.0, at_most: form(short, long) }
}

/// Runs a measure until all its figures are where they should be, and prints every one.
fn hold(words: &[&str], bars: &[Bar]) {
    let mut missed = Vec::new();
    for attempt in 1..=TRIES {
        let project = ProjectFolder::new(Backing::File);
        let done = project.run(&[&["bench"], words].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        let lines = done.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: HashMap<String, Value> =
            lines.map(|line| (line["measure"].as_str().unwrap().to_owned(), line)).collect();
        let figure = |bar: &Bar| lines[bar.line.0][bar.line.1].as_f64().unwrap();
        let figures: Vec<String> =
            bars.iter().map(|bar| format!("{} {:.3}", bar.name, figure(bar))).collect();
        println!("speed, try {attempt}: {}", figures.join(", "));
        let is_missed = |bar: &&Bar| !(bar.at_least..=bar.at_most).contains(&figure(bar));
        missed =
            bars.iter().filter(is_missed).map(|bar| format!("{} {:.3}", bar.name, figure(bar))).collect();
        if missed.is_empty() {
            return;
        }
    }
    panic!("missed {TRIES} times: {missed:?}");
}

#[test]
fn drain() {
    let words: &[&str] =
        if is_long() { &["--only", "drain"] } else { &["--only", "drain", "--runs", "2000", "--pairs", "1"] };
    hold(words, &[at_least("drain to plain loop", ("drain.worker", "ratioToPlain"), 0.1, 0.5)]);
}

#[test]
fn pickup() {
    hold(
        &["--only", "pickup"],
        &[
            at_most("pick-up in one process, ms", ("pickup.process", "p50Ms"), 20.0, 1.0),
            at_most("pick-up across processes, ms", ("pickup.across", "p50Ms"), 50.0, 3.0),
        ],
    );
}

#[test]
fn enqueue() {
    if !is_long() {
        return;
    }
    hold(
        &["--only", "enqueue"],
        &[
            at_least("one alone to a bare commit", ("enqueue.one", "ratioToBareCommit"), 0.0, 0.7),
            at_least("sixteen to one alone", ("enqueue.sixteen", "ratioToOne"), 0.0, 6.0),
        ],
    );
}

#[test]
fn history() {
    if !is_long() {
        return;
    }
    let bars = [
        ("enqueue with a million to a thousand", "history.enqueue"),
        ("claim likewise", "history.claim"),
        ("get likewise", "history.get"),
        ("list likewise", "history.list"),
    ];
    let bars = bars.map(|(name, line)| at_most(name, (line, "ratioToThousand"), f64::INFINITY, 1.2));
    hold(&["--only", "history"], &bars);
}

/// Each process that opens the file alone reads its log again, so where nothing but short commands write it must stay short.
#[test]
fn the_log_of_short_commands_stays_short() {
    let project = ProjectFolder::new(Backing::File);
    let count = form(150, 700);
    for _ in 0..count {
        let done = project.run(&["-q", "runs", "enqueue", "note"]);
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    let log = std::fs::metadata(project.path().join(".sprongus/runs.db-wal")).map_or(0, |log| log.len());
    println!("speed: the log is {} KiB long after {count} times runs enqueue", log / 1024);
    assert!(log < 2 << 20, "{log} bytes");
}

#[test]
fn whole_processes() {
    let limit = form(250.0, 15.0);
    let mut missed = String::new();
    for attempt in 1..=TRIES {
        let project = ProjectFolder::new(Backing::File);
        let id = project.enqueue("note", 1, |run| run)[0].to_string();
        let (status, enqueue) =
            (median(&project, &["runs", "status", &id]), median(&project, &["runs", "enqueue", "note"]));
        println!(
            "speed, try {attempt}: runs status {status:.1} ms, runs enqueue {enqueue:.1} ms, as whole processes"
        );
        if status < limit && enqueue < limit {
            return;
        }
        missed = format!("runs status {status:.1} ms, runs enqueue {enqueue:.1} ms");
    }
    panic!("missed {TRIES} times: {missed}");
}

/// Of 50, in milliseconds.
fn median(project: &ProjectFolder, words: &[&str]) -> f64 {
    let mut times: Vec<f64> = (0..form(10, 50))
        .map(|_| {
            let began = Instant::now();
            let done = project.run(words);
            assert_eq!(done.code, Some(0), "{done:?}");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
