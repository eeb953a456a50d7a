//! `POST /v1/runs/{id}:heartbeat`, `POST /v1/runs:heartbeat`.

use std::time::Duration;

use serde::Serialize;
use sprongus_core::run::{Beat, Hold};
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, Result};

use crate::problem::Problem;
use crate::server::access::auth::Worker;
use crate::server::request::body::Strict;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, json};
use crate::wire::report::{BeatBody, HeartbeatBody, HeartbeatsBody, HeldBody};
use crate::wire::{Answers, MAX_BATCH_BODY_BYTES};

/// Renew a lease
#[utoipa::path(
    post, path = "/v1/runs/{id}:heartbeat", tag = "work", operation_id = "heartbeatRun", request_body = HeartbeatBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The renewed lease, and whether to cancel or drain", body = BeatBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn one(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    Strict(body): Strict<HeartbeatBody>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    let answers = principal.runs().heartbeat(vec![hold], body.lease_ms.map(Duration::from_millis)).await?;
    let missing = || Err(Error::internal("a heartbeat had no answer"));
    let beat: Beat = answers.into_iter().next().unwrap_or_else(missing)?;
    Ok(json(&beat))
}

/// What became of one heartbeat.
#[derive(Serialize)]
struct Item {
    id: RunId,
    #[serde(flatten)]
    answer: ItemAnswer,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemAnswer {
    Beat(Beat),
    ApiError { error: Problem },
}

/// The result of one heartbeat: `leaseMs`, `cancel` and `drain`, or an error.
#[derive(utoipa::ToSchema)]
#[schema(as = HeartbeatItem, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what `Item` prints")]
pub struct ItemBody {
    /// The run.
    id: String,
    /// How long the lease lasts from now.
    lease_ms: Option<u64>,
    /// Whether the run was canceled: stop its process and clean up.
    cancel: Option<bool>,
    /// Whether the worker should stop claiming and finish its runs.
    drain: Option<bool>,
    /// Why the lease was not renewed.
    error: Option<Problem>,
}

/// Results of many heartbeats, one per item, in order.
#[derive(utoipa::ToSchema)]
#[schema(as = HeartbeatAnswer)]
#[expect(dead_code, reason = "describes what is printed")]
pub struct HeartbeatAnswerBody {
    /// The answers.
    data: Vec<ItemBody>,
}

/// Renew many leases
#[utoipa::path(
    post, path = "/v1/runs:heartbeat", tag = "work", operation_id = "heartbeatRuns", request_body = HeartbeatsBody,
    responses((status = 200, description = "One result per item, in order", body = HeartbeatAnswerBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn many(
    Worker(principal): Worker,
    Strict(body): Strict<HeartbeatsBody, MAX_BATCH_BODY_BYTES>,
) -> ApiResult {
    let ids: Vec<RunId> = body.runs.iter().map(|held| held.id).collect();
    let hold = |run: HeldBody| Hold {
        id: run.id,
        worker_id: body.worker_id.clone(),
        epoch: run.epoch,
        token: run.lease_token,
    };
    let holds = body.runs.into_iter().map(hold).collect();
    let answers = principal.runs().heartbeat(holds, body.lease_ms.map(Duration::from_millis)).await?;
    let items = ids.into_iter().zip(answers).map(|(id, answer): (RunId, Result<Beat>)| {
        let answer = match answer {
            Ok(beat) => ItemAnswer::Beat(beat),
            Err(error) => ItemAnswer::ApiError { error: Problem::new(&error, "") },
        };
        Item { id, answer }
    });
    Ok(json(&Answers { data: items.collect::<Vec<_>>() }))
}
