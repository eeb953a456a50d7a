//! Statements, and the rows they give: columns are read in the order in which the statement lists them, and no number of one is written
//! down.

use std::ops::ControlFlow;
use std::str::FromStr;

use rusqlite::types::{FromSql, Type};
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;
use sprongus_core::json::Json;
use sprongus_core::{Error, Result};

use crate::error::MapDbErr;

/// What reading a row comes to.
pub type Read<T> = rusqlite::Result<T>;

/// Reads a row's values one after the other.
pub struct RowReader<'a, 'r> {
    row: &'a Row<'r>,
    column: usize,
}

impl<'a, 'r> RowReader<'a, 'r> {
    /// From the first column on.
    pub fn new(row: &'a Row<'r>) -> Self {
        Self { row, column: 0 }
    }

    fn next(&mut self) -> usize {
        self.column += 1;
        self.column - 1
    }

    /// The next value as it is.
    pub fn value<T: FromSql>(&mut self) -> Read<T> {
        let column = self.next();
        self.row.get(column)
    }

    /// Text, where it lies.
    pub fn text(&mut self) -> Read<&'a str> {
        let column = self.next();
        Ok(self.row.get_ref(column)?.as_str()?)
    }

    /// Text that is the name, the id or the time of something.
    pub fn parse<T: FromStr<Err = Error>>(&mut self) -> Read<T> {
        let column = self.next();
        parse(column, self.row.get_ref(column)?.as_str()?)
    }

    /// The same where there may be none.
    pub fn parse_optional<T: FromStr<Err = Error>>(&mut self) -> Read<Option<T>> {
        let column = self.next();
        self.row.get_ref(column)?.as_str_or_null()?.map(|text| parse(column, text)).transpose()
    }

    /// A value of ours that is kept as JSON.
    pub fn parse_json<T: DeserializeOwned>(&mut self) -> Read<Option<T>> {
        let column = self.next();
        let text = self.row.get_ref(column)?.as_str_or_null()?;
        text.map(|text| serde_json::from_str(text).map_err(|error| unreadable(column, error))).transpose()
    }

    /// A document.
    pub fn json(&mut self) -> Read<Json> {
        Ok(Json::from_canonical(self.text()?))
    }

    /// A document, if there is one.
    pub fn optional_json(&mut self) -> Read<Option<Json>> {
        let column = self.next();
        Ok(self.row.get_ref(column)?.as_str_or_null()?.map(Json::from_canonical))
    }

    /// A count.
    pub fn integer<T: TryFrom<i64>>(&mut self) -> Read<T> {
        let column = self.next();
        let value: i64 = self.row.get(column)?;
        T::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
    }
}

fn parse<T: FromStr<Err = Error>>(column: usize, text: &str) -> Read<T> {
    text.parse().map_err(|error: Error| unreadable(column, error))
}

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// What rusqlite asks to read a row with.
pub fn reading<T>(
    mut read: impl FnMut(&mut RowReader<'_, '_>) -> Read<T>,
) -> impl FnMut(&Row<'_>) -> Read<T> {
    move |row| read(&mut RowReader::new(row))
}

/// Every row.
pub fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&mut RowReader<'_, '_>) -> Read<T>,
) -> Result<Vec<T>> {
    let mut select = connection.prepare_cached(sql).map_db_err()?;
    select.query_map(params, reading(read)).map_db_err()?.collect::<Read<_>>().map_db_err()
}

/// The first row, if there is one.
pub fn first<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&mut RowReader<'_, '_>) -> Read<T>,
) -> Result<Option<T>> {
    connection.prepare_cached(sql).map_db_err()?.query_row(params, reading(read)).optional().map_db_err()
}

/// The row of a statement that always gives one.
///
/// # Errors
/// `internal` when it is missing.
pub fn only<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&mut RowReader<'_, '_>) -> Read<T>,
) -> Result<T> {
    connection.prepare_cached(sql).map_db_err()?.query_row(params, reading(read)).map_db_err()
}

/// Visits row by row, until `visit` has had enough.
pub fn each(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut visit: impl FnMut(&mut RowReader<'_, '_>) -> Read<ControlFlow<()>>,
) -> Result<()> {
    let mut select = connection.prepare_cached(sql).map_db_err()?;
    let mut found = select.query(params).map_db_err()?;
    while let Some(row) = found.next().map_db_err()? {
        if visit(&mut RowReader::new(row)).map_db_err()?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Whether there is any row.
pub fn exists(connection: &Connection, sql: &str, params: impl Params) -> Result<bool> {
    connection.prepare_cached(sql).map_db_err()?.exists(params).map_db_err()
}

/// Carries out a statement that gives no rows; how many it concerned.
pub fn execute(connection: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    connection.prepare_cached(sql).map_db_err()?.execute(params).map_db_err()
}
