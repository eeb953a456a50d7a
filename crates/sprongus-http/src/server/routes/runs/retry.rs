//! `POST /v1/runs/{id}:retry`.

use crate::server::access::auth::Writer;
use crate::server::request::body::Optional;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, json};
use crate::wire::gate::RetryBody;
use crate::wire::run::RunBody;

/// Retry a failed or canceled run, with all its attempts again
#[utoipa::path(
    post, path = "/v1/runs/{id}:retry", tag = "runs", operation_id = "retryRun", request_body(content = Option<RetryBody>),
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn retry(
    Writer(principal): Writer,
    RunOf(id): RunOf,
    Optional(body): Optional<RetryBody>,
) -> ApiResult {
    Ok(json(&principal.runs().retry(id, body.if_epoch).await?))
}
