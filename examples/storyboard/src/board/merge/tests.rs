//! What becomes of rows: nothing of a person's is ever lost, and a second merge finds nothing to do.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::script;

/// Scenes of a script in which every line is a scene: heading, then action.
fn scenes(script: &[(&str, &str)]) -> Vec<Scene> {
    let text: String = script.iter().map(|(heading, action)| format!(".{heading}\n\n{action}\n\n")).collect();
    script::read(Path::new("s.fountain"), &text).scenes
}

fn table(csv: &str) -> Table {
    Table::read(Path::new("b.csv"), csv.as_bytes().to_vec()).unwrap()
}

fn csv(merged: &Merged) -> String {
    String::from_utf8(merged.table.to_csv().unwrap()).unwrap()
}

/// Scene, note and status of every row.
fn rows(merged: &Merged) -> Vec<(String, String, String)> {
    let note = merged.table.header.iter().position(|name| name == "note");
    let cell = |row: &[String], at: usize| row[at].clone();
    let (scene, status) = (merged.columns[SCENE], merged.columns[STATUS]);
    let row = |row: &Vec<String>| {
        (cell(row, scene), note.map(|at| cell(row, at)).unwrap_or_default(), cell(row, status))
    };
    merged.table.rows.iter().map(row).collect()
}

fn row(scene: &str, note: &str, status: &str) -> (String, String, String) {
    (scene.to_owned(), note.to_owned(), status.to_owned())
}

const NOTED: &str = "note,scene,status\nA's,sc-1,drawn\nours,,\nB's,sc-2,active\nB's too,sc-2,active\n";

#[test]
fn a_new_table_has_every_scene_and_a_second_merge_changes_nothing() {
    let scenes = scenes(&[("A #1#", "one"), ("B #2#", "+two")]);
    let first = merge(Table::empty(), &scenes);
    assert_eq!(first.count("added"), 2);
    assert_eq!(first.table.rows[1][ACTION], "'+two");
    let second = merge(first.table.clone(), &scenes);
    assert_eq!((second.changes.len(), second.unchanged, second.reordered), (0, 2, false));
    assert_eq!(csv(&second), csv(&first));
}

#[test]
fn peoples_columns_rows_and_status_stay_where_they_are() {
    let merged = merge(table(NOTED), &scenes(&[("A #1#", "one"), ("B #2#", "two")]));
    assert_eq!(merged.table.header[..3], ["note", "scene", "status"]);
    assert_eq!(
        rows(&merged),
        [
            row("sc-1", "A's", "drawn"),
            row("", "ours", ""),
            row("sc-2", "B's", "active"),
            row("sc-2", "B's too", "active")
        ]
    );
    assert!(merged.changes.iter().all(|change| !change.what.fields().contains(&"status")));
}

#[test]
fn a_scene_is_cut_and_revived_with_all_that_was_noted() {
    let gone = merge(table(NOTED), &scenes(&[("B #2#", "two")]));
    assert_eq!(rows(&gone)[0], row("sc-1", "A's", "cut (drawn)"));
    assert_eq!((gone.count("cut"), gone.count("changed")), (1, 1));
    let still = merge(gone.table.clone(), &scenes(&[("B #2#", "two")]));
    assert_eq!((still.changes.len(), csv(&still)), (0, csv(&gone)));
    let back = merge(gone.table, &scenes(&[("A #1#", "one"), ("B #2#", "two")]));
    assert_eq!(rows(&back)[0], row("sc-1", "A's", "drawn"));
    assert_eq!(back.count("revived"), 1);
}

#[test]
fn rows_follow_the_script_and_take_their_followers_along() {
    let merged = merge(table(NOTED), &scenes(&[("B #2#", "two"), ("C #3#", "three"), ("A #1#", "one")]));
    let notes: Vec<_> = rows(&merged).into_iter().map(|(scene, note, _)| format!("{scene} {note}")).collect();
    assert_eq!(notes, ["sc-2 B's", "sc-2 B's too", "sc-3 ", "sc-1 A's", " ours"]);
    assert!(merged.reordered);
}

#[test]
fn a_changed_column_is_named() {
    let first = merge(Table::empty(), &scenes(&[("INT. A - DAY #1#", "one")]));
    let second = merge(first.table, &scenes(&[("INT. A - NIGHT #1#", "one")]));
    assert_eq!(second.changes[0].what, What::Changed(vec!["heading", "time"]));
}

#[test]
fn a_rewritten_heading_keeps_its_row_if_the_action_tells() {
    let mut first = merge(Table::empty(), &scenes(&[("THE LOFT", "rain"), ("A", "same"), ("B", "same")]));
    for row in &mut first.table.rows {
        row[STATUS] = format!("drawn by {}", row[HEADING]);
    }
    let second = merge(first.table, &scenes(&[("THE ATTIC", "rain"), ("C", "same"), ("B", "same")]));
    let status: Vec<_> =
        second.table.rows.iter().map(|row| (row[HEADING].as_str(), row[STATUS].as_str())).collect();
    assert_eq!(second.changes.iter().filter(|change| change.what == What::Added).count(), 0);
    assert_eq!(status[0], ("THE ATTIC", "drawn by THE LOFT"));
    assert_eq!(status[1], ("C", "drawn by A"));
    assert_eq!(status[2], ("B", "drawn by B"));
}

#[test]
fn two_scenes_that_look_alike_are_not_taken_for_one_another() {
    let first = merge(Table::empty(), &scenes(&[("A", "same"), ("B", "same")]));
    let second = merge(first.table, &scenes(&[("C", "same"), ("D", "same")]));
    assert_eq!((second.count("added"), second.count("cut")), (2, 2));
}

proptest! {
    /// Random boards with random notes over random scripts.
    #[test]
    fn no_note_is_lost_and_every_merge_settles(
        board in prop::collection::vec((0..8_u8, "[a-z=,\"\n]{0,4}", prop::sample::select(vec!["", "active", "cut", "cut (x)", "drawn"])), 0..12),
        script in prop::collection::vec((1..8_u8, "[ab]{1,2}"), 1..8),
    ) {
        let mut before = Table::empty();
        before.header.push("note".to_owned());
        for (n, (scene, note, status)) in board.iter().enumerate() {
            let scene = if *scene == 0 { String::new() } else { format!("sc-{scene}") };
            let mut cells = vec![scene];
            cells.resize(STATUS, String::new());
            cells.extend([(*status).to_owned(), format!("{n}{note}")]);
            before.rows.push(cells);
        }
        let headings: Vec<String> = script.iter().map(|(scene, _)| format!("H #{scene}#")).collect();
        let script: Vec<_> = headings.iter().zip(&script).map(|(heading, (_, action))| (heading.as_str(), action.as_str())).collect();
        let scenes = scenes(&script);
        let once = merge(before.clone(), &scenes);

        let note = before.header.len() - 1;
        let sorted = |table: &Table| {
            let mut notes: Vec<_> = table.rows.iter().map(|row| row[note].clone()).filter(|note| !note.is_empty()).collect();
            notes.sort();
            notes
        };
        prop_assert_eq!(sorted(&once.table), sorted(&before));
        prop_assert_eq!(once.count("added") + once.count("changed") + once.count("revived") + once.unchanged, scenes.len());

        let twice = merge(once.table.clone(), &scenes);
        prop_assert_eq!(&twice.table, &once.table);
        prop_assert_eq!((twice.changes.len(), twice.reordered), (0, false));
    }
}
