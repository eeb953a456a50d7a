//! `POST /v1/runs:prune`.

use crate::server::access::auth::Operator;
use crate::server::request::body::Optional;
use crate::server::response::{ApiResult, json};
use crate::wire::retention::{PruneBody, PrunedBody};

/// Delete runs past their retention period, or count them
///
/// If the last run from before today is more than two days old, the clock may be wrong: that is a `conflict` unless `confirmClock`
/// says that somebody has checked it.
#[utoipa::path(
    post, path = "/v1/runs:prune", tag = "administration", operation_id = "pruneRuns", request_body(content = Option<PruneBody>),
    responses((status = 200, description = "Runs by the state they ended in, in all and kind by kind", body = PrunedBody)),
    security(("token" = ["admin"]))
)]
pub async fn prune(Operator(principal): Operator, Optional(body): Optional<PruneBody>) -> ApiResult {
    Ok(json(&principal.runs().prune(&body.retention(), body.mode()).await?))
}
