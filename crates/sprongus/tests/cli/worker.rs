//! `worker` and `--work`: declared kinds, executed.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::backing::{Backing, sessions};
use crate::sandbox::{Sandbox, finished};

const KINDS: &str = r#"
[kinds.hello]
command = ["echo", "hello, {{ input.name }}"]

[kinds.report]
command = ["sh", "-c", "echo working; echo oops >&2; echo output_ref=out/report.md >> $SPRONGUS_OUTPUT"]

[kinds.broken]
command = ["sh", "-c", "exit 78"]

[kinds.slow]
command = ["sleep", "30"]
"#;

fn declared(backing: Backing) -> Sandbox {
    let sandbox = Sandbox::on(backing);
    sandbox.write("sprongus.toml", KINDS);
    sandbox
}

fn state(sandbox: &Sandbox, id: &str) -> String {
    let run = sandbox.run(&["--json", "runs", "status", id]).exits(0).json();
    run["state"].as_str().unwrap().to_owned()
}

#[track_caller]
fn eventually(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn work_executes_the_run_here(backing: Backing) {
    let sandbox = declared(backing);
    let done =
        sandbox.run(&["runs", "enqueue", "hello", "--input", "{\"name\": \"Ada\"}", "--work"]).exits(0);
    assert!(done.out.contains("out | hello, Ada") && done.out.contains("✓ succeeded"), "{}", done.out);
    assert!(!done.err.contains("no worker"), "{}", done.err);

    let report = sandbox.line("--json runs enqueue report --work").exits(0).json();
    assert_eq!((&report["state"], &report["outputRef"]), (&"succeeded".into(), &"out/report.md".into()));
    let logs = sandbox.run(&["runs", "logs", report["id"].as_str().unwrap()]).exits(0).out;
    assert!(logs.contains("out | working") && logs.contains("err | oops"), "{logs}");
    sandbox.line("-q runs enqueue broken --work").exits(10);
}

fn work_needs_the_kind_to_be_declared_here(backing: Backing) {
    let sandbox = declared(backing);
    assert!(sandbox.line("runs enqueue other --work").exits(2).error().contains("does not declare other"));
    let sandbox = Sandbox::on(backing);
    assert!(sandbox.line("runs enqueue hello --work").exits(2).error().contains("no sprongus.toml"));
    assert_eq!(sandbox.line("-q runs list").exits(0).out, "", "nothing was enqueued");
}

fn ctrl_c_during_work_gives_the_run_back(backing: Backing) {
    let sandbox = declared(backing);
    let child = sandbox.command(&["runs", "enqueue", "slow", "--work"]).spawn().unwrap();
    let mut id = String::new();
    eventually("it runs", || {
        id = sandbox.line("-q runs list --state running").out.trim().to_owned();
        !id.is_empty()
    });
    signal(&child, Signal::INT);
    finished(child).exits(130);
    assert_eq!(state(&sandbox, &id), "queued");
}

fn a_worker_serves_until_it_is_told_to_stop(backing: Backing) {
    let sandbox = declared(backing);
    sandbox.line("worker --kinds other").exits(2);
    sandbox.line("worker --lease 10ms").exits(2);
    let worker = sandbox.command(&["worker", "--kinds", "hello,slow", "--concurrency", "2"]).spawn().unwrap();
    eventually("it is seen", || sandbox.line("-q workers list").out.lines().count() == 1);

    let words = ["runs", "enqueue", "hello", "--input", "{\"name\": \"Bo\"}", "--wait"];
    let done = sandbox.run(&words).exits(0);
    assert!(done.out.contains("hello, Bo"), "{}", done.out);
    let unserved = sandbox.line("runs enqueue report").exits(0);
    assert!(unserved.err.contains("no worker serves report"), "{}", unserved.err);

    let slow = sandbox.enqueue("slow");
    eventually("it runs", || state(&sandbox, &slow) == "running");
    sandbox.run(&["runs", "cancel", &slow, "--yes"]).exits(0);
    sandbox.run(&["-q", "runs", "tail", &slow]).exits(11);

    signal(&worker, Signal::TERM);
    let done = finished(worker).exits(0);
    assert!(done.out.contains("1 succeeded") && done.out.contains("1 canceled"), "{}", done.out);
    assert_eq!(sandbox.line("-q workers list").exits(0).out, "");
}

fn the_starter_works_as_it_stands(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("init").exits(0);
    let done =
        sandbox.run(&["runs", "enqueue", "hello", "--input", "{\"name\": \"Ada\"}", "--work"]).exits(0);
    assert!(done.out.contains("hello, Ada"), "{}", done.out);
}

sessions! {
    work_executes_the_run_here,
    work_needs_the_kind_to_be_declared_here,
    ctrl_c_during_work_gives_the_run_back,
    a_worker_serves_until_it_is_told_to_stop,
    the_starter_works_as_it_stands,
}
