//! Rows as the core's nouns, and back. What does not read back as one was written by something else: an error, never a guess.

mod event;
mod run;
mod step;

use std::str::FromStr;
use std::time::Duration;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Row, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::json::Json;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result};

use crate::error::MapDbErr;

pub(crate) use event::event_columns;
pub use event::{event, event_from, insert_events};
pub(crate) use run::run_columns;
pub use run::{insert_run, run, update_run};
pub(crate) use step::step_columns;
pub use step::{put_step, step};

type Read<T> = rusqlite::Result<T>;

/// A text column as anything that is read from text.
pub fn text<T: FromStr<Err = Error>>(row: &Row<'_>, column: usize) -> Read<T> {
    parse(column, row.get_ref(column)?.as_str()?)
}

/// The same for a column that may be empty.
pub fn optional<T: FromStr<Err = Error>>(row: &Row<'_>, column: usize) -> Read<Option<T>> {
    row.get_ref(column)?.as_str_or_null()?.map(|value| parse(column, value)).transpose()
}

/// A column of JSON as a value of ours.
pub fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Read<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(|text| serde_json::from_str(text).map_err(|error| unreadable(column, error))).transpose()
}

/// A value of ours as JSON for a column.
pub fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::internal("cannot write JSON").with_source(error))
}

/// A count as SQLite keeps it.
pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A duration in whole milliseconds, as SQLite keeps it.
pub fn millis(value: Duration) -> i64 {
    i64::try_from(value.as_millis()).unwrap_or(i64::MAX)
}

fn parse<T: FromStr<Err = Error>>(column: usize, value: &str) -> Read<T> {
    value.parse().map_err(|error: Error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Reads a row's values one after the other: a row of 37 columns has no room for a slip in their numbers.
struct Reader<'a, 'r> {
    row: &'a Row<'r>,
    column: usize,
}

impl<'a, 'r> Reader<'a, 'r> {
    fn of(row: &'a Row<'r>) -> Self {
        Self::from(row, 0)
    }

    fn from(row: &'a Row<'r>, first: usize) -> Self {
        Self { row, column: first }
    }

    fn next(&mut self) -> usize {
        self.column += 1;
        self.column - 1
    }

    fn text<T: FromStr<Err = Error>>(&mut self) -> Read<T> {
        text(self.row, self.next())
    }

    fn optional<T: FromStr<Err = Error>>(&mut self) -> Read<Option<T>> {
        optional(self.row, self.next())
    }

    fn parsed<T: DeserializeOwned>(&mut self) -> Read<Option<T>> {
        parsed(self.row, self.next())
    }

    fn json(&mut self) -> Read<Json> {
        Ok(Json::from_canonical(self.row.get_ref(self.next())?.as_str()?))
    }

    fn plain<T: FromSql>(&mut self) -> Read<T> {
        self.row.get(self.next())
    }

    fn count<T: TryFrom<i64>>(&mut self) -> Read<T> {
        let column = self.next();
        let value: i64 = self.row.get(column)?;
        T::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
    }
}

/// Binds a row's values, likewise.
struct Binder<'a, 'c> {
    statement: &'a mut Statement<'c>,
    column: usize,
}

impl<'a, 'c> Binder<'a, 'c> {
    fn of(statement: &'a mut Statement<'c>) -> Self {
        Self { statement, column: 0 }
    }

    fn bind(&mut self, value: impl rusqlite::ToSql) -> Result<()> {
        self.column += 1;
        self.statement.raw_bind_parameter(self.column, value).map_db_err()
    }

    fn text(&mut self, value: &str) -> Result<()> {
        self.bind(value)
    }

    fn optional(&mut self, value: Option<&str>) -> Result<()> {
        self.bind(value)
    }

    fn bytes(&mut self, value: Option<&[u8]>) -> Result<()> {
        self.bind(value)
    }

    fn number(&mut self, value: i64) -> Result<()> {
        self.bind(value)
    }

    fn time(&mut self, value: Option<Timestamp>) -> Result<()> {
        self.bind(value.map(|time| time.to_string()))
    }
}
