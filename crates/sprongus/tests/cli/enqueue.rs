//! `runs enqueue`: what it makes, what it finds again, what it says on the side.

use serde_json::{Value, json};

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

fn a_run_is_made_and_seen_again(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let words =
        ["--json", "runs", "enqueue", "script.pull", "--input", "{\"path\": \"a.md\"}", "--priority", "7"];
    let made = sandbox.run(&words).exits(0);
    let run = made.json();
    assert_eq!(run["state"], "queued");
    assert_eq!(run["input"], json!({"path": "a.md"}));
    assert_eq!(run["priority"], 7);
    assert_eq!(run["maxAttempts"], 3);
    let id = run["id"].as_str().unwrap();
    assert_eq!(run["waiting"], Value::Null, "what it waits for is looked up only where a run is looked at");
    let mut seen = sandbox.run(&["--json", "runs", "status", id]).exits(0).json();
    assert_eq!(seen["waiting"]["reason"], "worker");
    seen["waiting"] = Value::Null;
    assert_eq!(seen, run);
    let people = sandbox.run(&["runs", "status", id]).exits(0).out;
    for expected in [id, "script.pull", "queued", "a worker", "a.md"] {
        assert!(people.contains(expected), "{expected} is not in {people}");
    }
}

fn an_id_is_also_taken_as_a_uuid(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    let uuid = id.parse::<sprongus::core::values::ids::RunId>().unwrap().to_uuid_text();
    assert_eq!(sandbox.run(&["-q", "runs", "status", &uuid]).exits(0).out.trim(), id);
}

fn nobody_serving_it_is_said_on_the_side(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let done = sandbox.line("runs enqueue a").exits(0);
    assert!(done.err.contains("no workers are running; start one with `sprongus worker`, or add `--work`"));
    assert!(done.out.contains("queued") && !done.out.contains("note"));
    assert_eq!(sandbox.line("-q runs enqueue a").exits(0).err, "");
}

fn the_same_key_and_request_give_the_same_run(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let words = ["--json", "runs", "enqueue", "a", "--input", "{\"x\": 1.0}", "--idempotency-key", "k"];
    let (first, again) = (sandbox.run(&words).exits(0), sandbox.run(&words).exits(0));
    assert_eq!(first.json(), again.json());
    assert!(again.err.contains("already enqueued with this key"), "{}", again.err);
    let respelt = ["--json", "runs", "enqueue", "a", "--input", "{\"x\":1}", "--idempotency-key", "k"];
    assert_eq!(sandbox.run(&respelt).exits(0).json(), first.json(), "1 and 1.0 are equal");

    let other = ["runs", "enqueue", "a", "--input", "{\"x\": 2}", "--idempotency-key", "k"];
    let refused = sandbox.run(&other).exits(4);
    assert!(refused.error().contains("belongs to run"), "{}", refused.err);
    assert_eq!(sandbox.line("-q runs list").exits(0).out.lines().count(), 1);
}

fn input_comes_from_a_file_or_stdin_too(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.write("in.json", "{\"from\": \"file\"}");
    let file = sandbox.line("--json runs enqueue a --input @in.json").exits(0).json();
    assert_eq!(file["input"]["from"], "file");
    let stdin =
        sandbox.fed(&["--json", "runs", "enqueue", "a", "--stdin"], b"{\"from\": \"stdin\"}").exits(0);
    assert_eq!(stdin.json()["input"]["from"], "stdin");
    assert_eq!(sandbox.line("--json runs enqueue a --input -1").exits(0).json()["input"], -1);
}

fn the_declaration_is_heard(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.write("schema.json", "{\"type\": \"object\", \"required\": [\"path\"]}");
    let kind = "[kinds.pull]\ncommand = [\"true\"]\nmax_attempts = 7\ninput_schema = \"schema.json\"\n";
    sandbox.write("sprongus.toml", kind);
    let refused = sandbox.run(&["runs", "enqueue", "pull", "--input", "{}"]).exits(2);
    assert!(refused.error().contains("path"), "{}", refused.err);
    let made =
        sandbox.run(&["--json", "runs", "enqueue", "pull", "--input", "{\"path\": \"a\"}"]).exits(0).json();
    assert_eq!(made["maxAttempts"], 7);
    let is_there = sandbox.path().join(".sprongus/runs.db").is_file();
    assert_eq!(is_there, backing == Backing::File, "the project has a file of its own, unless one is named");
}

fn many_come_from_a_file_all_or_none(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let lines: String =
        (0..1_500).map(|n| format!("{{\"kind\": \"a\", \"input\": {{\"n\": {n}}}}}\n")).collect();
    sandbox.write("good.jsonl", &lines);
    let made = sandbox.line("--json runs enqueue --from good.jsonl").exits(0).lines();
    assert_eq!(made.len(), 1_500);
    assert!(made.iter().enumerate().all(|(n, run)| run["input"]["n"] == n), "in the order of the requests");

    let sandbox = Sandbox::on(backing);
    let refused = sandbox
        .fed(&["runs", "enqueue", "--from", "-"], format!("{lines}{{\"kind\": \"../x\"}}\n").as_bytes());
    let refused = refused.exits(2);
    assert!(refused.error().starts_with("line 1501: not a kind"), "{}", refused.err);
    assert_eq!(sandbox.line("-q runs list").exits(0).out, "", "nothing is left behind");
}

fn an_unknown_project_is_refused_with_the_command_that_makes_it(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let refused = sandbox.line("runs enqueue a --project films").exits(2);
    assert!(refused.err.contains("sprongus projects create films"), "{}", refused.err);
    sandbox.line("projects create films").exits(0);
    sandbox.line("projects create films").exits(0);
    let made = sandbox.line("--json runs enqueue a --project films").exits(0).json();
    assert_eq!(made["projectId"], "films");
    let refused = sandbox.line("runs enqueue a --agent-task t1").exits(2);
    assert!(refused.err.contains("sprongus agent-tasks create t1"), "{}", refused.err);
}

fn a_timeout_needs_something_to_wait_for(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    assert!(sandbox.line("runs enqueue a --timeout 1s").exits(2).error().contains("--timeout"));
    sandbox.line("runs enqueue a --wait --timeout 100ms").exits(7);
}

fn the_first_ones_at_once_make_one_database(backing: Backing) {
    for _ in 0..5 {
        let sandbox = Sandbox::on(backing);
        let first: Vec<_> =
            (0..8).map(|_| sandbox.command(&["-q", "runs", "enqueue", "a"]).spawn().unwrap()).collect();
        for child in first {
            crate::sandbox::finished(child).exits(0);
        }
        assert_eq!(sandbox.line("-q runs list").exits(0).out.lines().count(), 8);
    }
}

fn a_paused_kind_is_said_on_the_side(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.write("sprongus.toml", "[kinds.a]\ncommand = [\"true\"]\n");
    sandbox.line("kinds pause a").exits(0);
    let done = sandbox.line("runs enqueue a --work --timeout 300ms").exits(7);
    assert!(done.err.contains("a is paused"), "{}", done.err);
    let done = sandbox.line("runs enqueue a").exits(0);
    assert!(done.err.contains("a is paused") && !done.err.contains("workers"), "{}", done.err);
}

sessions! {
    a_run_is_made_and_seen_again,
    an_id_is_also_taken_as_a_uuid,
    nobody_serving_it_is_said_on_the_side,
    the_same_key_and_request_give_the_same_run,
    input_comes_from_a_file_or_stdin_too,
    the_declaration_is_heard,
    many_come_from_a_file_all_or_none,
    an_unknown_project_is_refused_with_the_command_that_makes_it,
    a_timeout_needs_something_to_wait_for,
    the_first_ones_at_once_make_one_database,
    a_paused_kind_is_said_on_the_side,
}
