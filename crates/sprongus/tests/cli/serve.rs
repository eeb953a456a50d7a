//! `serve`, `login`, `token`, and commands from afar.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::backing::{Backing, Served, sessions};
use crate::sandbox::{Sandbox, finished};

/// Starts a server on the sandbox's file, at an address.
fn serve(sandbox: &Sandbox, at: &str) -> Served {
    let file = sandbox.file().display().to_string();
    let mut command = sandbox.command(&["-q", "serve", "--listen", at, "--db", &file]);
    Served::start(command.stderr(Stdio::null()))
}

pub fn terminate(id: u32) {
    let process = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
}

#[test]
fn the_first_start_makes_a_token_and_later_ones_do_not() {
    let sandbox = Sandbox::new();
    let file = sandbox.file().display().to_string();
    let mut command = sandbox.command(&["serve", "--listen", "127.0.0.1:0", "--db", &file]);
    let mut child = command.spawn().unwrap();
    let token_file = sandbox.path().join("data/sprongus/runs.db.token");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("http://127.0.0.1:") && line.contains("runs.db"), "{line}");
    terminate(child.id());
    let done = finished(child).exits(0);
    assert!(done.err.contains(token_file.to_str().unwrap()), "{}", done.err);
    let is_dashboard =
        |line: &str| line.starts_with("dashboard http://127.0.0.1:") && line.ends_with("/login");
    assert!(done.err.lines().any(is_dashboard), "{}", done.err);
    let token = std::fs::read_to_string(&token_file).unwrap();
    assert!(token.starts_with("spr_") && !done.err.contains(token.trim()) && !line.contains(token.trim()));
    let mode = std::fs::metadata(&token_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let served = serve(&sandbox, "127.0.0.1:0");
    let listed = sandbox.run(&["--json", "--db", &file, "token", "list"]).exits(0).json();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
    let remote = format!("--remote={}", served.url);
    sandbox.run(&[&remote, "runs", "list"]).exits(0);
}

#[test]
fn a_token_is_tried_then_stored_for_its_owner() {
    let sandbox = Sandbox::new();
    let served = serve(&sandbox, "127.0.0.1:0");
    let file = sandbox.file().display().to_string();
    let words = ["-q", "--db", &file, "token", "create", "--name", "ci", "--scopes", "runs:read"];
    let token = sandbox.run(&words).exits(0).out;
    let credentials = sandbox.path().join("config/sprongus/credentials.json");
    std::fs::remove_file(&credentials).unwrap();
    let remote = format!("--remote={}", served.url);
    let refused = sandbox.run(&[&remote, "runs", "list"]).exits(6);
    assert!(refused.err.contains("sprongus login"), "{}", refused.err);
    let wrong = token.replace(&token[4..8], "0000");
    sandbox.fed(&["login", &served.url], wrong.as_bytes()).exits(2);
    let unknown = sprongus::core::workspace::token::TokenSecret::generate().unwrap();
    sandbox.fed(&["login", &served.url], unknown.expose().as_bytes()).exits(6);
    assert!(!credentials.exists(), "what does not work is not stored");
    let done = sandbox.fed(&["login", &served.url], token.as_bytes()).exits(0);
    assert!(done.out.contains("ci in workspace default, scopes: runs:read"), "{}", done.out);
    assert!(!done.out.contains(token.trim()) && !done.err.contains(token.trim()));
    assert_eq!(std::fs::metadata(&credentials).unwrap().permissions().mode() & 0o777, 0o600);
    sandbox.run(&[&remote, "runs", "list"]).exits(0);
    let refused = sandbox.run(&[&remote, "runs", "enqueue", "a"]).exits(6);
    assert!(refused.error().contains("runs:write"), "{}", refused.err);
    let mut command = sandbox.command(&[&remote, "runs", "list"]);
    let done = finished(command.env("SPRONGUS_TOKEN", "spr_nonsense").spawn().unwrap()).exits(6);
    assert!(done.err.contains("SPRONGUS_TOKEN") && !done.err.contains("nonsense"), "{}", done.err);
}

fn tokens_are_made_listed_and_revoked(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("projects create p").exits(0);
    let words = "--json token create --name ci --scopes runs:write,runs:read --project p --expires 90d";
    let made = sandbox.line(words).exits(0).json();
    assert_eq!(
        (&made["name"], &made["scopes"], &made["projects"]),
        (&json!("ci"), &json!(["runs:read", "runs:write"]), &json!(["p"]))
    );
    let token = made["token"].as_str().unwrap();
    let listed = sandbox.line("--json token list").exits(0);
    assert!(!listed.out.contains(token));
    let entry = &listed.json()["data"][0];
    assert_eq!((&entry["id"], &entry["revokedAt"]), (&made["id"], &json!(null)));
    let table = sandbox.line("token list").exits(0).out;
    assert!(table.contains("ci") && table.contains("live") && !table.contains(token), "{table}");
    let id = made["id"].as_str().unwrap();
    let unasked = sandbox.line(&format!("token revoke {id}")).exits(2);
    assert!(unasked.err.contains("--yes"), "{}", unasked.err);
    assert!(
        sandbox.line(&format!("--json token revoke {id} --yes")).exits(0).json()["revokedAt"].is_string()
    );
    assert!(sandbox.line("token list").exits(0).out.contains("revoked"));
    sandbox.line("token revoke 01M80754D6E7K919GRYZ8BH27Q --yes").exits(3);
    sandbox.line("token create --name ci --scopes root").exits(2);
    let unknown = sandbox.line("token create --name ci --scopes runs:read --project nowhere").exits(2);
    assert!(unknown.err.contains("projects create nowhere"), "{}", unknown.err);
    sandbox.line("token create --name ci --scopes admin --project p").exits(2);
}

sessions!(tokens_are_made_listed_and_revoked);

#[test]
fn a_server_that_is_not_there_or_none_of_ours_is_told_so() {
    let sandbox = Sandbox::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let token = sprongus::core::workspace::token::TokenSecret::generate().unwrap();
    let run = |words: &[&str]| {
        let mut command = sandbox.command(words);
        finished(command.env("SPRONGUS_TOKEN", token.expose()).spawn().unwrap())
    };
    let remote = format!("--remote=http://127.0.0.1:{port}");
    let done = run(&[&remote, "runs", "list"]).exits(8);
    assert!(done.error().contains(&format!("no server is listening at 127.0.0.1:{port}")), "{}", done.err);
    for bad in ["--remote=ftp://h", "--remote=http://u:hunter2@h", "--remote=http://h?x=hunter2"] {
        let done = run(&[bad, "runs", "list"]).exits(2);
        assert!(!done.err.contains("hunter2"), "{}", done.err);
    }
    run(&["--remote", "serve"]).exits(2);
    run(&["--remote", "migrate"]).exits(2);
}

#[test]
fn where_it_listens_is_checked() {
    let sandbox = Sandbox::new();
    let served = serve(&sandbox, "127.0.0.1:0");
    let taken = served.url.strip_prefix("http://").unwrap();
    let done = sandbox.run(&["serve", "--listen", taken]).exits(8);
    assert!(done.error().contains("cannot listen"), "{}", done.err);
    for bad in ["nonsense", "127.0.0.1", "127.0.0.1:99999", ""] {
        sandbox.run(&["serve", "--listen", bad]).exits(2);
    }
    sandbox.line("serve --with-worker --listen 127.0.0.1:0").exits(2);
    sandbox.write("sprongus.toml", "[server]\nrate_limit = \"fast\"\n");
    let done = sandbox.line("serve --listen 127.0.0.1:0").exits(2);
    assert!(done.error().contains("sprongus.toml:2"), "{}", done.err);
}

#[test]
fn a_worker_without_a_database_executes_runs_of_a_server() {
    let sandbox = Sandbox::on(Backing::Remote);
    sandbox.write(
        "sprongus.toml",
        "[kinds.greet]\ncommand = [\"sh\", \"-c\", \"cat; echo output_ref=done >> $SPRONGUS_OUTPUT\"]\n",
    );
    let worker = sandbox.command(&["worker"]).spawn().unwrap();
    let id = sandbox
        .run(&["-q", "runs", "enqueue", "greet", "--input", "{\"x\":1}"])
        .exits(0)
        .out
        .trim()
        .to_owned();
    let tail = sandbox.run(&["runs", "tail", &id, "--timeout", "20s"]).exits(0);
    assert!(tail.out.contains("out | {\"x\":1}") && tail.out.contains("succeeded"), "{}", tail.out);
    assert_eq!(sandbox.run(&["--json", "runs", "status", &id]).exits(0).json()["outputRef"], "done");
    assert!(sandbox.line("workers list").exits(0).out.contains("claiming"));
    terminate(worker.id());
    let done = finished(worker).exits(0);
    assert!(done.out.contains("1 succeeded"), "{}", done.out);
    assert!(sandbox.line("workers list").exits(0).out.contains("No workers are running"));
}

#[test]
fn a_server_may_execute_runs_itself() {
    let sandbox = Sandbox::new();
    sandbox.write("sprongus.toml", "[kinds.greet]\ncommand = [\"echo\", \"hi\"]\n");
    let file = sandbox.file().display().to_string();
    let mut command =
        sandbox.command(&["-q", "serve", "--listen", "127.0.0.1:0", "--db", &file, "--with-worker"]);
    let served = Served::start(command.stderr(Stdio::null()));
    let remote = format!("--remote={}", served.url);
    let done =
        sandbox.run(&[&remote, "--json", "runs", "enqueue", "greet", "--wait", "--timeout", "20s"]).exits(0);
    assert_eq!(done.json()["state"], "succeeded");
    terminate(served.id());
}

#[test]
fn workspaces_are_told_apart_from_afar() {
    let sandbox = Sandbox::on(Backing::Remote);
    sandbox.line("workspaces create acme").exits(0);
    sandbox.line("--workspace acme runs enqueue a").exits(0);
    assert_eq!(sandbox.line("-q runs list").exits(0).out, "");
    assert_eq!(sandbox.line("-q --workspace acme runs list").exits(0).out.lines().count(), 1);
    sandbox.line("--workspace nowhere runs list").exits(3);
    let token =
        sandbox.line("-q --workspace acme token create --name them --scopes runs:read,admin").exits(0).out;
    let theirs = |words: &[&str]| {
        let mut command = sandbox.command(words);
        finished(command.env("SPRONGUS_TOKEN", token.trim()).spawn().unwrap())
    };
    assert_eq!(theirs(&["-q", "runs", "list"]).exits(0).out.lines().count(), 1);
    theirs(&["--workspace", "default", "runs", "list"]).exits(3);
    theirs(&["workspaces", "create", "other"]).exits(6);
    theirs(&["workspaces", "delete", "default", "--yes"]).exits(3);
    sandbox.line("workspaces delete acme --yes").exits(0);
    theirs(&["-q", "runs", "list"]).exits(6);
}

#[test]
fn a_doctor_looks_at_a_server_too() {
    let sandbox = Sandbox::on(Backing::Remote);
    let done = sandbox.line("doctor").exits(0);
    for expected in ["SPRONGUS_API_URL", "SQLite", "runs:write", "no runs are due"] {
        assert!(done.out.contains(expected), "{expected} is not in {}", done.out);
    }
}
