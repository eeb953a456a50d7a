//! `POST /v1/runs/{id}:progress`.

use sprongus_core::run::Hold;

use crate::server::access::auth::Worker;
use crate::server::request::body::Strict;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, json};
use crate::wire::report::ProgressBody;
use crate::wire::run::RunBody;

/// Report progress of a run
#[utoipa::path(
    post, path = "/v1/runs/{id}:progress", tag = "work", operation_id = "progressRun", request_body = ProgressBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn progress(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    Strict(body): Strict<ProgressBody>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    Ok(json(&principal.runs().progress(&hold, body.progress, body.message).await?))
}
