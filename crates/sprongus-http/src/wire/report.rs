//! What a worker says of its runs: claims, heartbeats, reports.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sprongus_core::json::Json;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::{Beat, ClaimRequest, Outcome, Report};
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::names::{ClaimId, Kind, WorkerId};
use sprongus_core::values::time::Timestamp;

use super::{given, millis, object, objects};

/// Claims due runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Claim))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimBody {
    /// Worker id, new for each start.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "build-7-4KQ2", pattern = "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"))]
    pub worker_id: WorkerId,
    /// The kinds it serves; default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub kinds: Option<Vec<Kind>>,
    /// Maximum number of runs, 1 to 1,000.
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 1_000))]
    pub limit: u32,
    /// How long the lease lasts without a heartbeat, 1 s to 1 h; default: 30 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1_000, maximum = 3_600_000))]
    pub lease_ms: Option<u64>,
    /// How long to wait when no run is due, up to 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 60_000))]
    pub wait_ms: Option<u64>,
    /// Id of the claim; repeating it returns the same runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, example = "build-7-4KQ2-1", pattern = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"))]
    pub claim_id: Option<ClaimId>,
}

impl From<ClaimBody> for ClaimRequest {
    fn from(body: ClaimBody) -> Self {
        Self {
            worker_id: body.worker_id,
            kinds: body.kinds,
            limit: body.limit,
            lease: body.lease_ms.map_or(Self::DEFAULT_LEASE, Duration::from_millis),
            wait: body.wait_ms.map_or(Duration::ZERO, Duration::from_millis),
            claim_id: body.claim_id,
        }
    }
}

impl From<ClaimRequest> for ClaimBody {
    fn from(request: ClaimRequest) -> Self {
        Self {
            worker_id: request.worker_id,
            kinds: request.kinds,
            limit: request.limit,
            lease_ms: Some(millis(request.lease)),
            wait_ms: Some(millis(request.wait)),
            claim_id: request.claim_id,
        }
    }
}

/// The lease under which something is reported.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Release))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
}

/// Renews a lease.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Heartbeat))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Lease duration from now on, 1 s to 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1_000, maximum = 3_600_000))]
    pub lease_ms: Option<u64>,
}

/// Renews many leases.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Heartbeats))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatsBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The runs it holds, up to 1,000.
    #[serde(deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 1_000))]
    pub runs: Vec<HeldBody>,
    /// Lease duration from now on, 1 s to 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1_000, maximum = 3_600_000))]
    pub lease_ms: Option<u64>,
}

/// A run and the claim that holds it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Held))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeldBody {
    /// The run that is held.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: RunId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one makes this item `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = false))]
    pub lease_token: LeaseToken,
}

/// The response to a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Beat))]
#[serde(rename_all = "camelCase")]
pub struct BeatBody {
    /// How long the lease lasts from now.
    pub lease_ms: u64,
    /// Whether the run was canceled: stop its process and clean up.
    pub cancel: bool,
    /// Whether the worker should stop claiming and finish its runs.
    pub drain: bool,
}

impl From<BeatBody> for Beat {
    fn from(body: BeatBody) -> Self {
        Self { lease_ms: body.lease_ms, cancel: body.cancel, drain: body.drain }
    }
}

/// Ends an execution with a result.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Succeed))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SucceedBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Result: any JSON up to 1 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub result: Option<Value>,
    /// Reference to its output: 1 to 4,096 printable bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_ref: Option<String>,
}

/// Ends an execution with an error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Fail))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Error message; cut at 16 KiB.
    pub error: String,
    /// Whether it may be retried; default: true.
    #[serde(default = "yes")]
    pub retryable: bool,
    /// How long to wait before the retry, up to 24 h; default: the backoff.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 86_400_000))]
    pub retry_in_ms: Option<u64>,
}

fn yes() -> bool {
    true
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Outcome))]
#[serde(rename_all = "snake_case")]
pub enum OutcomeName {
    /// With a result.
    Succeed,
    /// With an error.
    Fail,
    /// Released: the run goes back to the queue without using up an attempt.
    Release,
}

/// The end of one execution, within a batch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Report))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportBody {
    /// The run that is held.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: RunId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one makes this item `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = false))]
    pub lease_token: LeaseToken,
    /// How it ended.
    pub outcome: OutcomeName,
    /// With `succeed`: the result.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub result: Option<Value>,
    /// With `succeed`: reference to the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_ref: Option<String>,
    /// With `fail`: the error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// With `fail`: whether it may be retried; default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// With `fail`: how long to wait before the retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 86_400_000))]
    pub retry_in_ms: Option<u64>,
}

impl ReportBody {
    /// What is asked of the core; none when a field belongs to another outcome, or a failure says no error.
    pub fn into_report(self) -> Option<Report> {
        let of_success = self.result.is_some() || self.output_ref.is_some();
        let of_failure = self.error.is_some() || self.retryable.is_some() || self.retry_in_ms.is_some();
        let outcome = match self.outcome {
            OutcomeName::Succeed if !of_failure => {
                Outcome::Succeed { result: self.result.map(Json::from_value), output_ref: self.output_ref }
            }
            OutcomeName::Fail if !of_success => Outcome::Fail {
                error: self.error?,
                retryable: self.retryable.unwrap_or(true),
                retry_in: self.retry_in_ms.map(Duration::from_millis),
            },
            OutcomeName::Release if !of_success && !of_failure => Outcome::Release,
            OutcomeName::Succeed | OutcomeName::Fail | OutcomeName::Release => return None,
        };
        Some(Report { id: self.id, epoch: self.epoch, token: self.lease_token, outcome })
    }
}

impl From<Report> for ReportBody {
    fn from(report: Report) -> Self {
        let bare = |outcome| Self {
            id: report.id,
            epoch: report.epoch,
            lease_token: report.token.clone(),
            outcome,
            result: None,
            output_ref: None,
            error: None,
            retryable: None,
            retry_in_ms: None,
        };
        match report.outcome {
            Outcome::Succeed { result, output_ref } => Self {
                result: result.map(|result| result.to_value()),
                output_ref,
                ..bare(OutcomeName::Succeed)
            },
            Outcome::Fail { error, retryable, retry_in } => Self {
                error: Some(error),
                retryable: Some(retryable),
                retry_in_ms: retry_in.map(millis),
                ..bare(OutcomeName::Fail)
            },
            Outcome::Release => bare(OutcomeName::Release),
        }
    }
}

/// Ends many executions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Finish))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FinishBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The reports, up to 1,000.
    #[serde(deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 1_000))]
    pub reports: Vec<ReportBody>,
}

/// Reports progress of a run.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Progress))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgressBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Percent done, 0 to 100.
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    pub progress: u32,
    /// Message, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Reports that the CLEANUP of an ended run is done.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Cleaned))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CleanedBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// When its process had ended.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub gone_at: Timestamp,
}

/// Releases a run to wait at a gate.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Wait))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaitBody {
    /// Worker id, as in the claim.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The run's epoch at the claim; a later claim makes it stale.
    pub epoch: u64,
    /// Lease token from the claim; a wrong one is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// The waiting step.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub step_id: StepId,
    /// Conditions of the approval.
    #[serde(default, deserialize_with = "object")]
    pub approval: ApprovalBody,
}

/// Conditions of an approval.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Approval))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalBody {
    /// The run fails after this long without an answer; default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}
