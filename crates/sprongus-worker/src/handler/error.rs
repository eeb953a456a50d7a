//! How a handler says that it did not do its work.

use std::fmt;
use std::time::Duration;

/// Why a handler did not do its work. Any error becomes one with `?`, and may be retried; say [`permanent`] where another
/// attempt would meet the same end.
///
/// [`permanent`]: HandlerError::permanent
pub struct HandlerError {
    pub(super) message: String,
    pub(super) retryable: bool,
    pub(super) retry_in: Option<Duration>,
}

impl HandlerError {
    /// What a handler is given when its run has begun to wait: whatever it does with it, this execution is over.
    pub(crate) fn waits(gate: &str) -> Self {
        Self::retryable(format!("the run is waiting for approval at {gate:?}"))
    }

    /// A failure that another attempt may not meet.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: true, retry_in: None }
    }

    /// A failure that every attempt would meet.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), retryable: false, retry_in: None }
    }

    /// How long to wait before the next attempt, instead of the default backoff; at most 24 h.
    #[must_use]
    pub fn retry_in(mut self, wait: Duration) -> Self {
        self.retry_in = Some(wait.min(sprongus_core::rules::finish::MAX_RETRY_IN));
        self
    }
}

/// An error with its causes, as one line.
impl<E: std::error::Error> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        Self::retryable(message)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.retryable { "retryable" } else { "permanent" };
        write!(out, "{kind}: {}", self.message)
    }
}
