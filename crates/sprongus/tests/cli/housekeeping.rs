//! A server keeps house though nobody works: what time changes is changed, and what retention lets go goes. Two servers of one
//! database do each thing once.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sprongus::RunsExt;
use sprongus::core::json::Json;
use sprongus::core::run::{ClaimRequest, NewRun};
use sprongus::core::values::ids::StepId;

use crate::backing::{Backing, Served};
use crate::sandbox::{Sandbox, block_on, worker};

/// A server without a worker.
fn serve(sandbox: &Sandbox, backing: Backing) -> Served {
    let file = sandbox.file().display().to_string();
    let mut words = vec!["-q", "serve", "--listen", "127.0.0.1:0"];
    if backing == Backing::File {
        words.extend(["--db", &file]);
    }
    let mut command = sandbox.command(&words);
    Served::start(command.current_dir(sandbox.path().join("project")).stderr(Stdio::null()))
}

fn until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn two_servers_do_each_thing_once(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    // Beside it the other commands would look for a file of its own.
    std::fs::create_dir(sandbox.path().join("project")).unwrap();
    sandbox.write("project/sprongus.toml", "[retention.kinds.done]\nsucceeded = \"1ms\"\n");
    let expired = sandbox.run(&["-q", "runs", "enqueue", "late", "--delay", "1h"]).exits(0).out;
    sandbox.run(&["-q", "runs", "cancel", expired.trim(), "--yes"]).exits(0);
    let (waiting, lost, taken, expired) = block_on(async {
        let runs = sandbox.runs().await;
        let held = async |kind: &str, lease: Option<Duration>| {
            let id = runs.enqueue_one(NewRun::new(kind, Json::empty_object())).await.unwrap().run.id;
            let mut request = ClaimRequest::new(worker(), 1);
            request.lease = lease.unwrap_or(request.lease);
            let claimed = runs.claim(request).await.unwrap().remove(0);
            assert_eq!(claimed.run.id, id);
            claimed.hold()
        };
        let waiting = held("gate", None).await;
        let step = StepId::of(waiting.id, waiting.epoch, 1);
        runs.wait(&waiting, step, Some(Duration::from_millis(1_500))).await.unwrap();
        let taken = held("done", None).await;
        runs.succeed(&taken, None, None).await.unwrap();
        let lost = held("lost", Some(Duration::from_secs(1))).await;
        let due = sprongus::core::run::Due::After(Duration::from_secs(3_600));
        let expire_at = Some(runs.get(lost.id).await.unwrap().created_at.plus(Duration::from_secs(2)));
        let late = NewRun { due, expire_at, ..NewRun::new("late", Json::empty_object()) };
        let expired = runs.enqueue_one(late).await.unwrap().run.id;
        (waiting.id.to_string(), lost.id.to_string(), taken.id.to_string(), expired.to_string())
    });
    let both = [serve(&sandbox, backing), serve(&sandbox, backing)];
    let state = |id: &str| sandbox.run(&["--json", "runs", "status", id]).exits(0).json();
    until("gate", || state(&waiting)["state"] == "failed");
    until("lease", || state(&lost)["state"] == "queued");
    until("expireAt", || state(&expired)["state"] == "failed");
    until("retention", || sandbox.run(&["runs", "status", &taken]).code == Some(3));
    // Each of them has had its turn since.
    let token =
        sandbox.run(&["-q", "token", "create", "--name", "metrics", "--scopes", "admin"]).exits(0).out;
    let rounds = |server: &Served, chore: &str| {
        let label = format!("chore=\"{chore}\",outcome=\"well\"");
        server.metric(&token, "sprongus_housekeeping_rounds_total", &label)
    };
    for server in &both {
        let timers = rounds(server, "timers");
        until("timers again", || rounds(server, "timers") >= timers + 2.0);
        until("retention", || rounds(server, "retention") >= 1.0);
    }
    let events = |id: &str| {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for event in sandbox.run(&["--json", "runs", "events", id]).exits(0).lines() {
            *counts.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        json!(counts)
    };
    let once =
        |types: &[&str]| -> Value { types.iter().map(|name| ((*name).to_owned(), json!(1))).collect() };
    assert_eq!(events(&waiting), once(&["run.enqueued", "run.started", "run.waiting", "run.failed"]));
    assert_eq!(events(&lost), once(&["run.enqueued", "run.started", "run.lease_lost"]));
    assert_eq!(events(&expired), once(&["run.enqueued", "run.failed"]));
    assert_eq!(state(&waiting)["attempt"], 1);
    // What was canceled has 90 days.
    assert_eq!(
        sandbox.run(&["--json", "runs", "list", "--state", "canceled"]).exits(0).json()["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn on_a_file_two_servers_do_each_thing_once() {
    two_servers_do_each_thing_once(Backing::File);
}

#[test]
fn on_postgres_two_servers_do_each_thing_once() {
    two_servers_do_each_thing_once(Backing::Postgres);
}
