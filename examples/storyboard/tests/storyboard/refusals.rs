//! Calls that must not succeed: how each ends, what it says, and that it leaves every file alone.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::project::{Project, run};

#[test]
fn a_screenplay_that_is_being_edited_is_tried_again_later() {
    let project = Project::new();
    for lock in [".screenplay.fountain.lock", ".~lock.screenplay.fountain#", ".screenplay.fountain.swp"] {
        fs::write(project.path(lock), "").unwrap();
        let refused = project.pull();
        let line = refused.refused(75);
        assert!(line.starts_with("storyboard pull: ") && line.contains(lock), "{line}");
        fs::remove_file(project.path(lock)).unwrap();
    }
    let screenplay = project.path("screenplay.fountain");
    assert_eq!(storyboard::lock_path(&screenplay), project.path(".screenplay.fountain.lock"));
    assert_eq!(project.pull().code, 0);
}

#[test]
fn a_board_that_is_open_is_left_alone() {
    let project = Project::new();
    project.pull();
    fs::write(project.path(".~lock.storyboard.csv#"), "").unwrap();
    project.sync().refused(75);
    assert!(!project.path("storyboard.csv").exists());
}

#[test]
fn input_that_cannot_work_is_refused_for_good() {
    let project = Project::new();
    for (name, bytes) in
        [("binary.fountain", &b"\x7fELF\0\xff\xfe"[..]), ("list.txt", b"milk"), ("nul.md", b"## a\0")]
    {
        fs::write(project.path(name), bytes).unwrap();
    }
    let large = fs::File::create(project.path("large.fountain")).unwrap();
    large.set_len(100 * 1024 * 1024).unwrap();
    std::os::unix::fs::symlink("loop.fountain", project.path("loop.fountain")).unwrap();
    for (path, said) in [
        ("missing.fountain", "no such file or directory"),
        ("binary.fountain", "not UTF-8 text"),
        ("nul.md", "a binary file"),
        ("list.txt", "no scene headings found"),
        ("large.fountain", "larger than 8 MiB"),
        ("loop.fountain", "symbolic links"),
        ("schemas", "is a directory"),
        ("/dev/zero", "not a regular file"),
        ("screenplay.fountain/x", "not a directory"),
        ("a\u{1b}[2J\nb", "a\\u{1b}[2J\\nb"),
        ("", "`path` is empty"),
    ] {
        let called = project.call("pull", &json!({ "path": path }));
        let line = called.refused(78);
        assert!(line.starts_with("storyboard pull: ") && line.contains(said), "{path}: {line}");
    }
    for input in [json!({}), json!([]), json!({ "path": 1 }), json!({ "path": "s", "owt": "s" })] {
        project.call("pull", &input).refused(78);
    }
}

#[test]
fn files_of_other_kinds_are_never_overwritten() {
    let project = Project::new();
    let refused =
        project.call("pull", &json!({ "path": "screenplay.fountain", "out": "screenplay.fountain" }));
    assert!(refused.refused(78).contains("something else than scenes"));
    assert_eq!(project.text("screenplay.fountain"), storyboard::SCREENPLAY);

    project.pull();
    fs::write(project.path("other.csv"), "a,b\n1,2\n").unwrap();
    fs::write(project.path("other.md"), "# mine\n").unwrap();
    for (board, summary) in [
        ("other.csv", "s.md"),
        ("b.csv", "other.md"),
        ("b.csv", "b.csv"),
        ("scenes.json", "s.md"),
        ("b.csv", "no/s.md"),
    ] {
        let input = json!({ "scenes": "scenes.json", "board": board, "summary": summary });
        project.call("sync", &input).refused(78);
        assert!(!project.path("b.csv").exists() && !project.path("s.md").exists());
    }
    assert_eq!(project.text("other.md"), "# mine\n");
    project.call("sync", &json!({ "scenes": "screenplay.fountain" })).refused(78);
}

#[test]
fn wrong_usage_and_help() {
    for (args, code) in
        [(&[][..], 2), (&["push"], 2), (&["pull", "x"], 2), (&["--help"], 0), (&["--version"], 0)]
    {
        let output = run(Command::new(env!("CARGO_BIN_EXE_storyboard")).args(args), b"");
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert_eq!(output.stdout.is_empty(), code != 0, "{args:?}");
    }
}
