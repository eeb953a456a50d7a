//! A canceled run whose processes ignore TERM: gone after the grace, its CLEANUP run under the closing lease, and told when. When
//! its worker dies meanwhile, another one is handed the CLEANUP, once.

use std::time::Duration;

use serde_json::Value;
use sprongus::core::values::ids::RunId;

use crate::backing::{Backing, on_both};
use crate::history::History;
use crate::journal::lives;
use crate::project_folder::ProjectFolder;
use crate::tempo::{eventually, form, uptime};
use crate::worker::WorkerProcess;

on_both!(processes_that_ignore_term_are_gone_after_the_grace, another_worker_cleans_up_for_a_dead_one);

const LIMIT: Duration = Duration::from_secs(30);

/// From TERM to KILL, in seconds.
const GRACE: f64 = 5.0;

/// The leader hears of TERM, its child does not, and neither ends by it.
const STUBBORN: &str = r#"
trap 'tell term' TERM
(trap '' TERM; exec sleep 60) &
printf '%s\n' $! > "$SPRONGUS_PROJECT_DIR/child"
tell start
while :; do sleep 0.1; done
"#;

fn project(backing: Backing) -> ProjectFolder {
    let project = ProjectFolder::new(backing);
    project.script("stubborn", STUBBORN);
    project.script("cleanup", "tell cleanup");
    project.kind("later", "tell end");
    let step = |phase: &str, name: &str| {
        let run = ProjectFolder::argv(name);
        format!(
            "[[kinds.note.steps]]\nphase = \"{phase}\"\nname = \"{name}\"\ntype = \"command\"\nrun = {run}\n"
        )
    };
    project.declare("[kinds.note]");
    project.declare(&(step("execution", "stubborn") + &step("cleanup", "cleanup")));
    project
}

/// A run in execution, and its two processes.
fn begun(project: &ProjectFolder) -> (RunId, [i32; 2]) {
    let run = project.enqueue("note", 1, |run| run)[0];
    eventually("it is executed", LIMIT, || project.journal().find(run, 1, "start").is_some());
    let child = std::fs::read_to_string(project.path().join("child")).unwrap().trim().parse().unwrap();
    (run, [project.journal().find(run, 1, "start").unwrap().pid, child])
}

fn cancel(project: &ProjectFolder, run: RunId) {
    let done = project.run(&["-q", "runs", "cancel", &run.to_string(), "--yes"]);
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{done:?}");
}

fn cleaned(project: &ProjectFolder, run: RunId) -> Value {
    let done = project.run(&["--json", "runs", "events", &run.to_string()]);
    let mut events = done.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.find(|event| event["type"] == "run.cleaned").unwrap_or_else(|| panic!("not cleaned: {}", done.out))
}

/// The state a person sees is the cancel's, whatever came after it.
/// `all` are the runs that were acknowledged.
fn is_canceled_once(project: &ProjectFolder, history: &History, run: RunId, all: &[RunId]) {
    assert_eq!(
        (history.state(run).as_str(), history.text(run, "attempt").as_deref()),
        ("canceled", Some("1"))
    );
    assert_eq!((history.event_count(run, "run.canceled"), history.event_count(run, "run.cleaned")), (1, 1));
    assert_eq!(project.journal().said("cleanup").count(), 1, "CLEANUP ran not exactly once");
    history.agrees_with(&project.journal(), all);
}

fn processes_that_ignore_term_are_gone_after_the_grace(backing: Backing) {
    let rounds = form(1, 10);
    let (mut heard, mut taken) = (0.0_f64, 0.0_f64);
    for _ in 0..rounds {
        let project = project(backing);
        let worker = project.worker(&["--lease", "3s"]);
        let (run, pids) = begun(&project);
        let from = uptime();
        cancel(&project, run);
        let canceled = uptime();
        eventually("both processes are gone", LIMIT, || !pids.into_iter().any(lives));
        let gone = uptime();
        let term = project.journal().find(run, 1, "term").expect("TERM comes before KILL").at;
        let history = project.history();
        eventually("it is cleaned up", LIMIT, || history.event_count(run, "run.cleaned") == 1);
        is_canceled_once(&project, &history, run, &[run]);
        let cleanup =
            project.journal().find(run, 1, "cleanup").expect("CLEANUP runs under the same epoch").at;
        let event = cleaned(&project, run);
        let time = |value: &Value| {
            value.as_str().unwrap().parse::<sprongus::core::values::time::Timestamp>().unwrap()
        };
        // Their last process was gone after they were, and before it was told.
        let at = time(&event["at"]);
        assert!(time(&event["payload"]["goneAt"]) <= at, "{event}");
        let since = at.since(time(&project.status(run)["finishedAt"])).as_secs_f64();
        assert!(since >= gone - canceled - 0.2, "told gone before it was: {since:.2} s, {event}");
        worker.stops_content();

        assert!(cleanup >= gone - 0.1, "CLEANUP ran beside what it cleans up after");
        heard = heard.max(term - from);
        taken = taken.max(gone - term);
    }
    assert!((GRACE - 0.1..=GRACE + 1.0).contains(&taken), "gone {taken:.2} s after TERM");
    assert!(heard <= 1.5, "the worker heard of the cancel only after {heard:.2} s");
    println!(
        "cancel on {backing:?}: {rounds} times a process and its child that ignore TERM: TERM at most {heard:.2} s after the cancel, gone at \
         most {taken:.2} s after TERM (grace {GRACE} s), cleaned up once under the closing lease"
    );
}

fn another_worker_cleans_up_for_a_dead_one(backing: Backing) {
    let rounds = form(1, 10);
    for _ in 0..rounds {
        let project = project(backing);
        let mut dead = project.worker(&["--lease", "1s"]);
        let (run, pids) = begun(&project);
        cancel(&project, run);
        dead.kill();
        let history = project.history();
        assert_eq!(history.event_count(run, "run.cleaned"), 0);
        let others = [project.worker(&["--lease", "1s"]), project.worker(&["--lease", "1s"])];
        eventually("another cleans up", LIMIT, || history.event_count(run, "run.cleaned") == 1);
        assert!(!pids.into_iter().any(lives), "what the dead worker executed outlived the CLEANUP");
        // Longer than the lease, so that a second hand-out would be due; and what is enqueued then is done by whoever claims.
        std::thread::sleep(Duration::from_millis(1_500));
        let later = project.enqueue("later", 1, |run| run)[0];
        eventually("what came later is done", LIMIT, || history.state(later) == "succeeded");
        assert!(project.journal().find(run, 2, "cleanup").is_some(), "handed out under an epoch of its own");
        assert_eq!(project.journal().said("start").count(), 1, "it was executed again");
        is_canceled_once(&project, &history, run, &[run, later]);
        assert!(cleaned(&project, run)["payload"]["goneAt"].is_string());
        others.into_iter().for_each(WorkerProcess::stops_content);
    }
    println!(
        "cancel on {backing:?}: {rounds} times the worker was killed after a cancel: another one was handed the CLEANUP, once"
    );
}
