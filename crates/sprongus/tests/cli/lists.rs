//! `runs list`: pages, filters, and the end of a list.

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

fn pages_lead_to_the_end_without_gap_or_repeat(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let lines = "{\"kind\": \"a\"}\n".repeat(25);
    sandbox.fed(&["runs", "enqueue", "--from", "-"], lines.as_bytes()).exits(0);
    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut words = vec!["--json", "runs", "list", "--limit", "10"];
        words.extend(cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]));
        let page = sandbox.run(&words).exits(0).json();
        seen.extend(
            page["data"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
    let elsewhere = ["runs", "list", "--state", "failed", "--cursor", cursor.as_deref().unwrap()];
    assert!(sandbox.run(&elsewhere).exits(2).error().contains("cursor"));
    assert!(
        sandbox.line("runs list --limit 10").exits(0).err.contains("--cursor"),
        "people are told of more"
    );
}

fn filters_hold_together(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("projects create p").exits(0);
    let both = sandbox.line("-q runs enqueue a --project p --tag k=v").exits(0).out;
    sandbox.line("-q runs enqueue a").exits(0);
    sandbox.line("-q runs enqueue b --project p").exits(0);
    assert_eq!(sandbox.line("-q runs list --project p --kind a").exits(0).out, both);
    assert_eq!(sandbox.line("-q runs list --tag k=v").exits(0).out, both);
    assert_eq!(sandbox.line("-q runs list --kind a,b").exits(0).out.lines().count(), 3);
    assert_eq!(sandbox.line("-q runs list --state failed").exits(0).out, "");
    assert_eq!(sandbox.line("-q runs list --since 2000-01-01").exits(0).out.lines().count(), 3);
    assert_eq!(sandbox.line("-q runs list --before 2000-01-01").exits(0).out, "");
}

fn a_table_lines_up_and_a_pipe_gets_no_colour(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.enqueue("short");
    sandbox.enqueue("a.much/longer.kind");
    let table = sandbox.line("runs list").exits(0).out;
    let places: Vec<_> =
        table.lines().map(|line| line.find("queued").or(line.find("STATE")).unwrap()).collect();
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    assert!(!table.contains('\u{1b}'));
    assert!(sandbox.line("--color always runs list").exits(0).out.contains('\u{1b}'));
    assert!(!sandbox.line("--json --color always runs list").exits(0).out.contains('\u{1b}'));
}

sessions! {
    pages_lead_to_the_end_without_gap_or_repeat,
    filters_hold_together,
    a_table_lines_up_and_a_pipe_gets_no_colour,
}
