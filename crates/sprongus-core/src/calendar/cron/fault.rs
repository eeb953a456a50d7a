//! Why a cron expression was refused.

use std::fmt;

use crate::error::Error;

/// What is wrong with a cron expression, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronError {
    /// In which character it starts, from 1.
    column: usize,
    /// What is wrong, with the offending text last.
    message: String,
    /// What to write instead.
    hint: String,
}

impl CronError {
    pub(super) fn new(column: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { column, message: message.into(), hint: hint.into() }
    }

    /// In which character of the expression it starts, from 1; one more than there are characters when something is missing at the end.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, with the offending text last.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

/// All of it on one line: `column 5: not an hour (0 to 23): 24 (midnight is 0)`.
impl fmt::Display for CronError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "column {}: {} ({})", self.column, self.message, self.hint)
    }
}

impl std::error::Error for CronError {}

impl From<CronError> for Error {
    fn from(fault: CronError) -> Self {
        Self::validation(format!("cron, column {}: {}", fault.column, fault.message)).with_hint(fault.hint)
    }
}
