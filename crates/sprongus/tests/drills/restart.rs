//! SIGTERM in the middle of long runs: they may end within the grace; the second signal, or the end of the grace, gives them
//! back, the attempt with them.

use std::time::Duration;

use rustix::process::Signal;
use sprongus::core::values::ids::RunId;

use crate::backing::{Backing, on_both};
use crate::project_folder::ProjectFolder;
use crate::tempo::{eventually, form};
use crate::worker::WorkerProcess;

on_both!(a_restart_loses_nothing);

const LIMIT: Duration = Duration::from_secs(20);
const SLOTS: usize = 3;

/// What follows the first signal.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The runs end in time.
    Done,
    SecondSignal,
    GraceEnds,
}

fn a_restart_loses_nothing(backing: Backing) {
    let rounds = form(1, 10);
    for _ in 0..rounds {
        for then in [Then::Done, Then::SecondSignal, Then::GraceEnds] {
            round(backing, then);
        }
    }
    println!(
        "restart on {backing:?}: {rounds} times SIGTERM amid {SLOTS} runs: drained; given back after a second signal; given back when the \
         grace ended; each run then executed to its end, no attempt spent on a restart"
    );
}

fn round(backing: Backing, then: Then) {
    let project = ProjectFolder::new(backing);
    let first = match then {
        Then::Done => "sleep 1.5",
        Then::SecondSignal | Then::GraceEnds => "sleep 60",
    };
    project.kind(
        "note",
        &format!("tell start; [ -e \"$SPRONGUS_PROJECT_DIR/restarted\" ] || {first}\ntell end"),
    );
    let runs = project.enqueue("note", SLOTS + 2, |run| run);
    let grace = if matches!(then, Then::GraceEnds) { "1s" } else { "20s" };
    let slots = SLOTS.to_string();
    let mut worker = project.worker(&["--concurrency", &slots, "--grace", grace]);
    eventually("all slots are taken", LIMIT, || project.journal().said("start").count() == SLOTS);
    worker.signal(Signal::TERM);
    if matches!(then, Then::SecondSignal) {
        eventually("it drains", LIMIT, || worker.stderr().contains("draining"));
        worker.signal(Signal::TERM);
    }
    assert!(worker.ends_within(LIMIT).success(), "{}", worker.stderr());
    assert!(project.processes().is_empty(), "a process outlived its worker");
    let journal = project.journal();
    assert_eq!(journal.said("start").count(), SLOTS, "it began something after the signal");
    let begun: Vec<RunId> = journal.said("start").map(|line| line.run).collect();
    check(&project, &worker, then, &runs, &begun);

    std::fs::write(project.path().join("restarted"), "").unwrap();
    let next = project.worker(&["--concurrency", &slots]);
    project.until_all_ended(LIMIT);
    next.stops_content();
    let history = project.history();
    history.agrees_with(&project.journal(), &runs);
    for run in runs {
        let attempts = (history.state(run), history.text(run, "attempt"), history.text(run, "crashes"));
        assert_eq!(attempts, ("succeeded".to_owned(), Some("1".to_owned()), Some("0".to_owned())));
    }
}

/// Right after the worker's end.
fn check(project: &ProjectFolder, worker: &WorkerProcess, then: Then, runs: &[RunId], begun: &[RunId]) {
    let history = project.history();
    let (said, released) = match then {
        Then::Done => (format!("{SLOTS} succeeded"), 0),
        Then::SecondSignal | Then::GraceEnds => ("0 succeeded".to_owned(), 1),
    };
    assert!(worker.stdout().contains(&said), "{then:?}: {}", worker.stdout());
    for &run in runs {
        let ended = matches!(then, Then::Done) && begun.contains(&run);
        let (state, attempt) = if ended { ("succeeded", "1") } else { ("queued", "0") };
        assert_eq!(history.state(run), state, "{then:?}");
        assert_eq!(history.text(run, "attempt").as_deref(), Some(attempt), "{then:?}");
        if begun.contains(&run) {
            assert_eq!(history.event_count(run, "run.released"), released, "{then:?}");
        }
    }
}
