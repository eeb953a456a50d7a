//! What a person does with a board in a spreadsheet: looks at columns of it, and writes into one of their own.
//!
//! For a demo that plays that person. The commands themselves never write into a person's column.

use std::fmt;
use std::path::{Path, PathBuf};

use super::cells::{COLUMNS, SCENE};
use super::table::{Table, column};
use crate::failure::Failure;
use crate::{file, sync};

/// Why a board could not be opened or saved, in one line.
#[derive(Debug)]
pub struct BoardError(Failure);

impl fmt::Display for BoardError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, out)
    }
}

impl std::error::Error for BoardError {}

/// A board that is open in a spreadsheet.
#[derive(Debug)]
pub struct Spreadsheet {
    path: PathBuf,
    table: Table,
}

impl Spreadsheet {
    /// Opens the board at `path`.
    ///
    /// # Errors
    /// It cannot be read, or is no board.
    pub fn open(path: &Path) -> Result<Self, BoardError> {
        let bytes = file::read(path, sync::BOARD_LIMIT).map_err(BoardError)?;
        let table = Table::read(path, bytes).map_err(BoardError)?;
        Ok(Self { path: path.to_owned(), table })
    }

    /// The rows from the top, each cut down to the columns named; a column that is not there is empty.
    #[must_use]
    pub fn rows<const N: usize>(&self, columns: [&str; N]) -> Vec<[String; N]> {
        let places = columns.map(|name| column(&self.table.header, name));
        let cell = |row: &[String], place: Option<usize>| {
            place.and_then(|place| row.get(place)).cloned().unwrap_or_default()
        };
        self.table.rows.iter().map(|row| places.map(|place| cell(row, place))).collect()
    }

    /// Writes `text` beside a scene, into a column that is added on the right if it is not there. What stands there already
    /// stays.
    pub fn write(&mut self, scene: &str, name: &str, text: &str) {
        let place = column(&self.table.header, name).unwrap_or_else(|| self.table.add_column(name));
        let Some(scenes) = column(&self.table.header, COLUMNS[SCENE]) else { return };
        let row = self.table.rows.iter_mut().find(|row| row.get(scenes).is_some_and(|id| id == scene));
        if let Some(cell) = row.and_then(|row| row.get_mut(place)).filter(|cell| cell.is_empty()) {
            text.clone_into(cell);
        }
    }

    /// Saves the board, with the delimiter and line ends it came with.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self) -> Result<(), BoardError> {
        let bytes = self.table.to_csv().map_err(BoardError)?;
        file::replace(&self.path, &bytes).map_err(BoardError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_written_once_and_beside_its_scene() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.csv");
        std::fs::write(&path, "scene,heading\r\nsc-1,A\r\nsc-2,B\r\n").unwrap();
        let mut board = Spreadsheet::open(&path).unwrap();
        board.write("sc-2", "notes", "fog, real");
        board.write("sc-2", "notes", "not this");
        board.write("sc-9", "notes", "nor this");
        board.save().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "scene,heading,notes\r\nsc-1,A,\r\nsc-2,B,\"fog, real\"\r\n");
        let rows = Spreadsheet::open(&path).unwrap().rows(["notes", "scene", "none"]);
        assert_eq!(rows[1], ["fog, real", "sc-2", ""]);
    }
}
