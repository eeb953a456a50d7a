//! `demo`: in an empty folder, twice in a row, two at once, and under another name.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::sandbox::{Sandbox, finished};

#[test]
fn it_plays_from_start_to_finish_and_tells_what_it_does() {
    let sandbox = Sandbox::new();
    let done = sandbox.line("demo").exits(0);
    let texts = [
        "1  Pull the script",
        "$ sprongus runs enqueue script.pull",
        "attempt 1 failed: step \"command\" exited with 75; retrying in",
        "out | pulled 6 scenes",
        "2  Repeat the request",
        "3  Sync the storyboard",
        "synced 6 scenes: 6 added",
        "sc-1   INT. PRODUCTION OFFICE - NIGHT   NOOR",
        "4  Revise the script",
        "1 added, 2 changed, 1 cut, 0 revived, 3 unchanged",
        "│ - changed sc-3: INT. CAMERA VAN - MOVING - NIGHT (heading, time)",
        "sc-3   INT. CAMERA VAN - MOVING - NIGHT  active  long lens, no boat",
        "Files",
        "sprongus-demo/.sprongus/runs.db",
        "run.retry_scheduled",
        "Try next",
        "cd sprongus-demo && sprongus runs list",
    ];
    let mut rest = done.out.as_str();
    for text in texts {
        let place = rest.find(text).unwrap_or_else(|| panic!("{text} is not in {rest}"));
        rest = &rest[place + text.len()..];
    }
    assert_eq!(done.err, "", "a worker's own log is for those who ask");
    assert!(!done.out.contains('\u{1b}'));
    let binary = Path::new(env!("CARGO_BIN_EXE_sprongus")).display();
    assert!(done.out.contains(&format!("alias sprongus={binary}")), "it is not on PATH here: {}", done.out);
}

#[test]
fn each_step_is_an_object_and_the_key_gives_the_same_run() {
    let sandbox = Sandbox::new();
    let steps = sandbox.line("--json demo").exits(0).lines();
    assert_eq!(steps.iter().map(|step| step["step"].as_u64()).collect::<Vec<_>>(), [1, 2, 3, 4].map(Some));
    let ids: Vec<Vec<&Value>> = steps
        .iter()
        .map(|step| step["runs"].as_array().unwrap().iter().map(|run| &run["id"]).collect())
        .collect();
    assert_eq!(ids.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert_eq!(ids[0], ids[1]);
    let created: Vec<_> = steps.iter().map(|step| step["created"] == true).collect();
    assert_eq!(created, [true, false, true, true]);
    assert!(steps[0]["runs"][0]["attempt"].as_u64().unwrap() >= 2, "the first attempt meets the lock");
    let folder = sandbox.path().join("sprongus-demo");
    let kept = sandbox.line("--json --db sprongus-demo/.sprongus/runs.db runs list").exits(0).json();
    assert_eq!(kept["data"].as_array().unwrap().len(), 4);
    let board = fs::read_to_string(folder.join("storyboard.csv")).unwrap();
    assert!(board.contains("rolls: ask the baker"), "{board}");
}

#[test]
fn twice_in_a_row_it_plays_again_and_keeps_what_a_person_changed() {
    let sandbox = Sandbox::new();
    let first = sandbox.line("-q demo").exits(0).out;
    let second = sandbox.line("-q demo").exits(0);
    assert_eq!(second.err, "");
    assert!(first.lines().all(|id| !second.out.contains(id)), "a second demo makes runs of its own");

    let script = sandbox.path().join("sprongus-demo/screenplay.fountain");
    fs::write(&script, "INT. MY OWN SCENE - DAY\n\nMine.\n").unwrap();
    let third = sandbox.line("demo").exits(0);
    assert!(third.err.contains("you changed screenplay.fountain; your version is saved as"), "{}", third.err);
    let kept = fs::read_dir(script.parent().unwrap()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
        name.starts_with("screenplay.fountain.")
            && fs::read_to_string(entry.as_ref().unwrap().path()).unwrap().contains("Mine.")
    });
    assert_eq!(kept.count(), 1);
}

#[test]
fn two_at_once_do_not_meet() {
    let sandbox = Sandbox::new();
    let words = |folder: &'static str| ["-q", "demo", "--in", folder];
    let start = |folder| sandbox.command(&words(folder)).stderr(Stdio::piped()).spawn().unwrap();
    let (one, other, elsewhere) = (start("here"), start("here"), start("there"));
    let mut codes = [one, other].map(|child| finished(child).code.unwrap());
    codes.sort_unstable();
    // A machine may be so slow that the second begins after the first has ended.
    assert!(codes == [0, 4] || codes == [0, 0], "{codes:?}");
    finished(elsewhere).exits(0);
}

#[test]
fn a_folder_of_somebodys_own_is_left_alone() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("mine")).unwrap();
    sandbox.write("mine/sprongus.toml", "[kinds.mine]\ncommand = [\"true\"]\n");
    let done = sandbox.line("demo --in mine").exits(4);
    assert!(done.error().contains("not a demo folder"), "{}", done.err);
    assert_eq!(fs::read_dir(sandbox.path().join("mine")).unwrap().count(), 1);
    sandbox.line("--db x.db demo").exits(2);
}

#[test]
fn it_works_whatever_the_binary_is_called() {
    let sandbox = Sandbox::new();
    let renamed = sandbox.path().join("spr 0.1");
    crate::sandbox::copy_program(&renamed);
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&renamed);
        command.args(words).current_dir(sandbox.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", sandbox.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finished(command.spawn().unwrap())
    };
    let done = run(&["demo"]).exits(0);
    assert!(done.out.contains(&format!("alias sprongus='{}'", renamed.display())), "{}", done.out);
    // And back under its own name, without a word of what nobody has changed.
    assert_eq!(sandbox.line("-q demo").exits(0).err, "");
}

#[test]
fn a_run_that_fails_gives_the_demo_its_exit_code() {
    let sandbox = Sandbox::new();
    sandbox.line("-q demo").exits(0);
    sandbox.write("sprongus-demo/storyboard.csv", "this is no board\n");
    let done = sandbox.line("demo").exits(10);
    assert!(done.out.contains("✗ failed"), "{}", done.out);
    assert!(!done.out.contains("4  The script"), "{}", done.out);
}
