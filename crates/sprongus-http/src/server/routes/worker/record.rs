//! `POST /v1/runs/{id}:log`, `:step`, `:record`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sprongus_core::run::Hold;
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::{Result, Runs};

use crate::server::Shared;
use crate::server::access::auth::Worker;
use crate::server::request::body::Strict;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, bad_field, json};
use crate::wire::MAX_BATCH_BODY_BYTES;
use crate::wire::record::{LogBody, RecordBody, StepUpdateBody};
use crate::wire::run::RunBody;

/// Add lines to a run's log
#[utoipa::path(
    post, path = "/v1/runs/{id}:log", tag = "work", operation_id = "logRun", request_body = LogBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn log(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    Strict(body): Strict<LogBody, MAX_BATCH_BODY_BYTES>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    let now = shared.service.store().now().await?;
    let lines = body.lines.into_iter().map(|line| line.into_line(body.step.as_deref(), now)).collect();
    let runs = principal.runs();
    runs.record(&hold, Vec::new(), lines).await?;
    the_run(runs.as_ref(), id).await
}

/// Report a step
///
/// The complete step, each time: omitted fields are unknown.
#[utoipa::path(
    post, path = "/v1/runs/{id}:step", tag = "work", operation_id = "stepRun", request_body = StepUpdateBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn step(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    Strict(body): Strict<StepUpdateBody>,
) -> ApiResult {
    let hold =
        Hold { id, worker_id: body.worker_id.clone(), epoch: body.epoch, token: body.lease_token.clone() };
    let runs = principal.runs();
    let ordinal = match body.ordinal {
        Some(ordinal) => ordinal,
        None => ordinal_of(runs.as_ref(), &hold, &body.name).await?,
    };
    runs.record(&hold, vec![body.into_step().into_report(ordinal)], Vec::new()).await?;
    the_run(runs.as_ref(), id).await
}

/// The ordinal of the step of this name in this execution, else the next free one.
async fn ordinal_of(runs: &dyn Runs, hold: &Hold, name: &str) -> Result<u32> {
    let steps = runs.steps(hold.id).await?;
    let own = || steps.iter().filter(|step| step.id == StepId::of(hold.id, hold.epoch, step.ordinal));
    let known = own().find(|step| step.name == name).map(|step| step.ordinal);
    Ok(known.unwrap_or_else(|| own().map(|step| step.ordinal + 1).max().unwrap_or(0)))
}

/// Record steps and log lines together, in one transaction
#[utoipa::path(
    post, path = "/v1/runs/{id}:record", tag = "work", operation_id = "recordRun", request_body = RecordBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 204, description = "Recorded")),
    security(("token" = ["runs:work"]))
)]
pub async fn record(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    Strict(body): Strict<RecordBody, MAX_BATCH_BODY_BYTES>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    let now = shared.service.store().now().await?;
    let mut steps = Vec::with_capacity(body.steps.len());
    for (index, step) in body.steps.into_iter().enumerate() {
        let Some(ordinal) = step.ordinal else {
            return Err(bad_field(format!("/steps/{index}/ordinal"), "a step needs an ordinal").into());
        };
        steps.push(step.into_report(ordinal));
    }
    let lines = body.lines.into_iter().map(|line| line.into_line(None, now)).collect();
    principal.runs().record(&hold, steps, lines).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn the_run(runs: &dyn Runs, id: RunId) -> ApiResult<Response> {
    Ok(json(&runs.get(id).await?))
}
