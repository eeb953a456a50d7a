//! Why one request to a model server came to nothing, and whether another may do better.

use std::time::Duration;

/// Why a response is of no use.
#[derive(Debug)]
pub(super) enum CallFailure {
    /// Another try may do better, after the time that the server asked for.
    Transient { why: String, wait: Option<Duration> },
    /// Another try would meet the same end, unless it is asked otherwise: the server's whole answer, if it refused the request.
    Permanent { why: String, refused: Option<String> },
}

impl CallFailure {
    pub(super) fn transient(why: impl Into<String>) -> Self {
        Self::Transient { why: why.into(), wait: None }
    }

    pub(super) fn permanent(why: impl Into<String>) -> Self {
        Self::Permanent { why: why.into(), refused: None }
    }
}
