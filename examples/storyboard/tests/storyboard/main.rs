//! The real binary, called as the engine calls it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod project;
mod refusals;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use project::{Project, run};

#[test]
fn our_screenplay_is_pulled_with_its_scenes_and_cast() {
    let project = Project::new();
    let pulled = project.pull();
    let result = pulled.result();
    assert_eq!(result["scenes"], 6);
    assert_eq!(result["title"], "The Missing Panel");
    assert_eq!(result["characters"], json!(["NOOR", "TOMAS", "JUNE", "PIET", "BAKER"]));
    let scenes = project.path("scenes.json");
    assert_eq!(pulled.last("output_ref"), format!("file://{}", scenes.display()));
    assert_eq!(pulled.last("progress"), "100");
    let script: Value = serde_json::from_str(&project.text("scenes.json")).unwrap();
    assert_eq!(script["format"], "storyboard.scenes/1");
    let van = &script["scenes"][2];
    assert_eq!((&van["id"], &van["location"]), (&json!("sc-3"), &json!("CAMERA VAN - MOVING")));
    assert_eq!((&van["timeOfDay"], &van["section"]), (&json!("DAWN"), &json!("The bridge")));
    assert_eq!(van["characters"], json!(["JUNE", "PIET", "TOMAS", "NOOR"]));
}

#[test]
fn an_edited_script_changes_the_board_and_keeps_what_people_added() {
    let project = Project::new();
    project.pull();
    let first = project.sync().result();
    assert_eq!((&first["added"], &first["unchanged"]), (&json!(6), &json!(0)));

    // A person adds a column and writes into it.
    let noted: Vec<String> = project
        .text("storyboard.csv")
        .lines()
        .enumerate()
        .map(|(n, line)| if n == 0 { format!("lens,{line}") } else { format!("{n}0mm,{line}") })
        .collect();
    fs::write(project.path("storyboard.csv"), noted.join("\r\n") + "\r\n").unwrap();

    fs::write(project.path("screenplay.fountain"), storyboard::revised(storyboard::SCREENPLAY)).unwrap();
    project.pull();
    let synced = project.sync();
    let result = synced.result();
    let counts =
        ["added", "changed", "cut", "revived", "unchanged"].map(|word| result[word].as_u64().unwrap());
    assert_eq!(counts, [1, 2, 1, 0, 3]);
    assert_eq!(result["changes"][1]["fields"], json!(["heading", "time"]));
    let board = project.text("storyboard.csv");
    assert!(board.starts_with("lens,scene,heading,"), "{board}");
    let cut = board.lines().find(|line| line.contains("sc-5,")).unwrap();
    assert!(cut.starts_with("50mm,sc-5,INT. BAKERY") && cut.ends_with(",cut"), "{cut}");
    assert!(board.lines().any(|line| line.starts_with(",sc-5A,EXT. RIVERBANK")), "{board}");
    let page = project.path("storyboard.md");
    assert_eq!(synced.last("output_ref"), format!("file://{}", page.display()));
    let page = project.text("storyboard.md");
    assert!(page.contains("1 added, 2 changed, 1 cut, 0 revived, 3 unchanged"), "{page}");
    assert!(page.contains("- cut sc-5: INT. BAKERY - MORNING"), "{page}");

    // The writer thinks better of it.
    fs::write(project.path("screenplay.fountain"), storyboard::SCREENPLAY).unwrap();
    project.pull();
    assert_eq!(project.sync().result()["revived"], 1);
    assert!(project.text("storyboard.csv").contains("50mm,sc-5,"));
}

#[test]
fn a_second_pull_and_sync_write_nothing() {
    let project = Project::new();
    project.pull();
    project.sync();
    let (written, page) = (project.written(), project.text("storyboard.md"));
    assert_eq!(project.pull().code, 0);
    let again = project.sync().result();
    assert_eq!((&again["unchanged"], &again["changes"]), (&json!(6), &json!([])));
    assert_eq!(project.written(), written);
    assert_eq!(project.text("storyboard.md"), page);
}

#[test]
fn a_lost_page_is_written_again() {
    let project = Project::new();
    project.pull();
    project.sync();
    fs::remove_file(project.path("storyboard.md")).unwrap();
    project.sync();
    assert!(project.text("storyboard.md").contains("Nothing."));
}

#[test]
fn markdown_is_pulled_too() {
    let project = Project::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/short.md");
    let result = project.call("pull", &json!({ "path": path, "out": "short.json" })).result();
    assert_eq!(result, json!({ "scenes": 3, "characters": ["VERA", "OLEG"], "title": "The Last Splice" }));
}

#[test]
fn a_linked_board_stays_a_link_and_a_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Project::new();
    project.pull();
    fs::write(project.path("real.csv"), "").unwrap();
    fs::set_permissions(project.path("real.csv"), fs::Permissions::from_mode(0o660)).unwrap();
    std::os::unix::fs::symlink("real.csv", project.path("storyboard.csv")).unwrap();
    project.sync().result();
    assert!(fs::symlink_metadata(project.path("storyboard.csv")).unwrap().is_symlink());
    let real = fs::metadata(project.path("real.csv")).unwrap();
    assert!(real.len() > 0);
    assert_eq!(real.permissions().mode() & 0o777, 0o660);
    let names: Vec<_> =
        fs::read_dir(project.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "{names:?}");
}

#[test]
fn by_hand_the_input_may_be_a_file_and_the_report_is_on_stdout() {
    let project = Project::new();
    fs::write(project.path("input.json"), r#"{"path": "screenplay.fountain"}"#).unwrap();
    let output = run(
        Command::new(env!("CARGO_BIN_EXE_storyboard"))
            .arg("pull")
            .current_dir(project.folder.path())
            .env_remove("SPRONGUS_PROJECT_DIR")
            .env_remove("SPRONGUS_OUTPUT")
            .env("SPRONGUS_INPUT", "input.json"),
        b"",
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && stdout.contains("result={") && stdout.contains("output_ref=file:///"),
        "{stdout}"
    );
    assert!(project.path("scenes.json").exists());
}
