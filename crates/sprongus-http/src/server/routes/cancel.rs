//! `POST /v1/runs/{id}:cancel`.

use serde::Deserialize;

use crate::server::answer::{Answer, json};
use crate::server::auth::Writer;
use crate::server::body::Optional;
use crate::server::path::RunOf;
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
pub async fn cancel(Writer(asker): Writer, RunOf(id): RunOf, Optional(_): Optional<Nothing>) -> Answer {
    Ok(json(&asker.runs().cancel(id).await?))
}
