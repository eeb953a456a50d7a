//! A CSV table as people and their spreadsheets leave it (RFC 4180, and `;` or tabs where commas are decimal).
//!
//! Written back with the delimiter, line ends and byte order mark it came with. Cells are not interpreted here.

use std::path::Path;

use csv::{ReaderBuilder, Terminator, WriterBuilder};

use super::cells::{COLUMNS, SCENE};
use crate::failure::Failure;
use crate::file;

/// A header and rows, every row at least as wide as the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) header: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Style {
    delimiter: u8,
    crlf: bool,
    byte_order_mark: bool,
}

impl Table {
    /// A table with our columns and no rows.
    pub(crate) fn empty() -> Self {
        Self {
            header: COLUMNS.map(str::to_owned).to_vec(),
            rows: Vec::new(),
            style: Style { delimiter: b',', crlf: true, byte_order_mark: false },
        }
    }

    /// Reads a table that has a `scene` column; an empty file is an empty table.
    pub(crate) fn read(path: &Path, bytes: Vec<u8>) -> Result<Self, Failure> {
        let refuse = |what: &str| Failure::Refused(format!("{} is no storyboard: {what}", path.display()));
        let byte_order_mark = bytes.starts_with("\u{feff}".as_bytes());
        let text = file::text(path, bytes)?;
        if text.trim().is_empty() {
            return Ok(Self::empty());
        }
        // An open quote would swallow every row below it.
        if text.bytes().filter(|b| *b == b'"').count() % 2 == 1 {
            return Err(refuse("a quote is never closed"));
        }
        let crlf = text.split('\n').next().is_some_and(|line| line.ends_with('\r'));
        for delimiter in [b',', b';', b'\t'] {
            let mut records = records(&text, delimiter).map_err(|error| refuse(&error.to_string()))?;
            if column(&records[0], COLUMNS[SCENE]).is_some() {
                let header = records.remove(0);
                let style = Style { delimiter, crlf, byte_order_mark };
                let mut table = Self { header, rows: records, style };
                table.pad();
                return Ok(table);
            }
        }
        Err(refuse("its first row names no column `scene`"))
    }

    /// The table as a file.
    pub(crate) fn to_csv(&self) -> Result<Vec<u8>, Failure> {
        let start = if self.style.byte_order_mark { "\u{feff}" } else { "" };
        let terminator = if self.style.crlf { Terminator::CRLF } else { Terminator::Any(b'\n') };
        let mut writer = WriterBuilder::new()
            .delimiter(self.style.delimiter)
            .terminator(terminator)
            .flexible(true)
            .from_writer(start.as_bytes().to_vec());
        let failed =
            |error: &dyn std::error::Error| Failure::Unavailable(format!("cannot write the table: {error}"));
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).map_err(|error| failed(&error))?;
        }
        writer.into_inner().map_err(|error| failed(&error))
    }

    /// Where our columns are, adding those that are missing on the right.
    pub(crate) fn our_columns(&mut self) -> [usize; COLUMNS.len()] {
        COLUMNS.map(|name| match column(&self.header, name) {
            Some(at) => at,
            None => self.add_column(name),
        })
    }

    /// Adds a column on the right, and says where it is.
    pub(super) fn add_column(&mut self, name: &str) -> usize {
        // Cells without a name above them must not come under this one.
        let widest = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.header.len());
        self.header.resize(widest, String::new());
        self.header.push(name.to_owned());
        self.pad();
        self.header.len() - 1
    }

    fn pad(&mut self) {
        let width = self.header.len();
        for row in &mut self.rows {
            if row.len() < width {
                row.resize(width, String::new());
            }
        }
    }
}

/// At least one record: the text is not blank.
fn records(text: &str, delimiter: u8) -> Result<Vec<Vec<String>>, csv::Error> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let records: Result<Vec<Vec<String>>, _> = reader
        .records()
        .map(|record| record.map(|record| record.iter().map(str::to_owned).collect()))
        .collect();
    records.map(|records| if records.is_empty() { vec![Vec::new()] } else { records })
}

/// Columns are found by name, however it is capitalised; the first of a name counts.
pub(super) fn column(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|cell| cell.trim().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Table, Failure> {
        Table::read(Path::new("b.csv"), text.as_bytes().to_vec())
    }

    #[test]
    fn a_table_is_written_as_it_was_found() {
        for text in [
            "scene,note\nsc-1,\"a \"\"b\"\"\nc\"\n",
            "note,Scene\r\nx,sc-1\r\n",
            "\u{feff}scene;note\r\nsc-1;1,5\r\n",
            "scene\tnote\nsc-1\t\n",
        ] {
            assert_eq!(read(text).unwrap().to_csv().unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["a,b\n1,2\n", "scene,\"x\nsc-1,\n", "# storyboard\n"] {
            assert_eq!(read(text).unwrap_err().exit_code(), 78, "{text}");
        }
    }

    #[test]
    fn missing_columns_come_last_and_never_above_a_persons_cells() {
        let mut table = read("scene,note\nsc-1,x,nameless\n").unwrap();
        let ours = table.our_columns();
        assert_eq!(ours, [0, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(table.rows[0][..4], ["sc-1", "x", "nameless", ""]);
    }

    proptest! {
        #[test]
        fn any_cells_come_back(cells in prop::collection::vec(prop::collection::vec("\\PC*|[,;\"\n\r\t ]{0,4}", 2), 0..6)) {
            let mut table = Table::empty();
            table.header = vec!["scene".to_owned(), "note".to_owned()];
            table.rows = cells;
            let back = Table::read(Path::new("b"), table.to_csv().unwrap()).unwrap();
            prop_assert_eq!(back, table);
        }

        #[test]
        fn any_file_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), named in any::<bool>()) {
            let start: &[u8] = if named { b"scene,x\n" } else { b"" };
            if let Ok(mut table) = Table::read(Path::new("b"), [start, &bytes].concat()) {
                table.our_columns();
                prop_assert!(table.to_csv().is_ok());
            }
        }
    }
}
