//! `GET /v1/stats`.

use axum::http::Uri;

use crate::server::access::auth::Reader;
use crate::server::request::query;
use crate::server::response::{ApiResult, json};
use crate::wire::directory::StatsBody;

/// Get the figures of the workspace
#[utoipa::path(
    get, path = "/v1/stats", tag = "runs", operation_id = "stats",
    responses((status = 200, description = "Queue depth by kind, and runs that ended within the last hour", body = StatsBody)),
    security(("token" = ["runs:read"]))
)]
pub async fn stats(Reader(principal): Reader, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(&principal.runs().stats().await?))
}
