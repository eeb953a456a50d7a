//! A step prints a gigabyte: the worker's memory stays small, the database grows by the log's cap alone, and what is beyond the cap is
//! kept as an artifact, no line lost or out of place.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::Value;
use sprongus::core::run::step::Stream;

use crate::backing::{Backing, Place, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, eventually, form};

on_both!(a_flood_of_output_is_kept_and_costs_little);

/// The most memory a worker may ever have had, in KiB.
const MOST_MEMORY: u64 = 100 * 1024;

/// The log's cap, and what its form in the database may cost on top.
const MOST_GROWTH: u64 = 3 * 10 * 1024 * 1024;

fn a_flood_of_output_is_kept_and_costs_little(backing: Backing) {
    // 59 MB and 0.99 GB.
    let (lines, limit) =
        form((7_500_000_u64, Duration::from_secs(120)), (110_000_000, Duration::from_secs(900)));
    let project = ProjectFolder::new(backing);
    project.declare(&format!("[kinds.flood]\ncommand = [\"seq\", \"{lines}\"]\n"));
    let before = size(&project);
    let worker = project.worker(&["--concurrency", "1"]);
    let id = project.enqueue("flood", 1, |run| run)[0];
    eventually("the flood is over", limit, || project.history().open_runs() == 0);
    let status = project.status(id);
    assert_eq!(status["state"], "succeeded", "{status}");
    let memory = most_memory(worker.pid());
    let growth = size(&project).saturating_sub(before);
    worker.stops();
    println!(
        "flood: {backing:?}: {lines} lines; the worker had {memory} KiB at most, the database grew by {growth} bytes"
    );
    assert!(memory < MOST_MEMORY, "the worker had {memory} KiB");
    assert!(growth < MOST_GROWTH, "the database grew by {growth} bytes");

    let mut next = 1;
    let mut count = |text: &str| {
        assert_eq!(text, next.to_string(), "a line is lost or out of place");
        next += 1;
    };
    let runs = project.runs();
    block_on(async {
        let mut seen = 0;
        loop {
            let page = runs.logs(id, seen, 10_000).await.unwrap();
            let Some(last) = page.last() else { break };
            seen = last.seq;
            let printed = page.iter().filter(|line| line.line.stream == Stream::Stdout);
            printed.filter(|line| !line.line.text.starts_with('[')).for_each(|line| count(&line.line.text));
        }
    });
    let id = id.to_string();
    let listed = project.run(&["--json", "runs", "artifacts", &id]);
    let listed: Value = serde_json::from_str(&listed.out).unwrap();
    let name = listed["data"][0]["name"].as_str().expect("an artifact");
    let into = project.path().join("kept");
    let done = project.run(&["runs", "artifacts", &id, "--download", into.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{done:?}");
    BufReader::new(File::open(into.join(name)).unwrap()).lines().for_each(|line| count(&line.unwrap()));
    assert_eq!(next, lines + 1, "lines are missing at the end");
}

/// The most that a process ever had in memory, in KiB (proc(5): `VmHWM`).
fn most_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Bytes of the database.
fn size(project: &ProjectFolder) -> u64 {
    match project.place() {
        Place::File { path, .. } => {
            let log = path.with_extension("db-wal");
            [path, &log].into_iter().map(|file| fs::metadata(file).map_or(0, |file| file.len())).sum()
        }
        Place::Postgres { owner, .. } => block_on(async {
            let (client, connection) = tokio_postgres::connect(owner, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let row = client.query_one("SELECT pg_database_size(current_database())", &[]).await.unwrap();
            u64::try_from(row.get::<_, i64>(0)).unwrap()
        }),
    }
}
