//! Rows as the core's nouns, and back. What does not read back as one was written by something else: an error, never a guess.

mod event;
mod reader;
mod run;
mod setting;
mod step;

use std::time::Duration;

use rusqlite::Statement;
use serde::Serialize;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Error, Result};

use crate::error::MapDbErr;

pub(crate) use event::event_columns;
pub use event::{event, insert_events};
pub use reader::{Read, RowReader, all, each, execute, exists, first, only, reading};
pub(crate) use run::run_columns;
pub use run::{insert_run, run, update_run};
pub(crate) use setting::setting_columns;
pub use setting::{put_setting, setting};
pub(crate) use step::step_columns;
pub use step::{put_step, step};

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

/// The projects that a caller is restricted to, as a statement takes them; none where it is not.
pub fn restricted_to(caller: &Caller) -> Result<Option<String>> {
    caller.projects.as_ref().map(to_json).transpose()
}

/// Binds a row's values one after the other.
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
