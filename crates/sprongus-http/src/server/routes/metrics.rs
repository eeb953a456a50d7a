//! `GET /metrics`.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header;
use axum::response::IntoResponse;

use crate::server::Shared;
use crate::server::accept::Peer;
use crate::server::answer::Answer;
use crate::server::auth::Operator;
use crate::server::metrics::{Format, Visible};

/// Headers by which a proxy says that somebody else is behind it.
const FORWARDED: [&str; 3] = ["forwarded", "x-forwarded-for", "x-real-ip"];

/// Figures for a Prometheus server
///
/// In the format of OpenMetrics if that is accepted by name, else in the older text format. Who asks from the machine itself, and not
/// through a proxy, needs no token; an operator's token shows every workspace too, another admin's its own. What concerns runs is left out
/// while the database is away (`sprongus_store_answers` is 0 then).
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The figures, as `text/plain` or `application/openmetrics-text`")),
    security((), ("token" = ["admin"]))
)]
pub async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let format = Format::asked(request.headers());
    let visible = visible(&shared, request).await?;
    let live_pages = shared.dashboard.live_pages();
    let text = shared.metrics.text(&shared.service, visible, live_pages, format).await?;
    Ok(([(header::CONTENT_TYPE, format.media_type())], text).into_response())
}

/// Whose figures the asker may see.
async fn visible(shared: &Arc<Shared>, request: Request) -> Answer<Visible> {
    let (mut parts, _) = request.into_parts();
    let is_here =
        parts.extensions.get::<Peer>().is_some_and(|Peer(peer)| peer.ip().to_canonical().is_loopback());
    let is_forwarded = FORWARDED.iter().any(|name| parts.headers.contains_key(*name));
    if !is_here || is_forwarded || parts.headers.contains_key(header::AUTHORIZATION) {
        let Operator(asker) = Operator::from_request_parts(&mut parts, shared).await?;
        if !asker.is_operator() {
            return Ok(Visible::Of(asker.caller.workspace));
        }
    }
    Ok(Visible::Everybodys)
}
