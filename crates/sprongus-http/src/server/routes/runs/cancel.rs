//! `POST /v1/runs/{id}:cancel`.

use serde::Deserialize;

use crate::server::access::auth::Writer;
use crate::server::request::body::Optional;
use crate::server::request::path::RunOf;
use crate::server::response::{ApiResult, json};
use crate::wire::run::RunBody;

/// Nothing that could be said.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Cancel a run
///
/// It is canceled at once, and its process is stopped. A run that is already canceled is returned unchanged.
#[utoipa::path(
    post, path = "/v1/runs/{id}:cancel", tag = "runs", operation_id = "cancelRun",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn cancel(
    Writer(principal): Writer,
    RunOf(id): RunOf,
    Optional(_): Optional<Nothing>,
) -> ApiResult {
    Ok(json(&principal.runs().cancel(id).await?))
}
