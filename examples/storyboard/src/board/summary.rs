//! The page about a sync: what changed, and the table, in Markdown that any viewer shows.

use std::path::Path;

use super::cells::{ACTION, COLUMNS, STATUS};
use super::merge::Merged;
use crate::failure::Failure;
use crate::file;
use crate::script::{Script, pages};

/// The first line, by which we know a page as ours to overwrite.
const MARK: &str =
    "<!-- written by storyboard sync: edits on this page are lost, those in the table are kept -->\n";

/// Begins the part that tells how things are, not what happened.
const TABLE: &str = "\n## Board\n";

/// A page is for reading; the whole text is in the table.
const CELL_CHARS: usize = 160;

/// What changes are told one by one.
const TOLD: usize = 500;

/// Writes the page.
pub(crate) fn page(script: &Script, merged: &Merged) -> String {
    let mut page = MARK.to_owned();
    let title = script.title.as_deref().unwrap_or("untitled");
    page.push_str(&format!("# Storyboard: {}\n\n", plain(title)));
    let (scenes, length) = (script.scenes.len(), pages(script.eighths));
    page.push_str(&format!("{scenes} scenes, {length} pages. {}.\n\n## What changed\n\n", counts(merged)));
    for change in merged.changes.iter().take(TOLD) {
        let (what, fields) = (change.what.word(), change.what.fields());
        let fields = if fields.is_empty() { String::new() } else { format!(" ({})", fields.join(", ")) };
        page.push_str(&format!("- {what} {}: {}{fields}\n", plain(&change.scene), plain(&change.heading)));
    }
    if merged.changes.len() > TOLD {
        page.push_str(&format!("- and {} more\n", merged.changes.len() - TOLD));
    }
    if merged.reordered {
        page.push_str("- the rows follow the script's new order\n");
    }
    if merged.changes.is_empty() && !merged.reordered {
        page.push_str("Nothing.\n");
    }
    page.push_str(TABLE);
    page.push_str(&table(merged));
    page
}

/// `1 added, 2 changed, 0 cut, 0 revived, 3 unchanged`.
pub(crate) fn counts(merged: &Merged) -> String {
    let counts = ["added", "changed", "cut", "revived"].map(|word| format!("{} {word}", merged.count(word)));
    format!("{}, {} unchanged", counts.join(", "), merged.unchanged)
}

/// Whether a page shows the same table as another.
pub(crate) fn same_table(one: &str, other: &str) -> bool {
    one.split_once(TABLE).map(|(_, table)| table) == other.split_once(TABLE).map(|(_, table)| table)
}

/// The page that stands at `path`, if there is one; refuses to take anything else for one.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    let Some(bytes) = file::read_if_there(path, crate::script::SCENES_LIMIT)? else { return Ok(None) };
    let page = file::text(path, bytes)?;
    if page.is_empty() || page.starts_with(MARK) {
        return Ok(Some(page));
    }
    Err(Failure::Refused(format!("cannot write {}: it holds something else than a summary", path.display())))
}

/// The table: our columns but the action, then people's own, then the action.
fn table(merged: &Merged) -> String {
    let ours = merged.columns;
    let theirs = (0..merged.table.header.len()).filter(|at| !ours.contains(at));
    let shown: Vec<usize> = (0..COLUMNS.len())
        .filter(|at| ![ACTION, STATUS].contains(at))
        .map(|at| ours[at])
        .chain([ours[STATUS]])
        .chain(theirs)
        .chain([ours[ACTION]])
        .collect();
    let line = |cells: &[String]| {
        let cells: Vec<_> = shown.iter().map(|at| plain(&cells[*at])).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut table = format!("\n{}|{}\n", line(&merged.table.header), " --- |".repeat(shown.len()));
    table.extend(merged.table.rows.iter().map(|row| line(row)));
    table
}

/// A cell's text as text: one line, not too long, and nothing in it that Markdown would act on.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for (at, word) in text.split_whitespace().enumerate() {
        if plain.len() + word.len() > CELL_CHARS * 4 || plain.chars().count() > CELL_CHARS {
            plain.push_str(" …");
            break;
        }
        if at > 0 {
            plain.push(' ');
        }
        for c in word.chars().filter(|c| !c.is_control()) {
            match c {
                '|' | '\\' | '`' | '[' | ']' | '*' | '_' => plain.extend(['\\', c]),
                '<' => plain.push_str("&lt;"),
                '&' => plain.push_str("&amp;"),
                _ => plain.push(c),
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(plain("a | b\n<script> [x](y) `c`"), "a \\| b &lt;script> \\[x\\](y) \\`c\\`");
        assert!(plain(&"word ".repeat(100)).ends_with(" …"));
        assert!(plain(&"x".repeat(100_000)).len() < 10);
    }
}
