//! Rows as the core's nouns. What does not read back as one was written by something else: an error, never a guess.

mod event;
mod reader;
mod run;
mod setting;
mod step;
pub(crate) mod values;

use std::time::Duration;

use serde::Serialize;
use sprongus_core::json::Json;
use sprongus_core::runs::Caller;
use sprongus_core::{Error, Result as CoreResult};

use crate::error::Result;

pub use event::{EventRows, event, position};
pub(crate) use event::{event_columns, events_in_order};
pub use reader::{RowReader, all, first, only, result_sets};
pub(crate) use run::run_columns;
pub use run::{INSERT_RUNS, LastingColumns, RunColumns, Taking, UPDATE_RUNS, due_since, run, taken};
pub(crate) use setting::setting_columns;
pub use setting::{SettingColumns, setting};
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

/// The projects that a caller is restricted to, as a statement takes them; none where it is not.
pub fn restricted_to(caller: &Caller) -> Option<Vec<&str>> {
    caller.projects.as_ref().map(|projects| projects.iter().map(|id| id.as_str()).collect())
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
