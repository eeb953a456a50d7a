//! `POST /v1/runs/{id}:wait`, `:approve`, `:reject`.

use std::time::Duration;

use sprongus_core::run::{Answer, Hold};

use crate::server::access::auth::{Approver, Worker};
use crate::server::request::body::{Optional, Strict};
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, json};
use crate::wire::gate::{ApproveBody, RejectBody};
use crate::wire::report::WaitBody;
use crate::wire::run::RunBody;

/// Release a run to wait for approval at a gate
#[utoipa::path(
    post, path = "/v1/runs/{id}:wait", tag = "work", operation_id = "waitRun", request_body = WaitBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn wait(Worker(principal): Worker, RunOf(id): RunOf, Strict(body): Strict<WaitBody>) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    let timeout = body.approval.timeout_ms.map(Duration::from_millis);
    Ok(json(&principal.runs().wait(&hold, body.step_id, timeout).await?))
}

/// Approve the gate a run is waiting at
#[utoipa::path(
    post, path = "/v1/runs/{id}:approve", tag = "gates", operation_id = "approveRun", request_body(content = Option<ApproveBody>),
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:approve"]))
)]
pub async fn approve(
    Approver(principal): Approver,
    RunOf(id): RunOf,
    Optional(body): Optional<ApproveBody>,
) -> ApiResult {
    Ok(json(&principal.runs().answer(id, body.step_id, Answer::Approved, body.comment).await?))
}

/// Reject the gate a run is waiting at: the run fails for good
#[utoipa::path(
    post, path = "/v1/runs/{id}:reject", tag = "gates", operation_id = "rejectRun", request_body = RejectBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:approve"]))
)]
pub async fn reject(
    Approver(principal): Approver,
    RunOf(id): RunOf,
    Strict(body): Strict<RejectBody>,
) -> ApiResult {
    Ok(json(&principal.runs().answer(id, body.step_id, Answer::Rejected, Some(body.reason)).await?))
}
