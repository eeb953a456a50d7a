//! `tail` and `--wait`: the way to the end, and the exit code that tells it.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sprongus::core::run::step::{LogLine, Phase, StepReport, StepStatus, StepType, Stream};
use sprongus::core::run::{Hold, Outcome};
use sprongus::core::values::time::Timestamp;
use sprongus::{Runs, RunsExt};

use crate::backing::{Backing, sessions};
use crate::sandbox::{Sandbox, block_on, finished, terminal, worker};

async fn claim(runs: &dyn Runs) -> Hold {
    let claimed = runs.claim_next(&worker(), 1).await.unwrap().remove(0);
    claimed.hold()
}

async fn record(runs: &dyn Runs, hold: &Hold, status: StepStatus, text: &str) {
    let step = StepReport {
        ordinal: 0,
        name: "build".to_owned(),
        phase: Phase::Execution,
        kind: StepType::Command,
        status,
        output: None,
        tokens_in: None,
        tokens_out: None,
    };
    let at = "2026-11-21T10:00:00Z".parse::<Timestamp>().unwrap();
    let line = LogLine { stream: Stream::Stdout, at, step: Some("build".to_owned()), text: text.to_owned() };
    runs.record(hold, vec![step], vec![line]).await.unwrap();
}

fn a_tail_shows_the_way_and_the_end(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    let child = sandbox.command(&["runs", "tail", &id]).spawn().unwrap();
    block_on(async {
        let runs = sandbox.runs().await;
        let hold = claim(runs.as_ref()).await;
        record(runs.as_ref(), &hold, StepStatus::Running, "hello \u{1b}[31mworld").await;
        record(runs.as_ref(), &hold, StepStatus::Completed, "done").await;
        runs.succeed(&hold, None, Some("out/report.md".to_owned())).await.unwrap();
    });
    let done = finished(child).exits(0);
    let places: Vec<usize> =
        ["attempt 1 started", "… execution build", "✓ execution build", "✓ succeeded", "out/report.md"]
            .iter()
            .map(|text| done.out.find(text).unwrap_or_else(|| panic!("{text} is not in {}", done.out)))
            .collect();
    assert!(places.is_sorted(), "{}", done.out);
    assert!(done.out.contains("out | hello \\u{1b}[31mworld"), "{}", done.out);
    assert!(!done.out.contains('\u{1b}') && !done.err.contains('\u{1b}'), "no escape without a terminal");
}

fn the_exit_code_tells_how_the_run_ended(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let failed = sandbox.enqueue("a");
    block_on(async {
        let runs = sandbox.runs().await;
        let hold = claim(runs.as_ref()).await;
        runs.fail(&hold, "no such file\nsecond line", false).await.unwrap();
    });
    let done = sandbox.run(&["runs", "tail", &failed]).exits(10);
    assert!(done.out.contains("✗ failed") && done.out.contains("no such file"), "{}", done.out);
    let canceled = sandbox.enqueue("a");
    sandbox.run(&["runs", "cancel", &canceled, "--yes"]).exits(0);
    sandbox.run(&["-q", "runs", "tail", &canceled]).exits(11);
    let waiting = sandbox.enqueue("a");
    let late = sandbox.run(&["runs", "tail", &waiting, "--timeout", "50ms"]).exits(7);
    assert!(late.error().contains("still queued"), "{}", late.err);
}

fn wait_follows_and_prints_one_object(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("runs stats").exits(0);
    let child = sandbox.command(&["--json", "runs", "enqueue", "a", "--wait"]).spawn().unwrap();
    block_on(async {
        let runs = sandbox.runs().await;
        let hold = loop {
            let claimed = runs.claim_next(&worker(), 1).await.unwrap();
            if let Some(claimed) = claimed.into_iter().next() {
                break claimed.hold();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        runs.finish_one(&hold, Outcome::Succeed { result: None, output_ref: None }).await.unwrap();
    });
    let run = finished(child).exits(0).json();
    assert_eq!(run["state"], "succeeded");
}

fn ctrl_c_leaves_the_run_alone_and_says_so(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    let mut child = sandbox.command(&["runs", "tail", &id]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let done = finished(child).exits(130);
    assert!(
        done.err.contains(&format!("the run continues; follow it with `sprongus runs tail {id}`")),
        "{}",
        done.err
    );
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).json()["state"], "queued");
}

fn a_reader_that_leaves_is_no_error(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let lines = "{\"kind\": \"a\"}\n".repeat(1_000);
    sandbox.fed(&["runs", "enqueue", "--from", "-"], lines.as_bytes()).exits(0);
    for line in ["runs list --limit 100", "--json runs list --limit 100", "--help", "completions bash"] {
        let mut child = sandbox.command(&line.split(' ').collect::<Vec<_>>()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{line}");
    }
    let id = sandbox.line("-q runs list --limit 1").out.trim().to_owned();
    let mut child = sandbox.command(&["runs", "tail", &id]).spawn().unwrap();
    drop(child.stdout.take());
    block_on(async {
        let runs = sandbox.runs().await;
        runs.cancel(id.parse().unwrap()).await.unwrap();
    });
    assert_eq!(child.wait().unwrap().code(), Some(0), "a tail whose reader left");
}

fn on_a_terminal_one_line_moves_and_stdout_stays_plain(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    let (mut watched, screen) = terminal();
    let mut tail = sandbox.command(&["runs", "tail", &id]);
    let child = tail.env("TERM", "xterm").env("NO_COLOR", "1").stderr(screen).spawn().unwrap();
    // The command keeps the terminal's other end open for as long as it lives.
    drop(tail);
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let taken = Arc::clone(&bytes);
    let watching = std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        // Once its other end is closed, a terminal answers with an error instead of an end.
        while let Ok(read @ 1..) = watched.read(&mut chunk) {
            taken.lock().unwrap().extend_from_slice(&chunk[..read]);
        }
    });
    let shown = || String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
    block_on(async {
        let runs = sandbox.runs().await;
        let hold = claim(runs.as_ref()).await;
        runs.progress(&hold, 50, None).await.unwrap();
        let began = Instant::now();
        while !shown().contains("50 %") {
            assert!(began.elapsed() < Duration::from_secs(60), "no progress: {:?}", shown());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        runs.succeed(&hold, None, None).await.unwrap();
    });
    let done = finished(child).exits(0);
    assert!(done.out.contains("✓ succeeded") && !done.out.contains('\u{1b}'), "{}", done.out);
    watching.join().unwrap();
    let shown = shown();
    assert!(shown.contains("\r\u{1b}[2K") && shown.contains("████████░░░░░░░░ 50 %"), "{shown:?}");
    assert!(!shown.contains("\u{1b}[3"), "no colour where NO_COLOR is set: {shown:?}");
}

sessions! {
    a_tail_shows_the_way_and_the_end,
    the_exit_code_tells_how_the_run_ended,
    wait_follows_and_prints_one_object,
    ctrl_c_leaves_the_run_alone_and_says_so,
    a_reader_that_leaves_is_no_error,
    on_a_terminal_one_line_moves_and_stdout_stays_plain,
}
