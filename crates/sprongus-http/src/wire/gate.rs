//! What a person says of a run: again, or the answer at a gate.

use serde::{Deserialize, Serialize};
use sprongus_core::ids::StepId;

/// Gives a run another budget of attempts.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Retry))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetryBody {
    /// Only if the run is still at this epoch, so that a repeat cannot grant a second budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_epoch: Option<u64>,
}

/// Lets a run pass its gate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Approve))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveBody {
    /// The step it waits at, so that a repeat cannot answer the next gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub step_id: Option<StepId>,
    /// What is said with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Does not let a run pass its gate: it fails for good.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Reject))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RejectBody {
    /// The step it waits at, so that a repeat cannot answer the next gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub step_id: Option<StepId>,
    /// Why; it becomes part of the run's error.
    pub reason: String,
}
