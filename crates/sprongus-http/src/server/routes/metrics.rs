//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use crate::server::Shared;
use crate::server::access::auth::Operator;
use crate::server::metrics::{Format, Visible};
use crate::server::response::ApiResult;

/// Metrics for Prometheus
///
/// In OpenMetrics if the client accepts it, else in the older text format. An admin token of the workspace `default` shows every
/// workspace, any other admin token its own. The separate listener (`serve --metrics-listen`) requires no token. Metrics of runs are
/// omitted while the database is unavailable (`sprongus_store_answers` is 0 then).
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The figures, as `text/plain` or `application/openmetrics-text`")),
    security(("token" = ["admin"]))
)]
pub async fn metrics(
    Operator(principal): Operator,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> ApiResult {
    let visible =
        if principal.is_operator() { Visible::Everybodys } else { Visible::Of(principal.caller.workspace) };
    figures(&shared, visible, &headers).await
}

/// Every workspace's, for who reaches the listener that has nothing else.
pub async fn everybodys(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> ApiResult {
    figures(&shared, Visible::Everybodys, &headers).await
}

async fn figures(shared: &Shared, visible: Visible, headers: &HeaderMap) -> ApiResult {
    let format = Format::asked(headers);
    let live_pages = shared.dashboard.live_pages();
    let text = shared.metrics.text(&shared.service, visible, live_pages, format).await?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], text).into_response())
}
