//! What of an attempt is neither a file nor a step, and must outlive a gate: it lies beside the work directory in its tar.

use serde::{Deserialize, Serialize};

use crate::process::UsedOutput;

/// The state of an attempt at a gate, its secrets masked.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Carried {
    /// What the steps said is the result, as text.
    pub(crate) result: Option<String>,
    pub(crate) output_ref: Option<String>,
    /// How much of the output that is kept was used.
    pub(crate) output: UsedOutput,
    /// How much of the attempt's time was used, in milliseconds.
    pub(crate) used_ms: u64,
}
