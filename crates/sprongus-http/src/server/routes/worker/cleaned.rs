//! `POST /v1/runs/{id}:cleaned`.

use sprongus_core::run::Hold;

use crate::server::access::auth::Worker;
use crate::server::request::body::Strict;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, json};
use crate::wire::report::CleanedBody;
use crate::wire::run::RunBody;

/// Report that an ended run's CLEANUP is done
#[utoipa::path(
    post, path = "/v1/runs/{id}:cleaned", tag = "work", operation_id = "cleanedRun", request_body = CleanedBody,
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:work"]))
)]
pub async fn cleaned(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    Strict(body): Strict<CleanedBody>,
) -> ApiResult {
    let hold = Hold { id, worker_id: body.worker_id, epoch: body.epoch, token: body.lease_token };
    Ok(json(&principal.runs().cleaned(&hold, body.gone_at).await?))
}
