//! Every exit code that a command without a server can reach, and the problem document beside it.

use serde_json::Value;

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

#[test]
fn each_kind_of_failure_has_its_code() {
    let sandbox = Sandbox::new();
    let id = sandbox.enqueue("a");
    sandbox.write("junk.db", "this is no database, however long it may be. ".repeat(100));
    let cases: [(&str, i32); 16] = [
        ("runs list", 0),
        ("runs", 2),
        ("runs nonsense", 2),
        ("runs list --nonsense", 2),
        ("runs list --limit 0", 2),
        ("runs list --limit 101", 2),
        ("runs list --cursor AAAA", 2),
        ("--json --quiet runs list", 2),
        ("runs status 01KAMXXXXXXXXXXXXXXXXXXXXX", 3),
        ("--workspace nowhere runs list", 3),
        ("--db missing.db runs list", 3),
        ("--db junk.db runs list", 8),
        ("--db postgres://localhost:1/x runs list", 8),
        ("--db postgres://localhost:port/x runs list", 2),
        ("--remote http://localhost:1 runs list", 6),
        ("--remote ftp://localhost runs list", 2),
    ];
    for (line, code) in cases {
        let done = sandbox.line(line);
        assert_eq!(done.code, Some(code), "{line}: {}", done.err);
        if code != 0 {
            assert!(done.out.is_empty(), "{line}: results alone go to stdout");
        }
    }
    sandbox.run(&["runs", "retry", &id, "--yes"]).exits(4);
    assert!(!sandbox.path().join("missing.db").exists(), "looking makes nothing");
}

#[test]
fn another_programs_file_and_a_newer_one_are_left_alone() {
    let sandbox = Sandbox::new();
    let theirs = sandbox.path().join("theirs.db");
    rusqlite::Connection::open(&theirs).unwrap().execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    let before = std::fs::read(&theirs).unwrap();
    let refused = sandbox.line("--db theirs.db runs enqueue a").exits(9);
    assert!(refused.error().contains("another program"), "{}", refused.err);
    assert_eq!(std::fs::read(&theirs).unwrap(), before);

    sandbox.line("--db newer.db runs enqueue a").exits(0);
    let newer = rusqlite::Connection::open(sandbox.path().join("newer.db")).unwrap();
    newer.pragma_update(None, "user_version", 9_999).unwrap();
    drop(newer);
    for line in ["--db newer.db runs list", "--db newer.db runs enqueue a", "--db newer.db migrate"] {
        assert!(sandbox.line(line).exits(9).error().contains("schema 9999"), "{line}");
    }
}

#[test]
fn a_file_that_may_not_be_written_is_unavailable() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let sandbox = Sandbox::new();
    let file = sandbox.write("closed.db", "");
    sandbox.line("--db closed.db runs enqueue a").exits(0);
    for path in [file.clone(), sandbox.path().to_owned()] {
        let mode = if path.is_dir() { 0o555 } else { 0o444 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut command = sandbox.command(&["--db", "closed.db", "runs", "enqueue", "a"]);
    if rustix::process::geteuid().is_root() {
        // Root may write everywhere; somebody else is told no.
        let program = sandbox.path().join("sprongus");
        crate::sandbox::copy_program(&program);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut other = std::process::Command::new(program);
        other.args(["--db", "closed.db", "runs", "enqueue", "a"]).current_dir(sandbox.path()).env_clear();
        other
            .uid(65_534)
            .gid(65_534)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        command = other;
    }
    let done = crate::sandbox::finished(command.spawn().unwrap()).exits(8);
    assert!(done.error().contains("read-only"), "{}", done.err);
    std::fs::set_permissions(sandbox.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn with_json_an_error_is_one_problem_document(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    for (line, code) in [
        ("--json runs status 01KAMXXXXXXXXXXXXXXXXXXXXX", "not_found"),
        ("--json runs status ../etc", "validation"),
        ("--json runs list --nonsense", "validation"),
        ("--json runs enqueue a --input {", "malformed"),
    ] {
        let done = sandbox.line(line);
        assert_eq!((done.out.as_str(), done.err.lines().count()), ("", 1), "{line}: {}", done.err);
        let problem: Value = serde_json::from_str(&done.err).unwrap();
        assert_eq!(problem["code"], code, "{line}");
        let mut names: Vec<&String> = problem.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, ["code", "detail", "errors", "hint", "retryable", "status", "title", "type"]);
        assert!(problem["type"].as_str().unwrap().ends_with(&format!("/errors#{code}")));
    }
    let done = sandbox.line("--json runs enqueue ../x --priority 200").exits(2);
    let problem: Value = serde_json::from_str(&done.err).unwrap();
    let pointers: Vec<&Value> =
        problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/kind", "/priority"]);
    // What is noted on the way does not stand before the document of an error, and is JSON where all went well.
    let noted = |line: &str| {
        let notes = sandbox.line(line).exits(0).err;
        let note =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["note"].as_str().unwrap().to_owned();
        notes.lines().map(note).collect::<Vec<_>>().join("\n")
    };
    let made = noted("--json runs enqueue a --idempotency-key k");
    assert!(made.lines().any(|note| note.starts_with("no workers are running")), "{made}");
    // What was chosen without being named is noted where it did some good.
    assert_eq!(made.contains("using ") && made.contains("user default"), backing == Backing::File, "{made}");
    assert!(noted("--json runs enqueue a --idempotency-key k").contains("already enqueued with this key"));
    for (line, code) in [
        ("--json runs enqueue a --wait --timeout 1ms", "timed_out"),
        ("--json runs enqueue a --idempotency-key k --input {\"n\":1}", "idempotency_key_reused"),
    ] {
        let done = sandbox.line(line);
        let problem: Value =
            serde_json::from_str(&done.err).unwrap_or_else(|_| panic!("{line}: {}", done.err));
        assert_eq!(problem["code"], code, "{line}");
    }
}

sessions! {
    with_json_an_error_is_one_problem_document,
}
