//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::response::IntoResponse;
use sprongus_core::names::WorkspaceId;

use crate::server::Shared;
use crate::server::accept::Peer;
use crate::server::answer::Answer;
use crate::server::auth::Operator;
use crate::server::metrics::CONTENT_TYPE;

/// Headers by which a proxy says that somebody else is behind it.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Figures for a Prometheus server
///
/// In the format of OpenMetrics. Who asks from the machine itself, and not through a proxy, needs no token; an operator's token shows every
/// workspace too, another admin's its own.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The figures, as `application/openmetrics-text`")),
    security((), ("token" = ["admin"]))
)]
pub async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let workspaces = visible(&shared, request).await?;
    let text = shared.metrics.text(&shared.service, workspaces).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

/// Whose figures the asker may see.
async fn visible(shared: &Arc<Shared>, request: Request) -> Answer<Vec<WorkspaceId>> {
    let (mut parts, _) = request.into_parts();
    let is_here =
        parts.extensions.get::<Peer>().is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    let is_forwarded = FORWARDED.iter().any(|name| parts.headers.contains_key(*name));
    if !is_here || is_forwarded || parts.headers.contains_key(header::AUTHORIZATION) {
        let Operator(asker) = Operator::from_request_parts(&mut parts, shared).await?;
        if !asker.is_operator() {
            return Ok(vec![asker.caller.workspace]);
        }
    }
    let every = shared.service.store().workspaces().await?;
    Ok(every.into_iter().map(|workspace| workspace.id).collect())
}
