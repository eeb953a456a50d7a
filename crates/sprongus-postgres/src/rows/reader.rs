//! Reading the rows of a statement: columns are read in the order in which the statement lists them, and no number of one is written
//! down.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sprongus_core::Error;
use sprongus_core::json::Json;
use sprongus_core::values::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::error::Result;
use crate::rows::values::{Spelled, Time};
use crate::rows::{canonical, unreadable};

/// Reads a row's values one after the other.
pub struct RowReader<'a> {
    row: &'a Row,
    column: usize,
}

impl<'a> RowReader<'a> {
    /// From the first column on.
    pub fn new(row: &'a Row) -> Self {
        Self { row, column: 0 }
    }

    /// The next value as it is.
    pub fn value<T: FromSql<'a>>(&mut self) -> Result<T> {
        self.column += 1;
        Ok(self.row.try_get(self.column - 1)?)
    }

    /// Whether the next value, an id, is missing; it is not passed over.
    pub fn is_null(&self) -> Result<bool> {
        Ok(self.row.try_get::<_, Option<Uuid>>(self.column)?.is_none())
    }

    /// Text that is the name of something.
    pub fn parse<T: FromStr<Err = Error>>(&mut self) -> Result<T> {
        let text: &str = self.value()?;
        Ok(text.parse().map_err(unreadable)?)
    }

    /// The same where there may be none.
    pub fn parse_optional<T: FromStr<Err = Error>>(&mut self) -> Result<Option<T>> {
        let text: Option<&str> = self.value()?;
        Ok(text.map(|text| text.parse().map_err(unreadable)).transpose()?)
    }

    /// A value of ours that is kept as JSON.
    pub fn parse_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let text: Option<Spelled<'_>> = self.value()?;
        Ok(text.map(|text| serde_json::from_str(text.0).map_err(unreadable)).transpose()?)
    }

    /// A document.
    pub fn json(&mut self) -> Result<Json> {
        canonical(self.value::<Spelled<'_>>()?.0)
    }

    /// A document, if there is one.
    pub fn optional_json(&mut self) -> Result<Option<Json>> {
        self.value::<Option<Spelled<'_>>>()?.map(|text| canonical(text.0)).transpose()
    }

    /// A time.
    pub fn time(&mut self) -> Result<Timestamp> {
        Ok(self.value::<Time>()?.0)
    }

    /// A time, if there is one.
    pub fn optional_time(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.value::<Option<Time>>()?.map(|time| time.0))
    }

    /// The bits of an id.
    pub fn bits(&mut self) -> Result<u128> {
        Ok(self.value::<Uuid>()?.as_u128())
    }

    /// The bits of an id, if there is one.
    pub fn optional_bits(&mut self) -> Result<Option<u128>> {
        Ok(self.value::<Option<Uuid>>()?.map(|id| id.as_u128()))
    }

    /// A count that is kept as a `bigint`.
    pub fn bigint<T: TryFrom<i64>>(&mut self) -> Result<T> {
        let value: i64 = self.value()?;
        Ok(T::try_from(value).map_err(|_| out_of_range())?)
    }

    /// A count that is kept as an `integer`.
    pub fn integer<T: TryFrom<i32>>(&mut self) -> Result<T> {
        let value: i32 = self.value()?;
        Ok(T::try_from(value).map_err(|_| out_of_range())?)
    }

    /// A count that is kept as a `smallint`.
    pub fn smallint<T: TryFrom<i16>>(&mut self) -> Result<T> {
        let value: i16 = self.value()?;
        Ok(T::try_from(value).map_err(|_| out_of_range())?)
    }
}

fn out_of_range() -> Error {
    Error::internal("the database holds a count out of range")
}

/// Every row.
pub fn all<T>(rows: &[Row], read: impl Fn(&mut RowReader<'_>) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().map(|row| read(&mut RowReader::new(row))).collect()
}

/// The first row, if there is one.
pub fn first<T>(rows: &[Row], read: impl FnOnce(&mut RowReader<'_>) -> Result<T>) -> Result<Option<T>> {
    rows.first().map(|row| read(&mut RowReader::new(row))).transpose()
}

/// The row of a statement that always gives one.
///
/// # Errors
/// `internal` when it is missing.
pub fn only<T>(rows: &[Row], read: impl FnOnce(&mut RowReader<'_>) -> Result<T>) -> Result<T> {
    first(rows, read)?.ok_or_else(|| Error::internal("a statement gave no row").into())
}

/// The result sets of so many statements.
///
/// # Errors
/// `internal` when one is missing.
pub fn result_sets<const N: usize>(sets: Vec<Vec<Row>>) -> Result<[Vec<Row>; N]> {
    sets.try_into().map_err(|_| Error::internal("a statement had no result set").into())
}
