//! Thirty processes at once with one idempotency key, on a file that none of them has seen before: one run.

use std::process::Child;

use sprongus::core::values::ids::RunId;

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::form;

on_both!(one_key_makes_one_run);

const PROCESSES: usize = 30;

fn one_key_makes_one_run(backing: Backing) {
    let rounds = form(2, 30);
    for _ in 0..rounds {
        let project = ProjectFolder::new(backing);
        let words = ["-q", "runs", "enqueue", "note", "--idempotency-key", "same"];
        let all: Vec<Child> = (0..PROCESSES).map(|_| project.sprongus(&words).spawn().unwrap()).collect();
        let mut ids: Vec<RunId> = Vec::new();
        for child in all {
            let output = child.wait_with_output().unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && complaint.is_empty(), "{}: {complaint}", output.status);
            ids.push(String::from_utf8_lossy(&output.stdout).trim().parse().unwrap());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let history = project.history();
        assert_eq!((history.open_runs(), history.event_count(ids[0], "run.enqueued")), (1, 1));
        history.is_sound();
    }
    println!(
        "storm on {backing:?}: {rounds} times {PROCESSES} processes with one key on a new file made one run"
    );
}
