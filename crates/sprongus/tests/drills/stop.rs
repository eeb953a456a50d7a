//! SIGSTOP past the lease: another worker finishes the run. Woken, the first one ends its process, and its report is refused.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use sprongus::RunsExt;
use sprongus::core::ErrorCode;
use sprongus::core::run::lease::LeaseToken;
use sprongus::core::run::{Hold, Outcome};

use crate::backing::{Backing, on_both};
use crate::history::History;
use crate::journal::lives;
use crate::project_folder::ProjectFolder;
use crate::tempo::{block_on, chances, eventually, form};
use crate::worker::WorkerProcess;

on_both!(what_a_stopped_worker_says_late_is_refused);

const LIMIT: Duration = Duration::from_secs(20);

fn what_a_stopped_worker_says_late_is_refused(backing: Backing) {
    let rounds = form(1, 20);
    let (mut chance, seed) = chances();
    let mut refused = 0;
    for _ in 0..rounds {
        for outlives in [true, false] {
            // 1.5 to 4 leases of 1 s.
            let nap = Duration::from_millis(chance.u64(1_500..4_000).min(form(2_000, 4_000)));
            refused += round(backing, outlives, nap);
        }
    }
    println!(
        "stop on {backing:?}: seed {seed}: {refused} workers stopped for 1.5 to 4 leases and woken: each gave up its run and ended its own \
         process, each late report was refused, the winner's result stood"
    );
}

/// `outlives`: the process still runs when its worker wakes; otherwise it has ended meanwhile, and there is a result to report.
fn round(backing: Backing, outlives: bool, nap: Duration) -> u32 {
    let project = ProjectFolder::new(backing);
    let first = if outlives { "sleep 60" } else { "sleep 1.5" };
    project.kind(
        "note",
        &format!(
            "tell start; [ \"$SPRONGUS_EPOCH\" = 1 ] && {first}\n\
             printf 'result={{\"epoch\": %s}}\\n' \"$SPRONGUS_EPOCH\" >> \"$SPRONGUS_OUTPUT\"; tell end"
        ),
    );
    let run = project.enqueue("note", 1, |run| run)[0];
    let stopped = project.worker(&["--lease", "1s"]);
    let token = LeaseToken::generate().unwrap();
    let hold = Hold { id: run, worker_id: stopped.id(), epoch: 1, token };
    eventually("it is executed", LIMIT, || project.journal().find(run, 1, "start").is_some());
    let pid = project.journal().find(run, 1, "start").unwrap().pid;
    let history = project.history();
    stop_between_commits(&stopped, &history);
    assert!(history.replace_token(run, 1, &hold.token), "nobody else has claimed it yet");

    let winner = project.worker(&["--lease", "1s"]);
    eventually("another finishes it", LIMIT, || history.state(run) == "succeeded");
    std::thread::sleep(nap);
    assert_eq!(lives(pid), outlives, "the process of the stopped worker");
    let before = (history.row(run), history.events(run));
    let result: Value = serde_json::from_str(&history.text(run, "result").unwrap()).unwrap();
    assert_eq!(result, json!({"epoch": 2}));
    let outcome = Outcome::Succeed { result: None, output_ref: None };
    let late = block_on(project.runs().finish_one(&hold, outcome));
    assert_eq!(late.map(|run| run.epoch).map_err(|error| error.code()), Err(ErrorCode::LeaseLost));

    stopped.signal(Signal::CONT);
    eventually("it gives the run up", LIMIT, || stopped.stderr().contains("lease lost; dropping the run"));
    eventually("it ends its process", LIMIT, || !lives(pid));
    stopped.signal(Signal::TERM);
    let mut stopped = stopped;
    assert!(stopped.ends_within(LIMIT).success());
    assert!(
        stopped.stdout().contains("0 succeeded") && stopped.stdout().contains("1 lost"),
        "{}",
        stopped.stdout()
    );
    assert!(before == (history.row(run), history.events(run)), "the winner's result was touched");
    history.agrees_with(&project.journal(), &[run]);
    winner.stops_content();
    1
}

/// A process that is stopped amid a commit holds SQLite's lock until it goes on; no other can take it away. That is a matter of a
/// millisecond, and not what is drilled here.
fn stop_between_commits(worker: &WorkerProcess, history: &History) {
    eventually("it is stopped between two commits", LIMIT, || {
        worker.signal(Signal::STOP);
        // A thread stops when it next leaves the kernel, and may begin a commit until then.
        eventually("each of its threads has stopped", LIMIT, || worker.is_stopped());
        let is_free = history.can_be_written();
        if !is_free {
            worker.signal(Signal::CONT);
        }
        is_free
    });
}
