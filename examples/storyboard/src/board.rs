//! The storyboard: a CSV table that scenes and people share.
//!
//! `table` reads and writes it, `cells` says what we put into a row, `merge` brings it up to date with a script and
//! `summary` writes about it in Markdown; `spreadsheet` is a person's side of it. When files are touched is `sync`'s affair.

pub(crate) mod cells;
pub(crate) mod merge;
pub(crate) mod spreadsheet;
pub(crate) mod summary;
pub(crate) mod table;
