//! Input as an adversary would write it: each one clear line, the contract's exit code, and nothing half done.

use std::time::{Duration, Instant};

use crate::backing::{Backing, sessions};
use crate::sandbox::Sandbox;

fn hostile_json_is_refused_in_one_line(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let deep = "[".repeat(100_000);
    let closed = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let huge = format!("\"{}\"", "x".repeat(50 << 20));
    let cases: [(&str, &[u8], &str); 10] = [
        ("nothing", b"", "invalid JSON"),
        ("half", b"{\"a\": ", "line 1"),
        ("duplicate keys", b"{\"a\": 1,\n\"a\": 2}", "line 2"),
        ("a NUL", b"{\"a\": \"x\\u0000\"}", "invalid JSON"),
        ("not UTF-8", b"\"\xff\xfe\"", "invalid JSON"),
        ("a lone surrogate", b"\"\\ud800\"", "invalid JSON"),
        ("a number nobody holds", b"1e999", "invalid JSON"),
        ("depth", deep.as_bytes(), "invalid JSON"),
        ("closed depth", closed.as_bytes(), "invalid JSON"),
        ("50 MB", huge.as_bytes(), "1 MiB"),
    ];
    for (name, input, expected) in cases {
        let began = Instant::now();
        let done = sandbox.fed(&["runs", "enqueue", "a", "--stdin"], input).exits(2);
        assert!(done.error().contains(expected), "{name}: {}", done.err);
        assert!(done.err.len() < 500, "{name}: {}", done.err);
        assert!(began.elapsed() < Duration::from_secs(30), "{name}");
        sandbox.write("in.json", input);
        sandbox.line("runs enqueue a --input @in.json").exits(2);
    }
    assert_eq!(sandbox.line("-q runs list").exits(0).out, "", "nothing was made");
}

fn names_that_are_paths_or_sql_or_escapes_are_refused(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let bad =
        ["../../etc/passwd", "x'; DROP TABLE runs;--", "\u{1b}[2J\u{1b}]0;owned\u{7}", "", " ", "a\nb", "ü"];
    for name in bad {
        for words in [
            ["runs", "enqueue", name].as_slice(),
            &["runs", "status", name],
            &["runs", "tail", name],
            &["runs", "cancel", name, "--yes"],
            &["runs", "list", "--kind", name],
            &["runs", "list", "--state", name],
            &["runs", "list", "--project", name],
            &["runs", "list", "--cursor", name],
            &["runs", "list", "--since", name],
            &["runs", "enqueue", "a", "--project", name],
            &["runs", "enqueue", "a", "--delay", name],
            &["--workspace", name, "runs", "list"],
            &["projects", "create", name],
            &["kinds", "pause", name],
            &["workers", "drain", name],
        ] {
            let done = sandbox.run(words).exits(2);
            assert!(done.error().len() < 300, "{words:?}: {}", done.err);
        }
    }
    assert_eq!(sandbox.line("-q runs list").exits(0).out, "");
}

fn a_secret_is_refused_and_not_repeated(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let input = "{\"auth\": {\"password\": \"correct-horse\"}}";
    for format in ["--color=never", "--json", "-v"] {
        let done = sandbox.run(&[format, "runs", "enqueue", "a", "--input", input]).exits(2);
        assert!(
            done.err.contains("/input/auth/password") && !done.err.contains("correct-horse"),
            "{}",
            done.err
        );
    }
}

fn a_mistake_in_the_toml_is_told_with_its_line(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    for (text, place) in [
        ("[kinds.a]\ncommand = [\"true\"]\ntimeout = \"5 minutes\"\n", "sprongus.toml:3:"),
        ("[kinds.a]\ncomand = [\"true\"]\n", "sprongus.toml:2:"),
        ("[kinds.a\n", "sprongus.toml:1:"),
    ] {
        sandbox.write("sprongus.toml", text);
        let done = sandbox.line("runs enqueue a").exits(2);
        assert!(done.error().contains(place), "{}", done.err);
        assert!(sandbox.line("worker").exits(2).error().contains(place));
        let doctor = sandbox.line("doctor").exits(1);
        assert!(doctor.out.contains(place), "{}", doctor.out);
    }
    assert!(!sandbox.path().join(".sprongus").exists(), "nothing half done");
}

#[test]
fn odd_places_for_a_database_are_told_apart() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    for (place, code) in
        [(".", 2), ("", 2), (":memory:", 2), ("mysql://u:hunter2@h/d", 2), ("file/below.db", 8)]
    {
        let done = sandbox.run(&["--db", place, "runs", "enqueue", "a"]).exits(code);
        assert!(!done.err.contains("hunter2"), "{}", done.err);
        done.error();
    }
    sandbox.line("--db sqlite:new/deep/x.db runs enqueue a").exits(0);
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(sandbox.path().join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("new/deep"), mode("new/deep/x.db")), (0o700, 0o600));
}

sessions! {
    hostile_json_is_refused_in_one_line,
    names_that_are_paths_or_sql_or_escapes_are_refused,
    a_secret_is_refused_and_not_repeated,
    a_mistake_in_the_toml_is_told_with_its_line,
}
