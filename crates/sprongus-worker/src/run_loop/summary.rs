//! What one start of a worker came to.

use serde::Serialize;

/// What a worker did, run by run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Summary {
    /// Runs that succeeded here.
    pub succeeded: u64,
    /// Failed, with another attempt to come.
    pub retried: u64,
    /// Failed for good.
    pub failed: u64,
    /// Called off, and cleaned up here.
    pub canceled: u64,
    /// Given back, their attempts with them.
    pub released: u64,
    /// Let go at a gate, to wait for an answer.
    pub waiting: u64,
    /// Lost: the lease ended before the report was taken.
    pub lost: u64,
}
