//! What a person says of a run: again, or the answer at a gate.

use serde::{Deserialize, Serialize};
use sprongus_core::values::ids::StepId;

/// Retries a run, with all its attempts again.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Retry))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryBody {
    /// Only if the run is still at this epoch, so that a repeat cannot retry it twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_epoch: Option<u64>,
}

/// Approves the gate a run is waiting at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Approve))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveBody {
    /// The step it is waiting at, so that a repeat cannot answer the next gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub step_id: Option<StepId>,
    /// Comment to record with the approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Rejects the gate a run is waiting at: the run fails for good.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Reject))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectBody {
    /// The step it is waiting at, so that a repeat cannot answer the next gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub step_id: Option<StepId>,
    /// Reason, recorded in the run's error.
    pub reason: String,
}
