//! Brings a table up to date with a script, without losing anything a person put there.
//!
//! - Rows stand in the script's order. Several rows of one scene (its panels) all get the scene's cells.
//! - Rows of no scene, and those of scenes that are gone, stay behind the row they followed.
//! - A scene gone from the script is marked `cut`; back in the script it is revived.
//! - A scene under a new id (its heading rewritten, its number given) is taken for the old one, row and all, if no
//!   other has the same action.

use std::collections::{HashMap, HashSet};

use super::cells::{self, ACTION, COLUMNS, HEADING, SCENE, STATUS};
use super::table::Table;
use crate::script::Scene;

/// What a sync comes to.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) table: Table,
    /// Where our columns are in it.
    pub(crate) columns: [usize; COLUMNS.len()],
    pub(crate) changes: Vec<Change>,
    pub(crate) unchanged: usize,
    /// Rows had to be moved to follow the script.
    pub(crate) reordered: bool,
}

/// What happened to one scene.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) scene: String,
    pub(crate) heading: String,
    pub(crate) what: What,
}

/// The ways in which a scene changes, with the columns that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Added,
    Changed(Vec<&'static str>),
    Revived(Vec<&'static str>),
    Cut,
}

impl What {
    /// A change in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed(_) => "changed",
            Self::Revived(_) => "revived",
            Self::Cut => "cut",
        }
    }

    /// The columns it is about.
    pub(crate) fn fields(&self) -> &[&'static str] {
        match self {
            Self::Changed(fields) | Self::Revived(fields) => fields,
            Self::Added | Self::Cut => &[],
        }
    }
}

impl Merged {
    /// How many scenes changed in this way.
    pub(crate) fn count(&self, word: &str) -> usize {
        self.changes.iter().filter(|change| change.what.word() == word).count()
    }
}

/// A row and where it stood.
struct Row {
    cells: Vec<String>,
    from: Option<usize>,
}

/// Merges; the scenes have ids of their own each.
pub(crate) fn merge(mut table: Table, scenes: &[Scene]) -> Merged {
    let columns = table.our_columns();
    let wanted: Vec<[String; 7]> = scenes.iter().map(cells::of).collect();
    let numbers: HashMap<&str, usize> =
        scenes.iter().enumerate().map(|(n, scene)| (scene.id.as_str(), n)).collect();
    let renamed = renamed(&table, &columns, &wanted, &numbers);

    // One block a scene, and one for what stands above the first.
    let mut blocks: Vec<Vec<Row>> = (0..=scenes.len()).map(|_| Vec::new()).collect();
    let mut changes = Vec::new();
    let mut gone = HashSet::new();
    let mut block = 0;
    for (from, mut cells) in std::mem::take(&mut table.rows).into_iter().enumerate() {
        let id = cells[columns[SCENE]].trim().to_owned();
        let scene = numbers.get(id.as_str()).or_else(|| renamed.get(&id));
        match scene {
            Some(number) => block = number + 1,
            None if cells::is_scene_id(&id) => {
                let status = &mut cells[columns[STATUS]];
                let was_cut = cells::is_cut(status);
                *status = cells::cut(status);
                if !was_cut && gone.insert(id.clone()) {
                    let heading = cells[columns[HEADING]].clone();
                    changes.push(Change { scene: id, heading, what: What::Cut });
                }
            }
            None => {}
        }
        blocks[block].push(Row { cells, from: Some(from) });
    }

    let mut unchanged = 0;
    for (number, cells) in wanted.iter().enumerate() {
        let is_its_own = |row: &Row| {
            let id = row.cells[columns[SCENE]].trim();
            numbers.get(id).or_else(|| renamed.get(id)) == Some(&number)
        };
        let what = refresh(&mut blocks[number + 1], &columns, cells, table.header.len(), is_its_own);
        match what {
            Some(what) => {
                changes.push(Change { scene: cells[SCENE].clone(), heading: cells[HEADING].clone(), what });
            }
            None => unchanged += 1,
        }
    }

    let rows: Vec<Row> = blocks.into_iter().flatten().collect();
    let stood: Vec<usize> = rows.iter().filter_map(|row| row.from).collect();
    let reordered = !stood.is_sorted();
    table.rows = rows.into_iter().map(|row| row.cells).collect();
    Merged { table, columns, changes, unchanged, reordered }
}

/// Writes a scene's cells into its rows, or adds its row.
fn refresh(
    block: &mut Vec<Row>,
    columns: &[usize; COLUMNS.len()],
    wanted: &[String; 7],
    width: usize,
    is_its_own: impl Fn(&Row) -> bool,
) -> Option<What> {
    if block.is_empty() {
        let mut cells = vec![String::new(); width];
        for (column, cell) in columns.iter().zip(wanted) {
            cells[*column].clone_from(cell);
        }
        cells[columns[STATUS]] = cells::ACTIVE.to_owned();
        block.push(Row { cells, from: None });
        return Some(What::Added);
    }
    let (mut fields, mut revived) = (HashSet::new(), false);
    for row in block.iter_mut().filter(|row| is_its_own(row)) {
        for (field, wanted) in wanted.iter().enumerate() {
            let cell = &mut row.cells[columns[field]];
            if cell != wanted {
                cell.clone_from(wanted);
                fields.insert(COLUMNS[field]);
            }
        }
        let status = &mut row.cells[columns[STATUS]];
        let live = cells::live(status);
        if *status != live {
            revived |= cells::is_cut(status);
            *status = live;
            fields.insert(COLUMNS[STATUS]);
        }
    }
    let fields: Vec<_> = COLUMNS.into_iter().filter(|name| fields.contains(name)).collect();
    match (revived, fields.is_empty()) {
        (true, _) => Some(What::Revived(fields)),
        (false, false) => Some(What::Changed(fields)),
        (false, true) => None,
    }
}

/// Old ids that live on under a new one, by the action they share; `HEADING` stands in where there is none.
fn renamed(
    table: &Table,
    columns: &[usize; COLUMNS.len()],
    wanted: &[[String; 7]],
    numbers: &HashMap<&str, usize>,
) -> HashMap<String, usize> {
    let mut known = HashSet::new();
    let mut orphans: HashMap<(&str, &str), Option<&str>> = HashMap::new();
    for row in &table.rows {
        let id = row[columns[SCENE]].trim();
        let is_orphan =
            cells::is_scene_id(id) && !numbers.contains_key(id) && !cells::is_cut(&row[columns[STATUS]]);
        // A scene's further rows say nothing new.
        if known.insert(id) && is_orphan {
            let looks = looks(&row[columns[ACTION]], &row[columns[HEADING]]);
            orphans.entry(looks).and_modify(|id| *id = None).or_insert(Some(id));
        }
    }
    let mut heirs: HashMap<(&str, &str), Option<usize>> = HashMap::new();
    for (number, cells) in wanted.iter().enumerate() {
        if !known.contains(cells[SCENE].as_str()) {
            let looks = looks(&cells[ACTION], &cells[HEADING]);
            heirs.entry(looks).and_modify(|number| *number = None).or_insert(Some(number));
        }
    }
    let pair = |(looks, id): (&(&str, &str), &Option<&str>)| Some(((*id)?.to_owned(), (*heirs.get(looks)?)?));
    orphans.iter().filter_map(pair).collect()
}

fn looks<'c>(action: &'c str, heading: &'c str) -> (&'c str, &'c str) {
    if action.is_empty() { ("", heading) } else { (action, "") }
}

#[cfg(test)]
mod tests;
