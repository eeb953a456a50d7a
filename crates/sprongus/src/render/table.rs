//! Aligned columns, measured by what a terminal shows and not by bytes.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::style::{DIM, PLAIN, paint};

/// One cell: text without escapes, and its colour.
pub struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// A cell in a colour.
    pub fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style, right: false }
    }

    /// A number: to the right.
    pub fn number(number: impl ToString) -> Self {
        Self { text: number.to_string(), style: PLAIN, right: true }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(text, PLAIN)
    }
}

/// A table without borders.
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these headings.
    pub fn new(head: impl Into<Vec<&'static str>>) -> Self {
        Self { head: head.into(), rows: Vec::new() }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table's lines; `empty` when it has no row.
    pub fn render(&self, empty: &str) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", paint(DIM, empty));
        }
        let is_filled = |column: usize| {
            self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.text.is_empty()))
        };
        let shown: Vec<usize> = (0..self.head.len()).filter(|column| is_filled(*column)).collect();
        let widths: Vec<usize> = self
            .head
            .iter()
            .enumerate()
            .map(|(column, head)| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.width());
                cells.chain([head.width()]).max().unwrap_or(0)
            })
            .collect();
        let mut out = String::new();
        let is_right =
            |column: usize| self.rows.iter().all(|row| row.get(column).is_some_and(|cell| cell.right));
        let head = self.head.iter().enumerate();
        let head: Vec<Cell> = head
            .map(|(column, text)| Cell { text: (*text).to_owned(), style: DIM, right: is_right(column) })
            .collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            write_row(&mut out, row, &widths, &shown);
        }
        out
    }
}

/// A column that says nothing in any row is left out.
fn write_row(out: &mut String, row: &[Cell], widths: &[usize], shown: &[usize]) {
    for &column in shown {
        let (Some(cell), Some(width)) = (row.get(column), widths.get(column)) else { continue };
        let padding = " ".repeat(width.saturating_sub(cell.text.width()));
        let text = paint(cell.style, &cell.text);
        let is_last = shown.last() == Some(&column);
        match (cell.right, is_last) {
            (true, _) => out.extend([padding.as_str(), &text]),
            (false, true) => out.push_str(&text),
            (false, false) => out.extend([text.as_str(), &padding]),
        }
        if !is_last {
            out.push_str("  ");
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(["NAME", "N"]);
        table.row(["日本".into(), Cell::number(7)]);
        table.row(["ab".into(), Cell::number(10)]);
        let plain = anstream::adapter::strip_str(&table.render("none")).to_string();
        assert_eq!(plain, "NAME   N\n日本   7\nab    10\n");
    }

    #[test]
    fn a_column_without_a_word_is_left_out() {
        let mut table = Table::new(["A", "B", "C"]);
        table.row(["1".into(), "".into(), "3".into()]);
        let plain = anstream::adapter::strip_str(&table.render("none")).to_string();
        assert_eq!(plain, "A  C\n1  3\n");
    }

    #[test]
    fn an_empty_table_says_so() {
        let plain = anstream::adapter::strip_str(&Table::new(["A"]).render("no runs")).to_string();
        assert_eq!(plain, "no runs\n");
    }
}
