//! What a worker says of its runs: claims, heartbeats, reports.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sprongus_core::ids::{RunId, StepId};
use sprongus_core::json::Json;
use sprongus_core::lease::LeaseToken;
use sprongus_core::names::{ClaimId, Kind, WorkerId};
use sprongus_core::run::{Beat, ClaimRequest, Outcome, Report};
use sprongus_core::time::Timestamp;

use super::{given, millis, object, objects};

/// Asks for due runs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Claim))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimBody {
    /// The worker: a name that is fresh for each start of it.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "build-7-4KQ2", pattern = "^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$"))]
    pub worker_id: WorkerId,
    /// The kinds it serves; any when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub kinds: Option<Vec<Kind>>,
    /// At most so many, 1 to 1,000.
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 1_000))]
    pub limit: u32,
    /// How long the lease lasts without a heartbeat, 1 s to 1 h; 30 s when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1_000, maximum = 3_600_000))]
    pub lease_ms: Option<u64>,
    /// How long to wait for work when there is none, up to 60 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(maximum = 60_000))]
    pub wait_ms: Option<u64>,
    /// The claim's own name: the same again gives the same runs.
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

/// Under which hold something is said.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Release))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
}

/// Lengthens a lease.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Heartbeat))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// How long a heartbeat holds from now on, 1 s to 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1_000, maximum = 3_600_000))]
    pub lease_ms: Option<u64>,
}

/// Lengthens many leases.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Heartbeats))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeartbeatsBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The runs it holds, up to 1,000.
    #[serde(deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 1_000))]
    pub runs: Vec<HeldBody>,
    /// How long a heartbeat holds from now on, 1 s to 1 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1_000, maximum = 3_600_000))]
    pub lease_ms: Option<u64>,
}

/// A run and the claim it is held under.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Held))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeldBody {
    /// The run.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: RunId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one this item is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = false))]
    pub lease_token: LeaseToken,
}

/// A heartbeat's answer.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Beat))]
#[serde(rename_all = "camelCase")]
pub struct BeatBody {
    /// How long the lease lasts from now.
    pub lease_ms: u64,
    /// The run was called off: stop its process and clean up.
    pub cancel: bool,
    /// The worker should stop claiming and finish what it holds.
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
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// What it came to: any JSON of 1 MiB at most.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub result: Option<Value>,
    /// Where its outcome lies: 1 to 4,096 printable bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_ref: Option<String>,
}

/// Ends an execution with an error.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Fail))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Why; cut at 16 KiB.
    pub error: String,
    /// Whether another attempt may help; it may when left out.
    #[serde(default = "yes")]
    pub retryable: bool,
    /// How long to wait before it, up to 24 h; the default backoff when left out.
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
    /// Not at all: the run goes back, its attempt with it.
    Release,
}

/// One execution's end, within a batch.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Report))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportBody {
    /// The run.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub id: RunId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one this item is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = false))]
    pub lease_token: LeaseToken,
    /// How it ended.
    pub outcome: OutcomeName,
    /// With `succeed`: what it came to.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "given")]
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub result: Option<Value>,
    /// With `succeed`: where its outcome lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_ref: Option<String>,
    /// With `fail`: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// With `fail`: whether another attempt may help; it may when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// With `fail`: how long to wait before it.
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
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// The ends, up to 1,000.
    #[serde(deserialize_with = "objects")]
    #[cfg_attr(feature = "server", schema(max_items = 1_000))]
    pub reports: Vec<ReportBody>,
}

/// Tells how far a run is.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Progress))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProgressBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// Percent done, 0 to 100.
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    pub progress: u32,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Tells that an ended run's CLEANUP is done.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Cleaned))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CleanedBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// When its process was gone.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub gone_at: Timestamp,
}

/// Lets go of a run until somebody answers at a step.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Wait))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WaitBody {
    /// The worker.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub worker_id: WorkerId,
    /// Under which claim.
    pub epoch: u64,
    /// The token that the claim gave. Without the right one the report is `lease_lost`.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = String, required = true))]
    pub lease_token: LeaseToken,
    /// The step that waits.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub step_id: StepId,
    /// How the answer is waited for.
    #[serde(default, deserialize_with = "object")]
    pub approval: ApprovalBody,
}

/// How an answer is waited for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Approval))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalBody {
    /// After this long without an answer the run fails; never when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}
