//! Rows as the core's nouns. What does not read back as one was written by something else: an error, never a guess.

mod event;
mod run;
mod step;
pub(crate) mod values;

use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::json::Json;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result as CoreResult};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::error::Result;
use crate::rows::values::{Spelled, Time};

pub(crate) use event::event_columns;
pub use event::{EventRows, event};
pub(crate) use run::run_columns;
pub use run::{LastingColumns, RunColumns, due_since, run, run_from};
pub(crate) use step::step_columns;
pub use step::{PUT_STEPS, StepColumns, step};

/// A value of ours as JSON for a column.
pub fn to_json(value: &impl Serialize) -> CoreResult<String> {
    serde_json::to_string(value).map_err(|error| Error::internal("cannot write JSON").with_source(error))
}

/// A count as Postgres keeps it.
pub fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The same for a small one.
pub fn small(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// A duration in whole milliseconds, as Postgres keeps it.
pub fn millis(value: Duration) -> i64 {
    i64::try_from(value.as_millis()).unwrap_or(i64::MAX)
}

/// JSON as Postgres spells it, in our own spelling.
pub fn canonical(text: &str) -> Result<Json> {
    if text == "{}" {
        return Ok(Json::empty_object());
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(unreadable)?;
    Ok(Json::from_value(value))
}

/// What does not read back.
pub fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::internal("the database contains data that this version cannot read").with_source(error)
}

/// Reads a row's values one after the other: a row of 37 columns has no room for a slip in their numbers.
pub struct Reader<'a> {
    row: &'a Row,
    column: usize,
}

impl<'a> Reader<'a> {
    /// From the column numbered `first` on.
    pub fn from(row: &'a Row, first: usize) -> Self {
        Self { row, column: first }
    }

    /// The next value as it is.
    pub fn plain<T: FromSql<'a>>(&mut self) -> Result<T> {
        self.column += 1;
        Ok(self.row.try_get(self.column - 1)?)
    }

    /// Text that is the name of something.
    pub fn text<T: FromStr<Err = Error>>(&mut self) -> Result<T> {
        let text: &str = self.plain()?;
        Ok(text.parse().map_err(unreadable)?)
    }

    /// The same where there may be none.
    pub fn optional<T: FromStr<Err = Error>>(&mut self) -> Result<Option<T>> {
        let text: Option<&str> = self.plain()?;
        Ok(text.map(|text| text.parse().map_err(unreadable)).transpose()?)
    }

    /// A value of ours that is kept as JSON.
    pub fn parsed<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let text: Option<Spelled<'_>> = self.plain()?;
        Ok(text.map(|text| serde_json::from_str(text.0).map_err(unreadable)).transpose()?)
    }

    /// A document.
    pub fn json(&mut self) -> Result<Json> {
        canonical(self.plain::<Spelled<'_>>()?.0)
    }

    /// A document, if there is one.
    pub fn optional_json(&mut self) -> Result<Option<Json>> {
        self.plain::<Option<Spelled<'_>>>()?.map(|text| canonical(text.0)).transpose()
    }

    /// A time.
    pub fn time(&mut self) -> Result<Timestamp> {
        Ok(self.plain::<Time>()?.0)
    }

    /// A time, if there is one.
    pub fn optional_time(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.plain::<Option<Time>>()?.map(|time| time.0))
    }

    /// The bits of an id.
    pub fn bits(&mut self) -> Result<u128> {
        Ok(self.plain::<Uuid>()?.as_u128())
    }

    /// A count that was kept as a `bigint`.
    pub fn count<T: TryFrom<i64>>(&mut self) -> Result<T> {
        let value: i64 = self.plain()?;
        Ok(T::try_from(value).map_err(|_| Error::internal("the database holds a count out of range"))?)
    }

    /// A count that was kept as an `integer`.
    pub fn small<T: TryFrom<i32>>(&mut self) -> Result<T> {
        let value: i32 = self.plain()?;
        Ok(T::try_from(value).map_err(|_| Error::internal("the database holds a count out of range"))?)
    }

    /// A count that was kept as a `smallint`.
    pub fn tiny<T: TryFrom<i16>>(&mut self) -> Result<T> {
        let value: i16 = self.plain()?;
        Ok(T::try_from(value).map_err(|_| Error::internal("the database holds a count out of range"))?)
    }
}
