//! `sync`: scenes in, a storyboard brought up to date, and a page that says what changed.
//!
//! Says which files are read and written, and when they are left alone; what becomes of a row is `board`'s affair.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::board::cells;
use crate::board::merge::{Change, Merged, merge};
use crate::board::summary;
use crate::board::table::Table;
use crate::call::Call;
use crate::failure::Failure;
use crate::script::{self, Script};
use crate::{file, input, lock};

/// Ten thousand scenes with long notes.
const BOARD_LIMIT: u64 = 64 * 1024 * 1024;

/// What a result tells one by one; the page tells more.
const TOLD: usize = 50;

/// Runs the command.
pub(crate) fn run(mut call: Call) -> Result<(), Failure> {
    let input: input::Sync = input::parse(&call.input()?)?;
    let scenes = call.path("scenes", &input.scenes)?;
    let files =
        Files { board: call.path("board", &input.board)?, page: call.path("summary", &input.summary)? };
    if files.board == files.page {
        return Err(Failure::Refused("input: `board` and `summary` are one file".to_owned()));
    }
    call.progress(5)?;
    let script = read_scenes(&scenes)?;
    call.progress(20)?;
    // LibreOffice would save its own state over ours.
    lock::check(&files.board)?;
    let old = files.read_board()?;
    let merged = merge(old.clone().unwrap_or_else(Table::empty), &script.scenes);
    call.progress(60)?;
    files.write(&script, old.as_ref(), &merged)?;
    call.progress(100)?;
    let sentence = format!("synced {} scenes: {}", script.scenes.len(), summary::counts(&merged));
    call.finish(&result(&script, &merged), &files.page, &sentence)
}

fn read_scenes(path: &Path) -> Result<Script, Failure> {
    let script = Script::from_json(path, &file::read(path, script::SCENES_LIMIT)?)?;
    let mut ids = HashSet::new();
    for scene in &script.scenes {
        let what = if !cells::is_scene_id(&scene.id) {
            "is no scene id"
        } else if !ids.insert(&scene.id) {
            "stands for two scenes"
        } else {
            continue;
        };
        return Err(Failure::Refused(format!("{} holds no scenes: {:.80} {what}", path.display(), scene.id)));
    }
    Ok(script)
}

struct Files {
    board: PathBuf,
    page: PathBuf,
}

impl Files {
    fn read_board(&self) -> Result<Option<Table>, Failure> {
        let bytes = file::read_if_there(&self.board, BOARD_LIMIT)?;
        bytes.map(|bytes| Table::read(&self.board, bytes)).transpose()
    }

    /// Writes what differs. The page goes first: if we die in between, the next attempt finds the old board, and so
    /// the same changes to tell.
    fn write(&self, script: &Script, old: Option<&Table>, merged: &Merged) -> Result<(), Failure> {
        let board_differs = old != Some(&merged.table);
        let page = summary::page(script, merged);
        let told = summary::read(&self.page)?;
        let is_told = told.is_some_and(|told| summary::same_table(&told, &page));
        if board_differs || !is_told {
            file::replace(&self.page, page.as_bytes())?;
        }
        if board_differs {
            file::replace(&self.board, &merged.table.to_csv()?)?;
        }
        Ok(())
    }
}

fn result(script: &Script, merged: &Merged) -> Value {
    json!({
        "scenes": script.scenes.len(),
        "added": merged.count("added"),
        "changed": merged.count("changed"),
        "cut": merged.count("cut"),
        "revived": merged.count("revived"),
        "unchanged": merged.unchanged,
        "reordered": merged.reordered,
        "changes": merged.changes.iter().take(TOLD).map(told).collect::<Vec<_>>(),
    })
}

fn told(change: &Change) -> Value {
    let heading: String = change.heading.chars().take(120).collect();
    json!({ "scene": change.scene, "heading": heading, "change": change.what.word(), "fields": change.what.fields() })
}
