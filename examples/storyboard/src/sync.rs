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
pub(crate) const BOARD_LIMIT: u64 = 64 * 1024 * 1024;

/// What a result tells one by one; the page tells more.
const MAX_CHANGES: usize = 50;

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
    let found = files.find_board()?;
    let old = found.clone().map(|bytes| Table::read(&files.board, bytes)).transpose()?;
    let merged = merge(old.clone().unwrap_or_else(Table::empty), &script.scenes);
    call.progress(60)?;
    files.write(&script, &merged, found.as_deref(), old.as_ref())?;
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
    /// The table as it lies there, if nobody has it open: a spreadsheet would save its own state over ours.
    fn find_board(&self) -> Result<Option<Vec<u8>>, Failure> {
        lock::check(&self.board)?;
        file::read_if_there(&self.board, BOARD_LIMIT)
    }

    /// Writes what differs. The page goes first: if we die in between, the next attempt finds the old board, and so
    /// the same changes to tell.
    fn write(
        &self,
        script: &Script,
        merged: &Merged,
        found: Option<&[u8]>,
        old: Option<&Table>,
    ) -> Result<(), Failure> {
        let board_differs = old != Some(&merged.table);
        let page = summary::page(script, merged);
        let old_page = summary::read(&self.page)?;
        let page_differs = old_page.is_none_or(|old| !summary::same_table(&old, &page));
        // What a person saved while we were merging is not in our table.
        if board_differs && self.find_board()?.as_deref() != found {
            return Err(Failure::Busy(format!("{} was saved just now", self.board.display())));
        }
        if board_differs || page_differs {
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
        "changes": merged.changes.iter().take(MAX_CHANGES).map(change_json).collect::<Vec<_>>(),
    })
}

fn change_json(change: &Change) -> Value {
    let heading: String = change.heading.chars().take(120).collect();
    json!({ "scene": change.scene, "heading": heading, "change": change.what.word(), "fields": change.what.fields() })
}
