//! `GET /v1/runs/{id}/stream`, `GET /v1/stream`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::stream::StreamPosition;

use crate::server::Shared;
use crate::server::access::auth::Reader;
use crate::server::request::path::RunOf;
use crate::server::request::query;
use crate::server::response::ApiResult;
use crate::server::streaming::sse::{self, RunStream, WorkspaceStream, last_event_id, run_position};

/// Follow a run
///
/// Server-sent events: `event` with an event of its history, `log` with a line of its log, and `end` with the run when it has
/// ended. Resume after any id with `Last-Event-ID`, on this server or another.
#[utoipa::path(
    get, path = "/v1/runs/{id}/stream", tag = "streams", operation_id = "streamRun",
    params(
        ("id" = String, Path, description = "The run"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last message received"),
    ),
    responses(
        (status = 200, description = "A stream of messages", body = String, content_type = "text/event-stream"),
        (status = 204, description = "The run has ended and everything has been received"),
    ),
    security(("token" = ["runs:read"]))
)]
pub async fn of_run(
    Reader(principal): Reader,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
) -> ApiResult {
    query::none(&uri)?;
    let last = last_event_id(&headers)?;
    let read = last.as_deref().map(run_position).transpose()?;
    let subscription = shared.feed.subscribe(&principal.caller.workspace).await;
    let from = read.unwrap_or(ReadSoFar::default());
    // A run that is not there is told before the stream begins.
    let news = principal.runs().follow(id, from, Duration::ZERO).await?;
    let is_nothing_new = news.events.is_empty() && news.lines.is_empty();
    if read.is_some() && is_nothing_new && news.run.state.is_final() {
        return Ok(sse::nothing_more());
    }
    Ok(sse::response(RunStream::new(shared, principal, subscription, id, from)?.chunks()))
}

/// Follow the workspace
///
/// Server-sent events: `event` with each event of each run, and with those that concern the workspace itself (`schedule.skipped`,
/// `schedule.broken`, `schedule.recovered`, which have no `runId`), from now on or after `Last-Event-ID`. Every event is sent once, those
/// of one run in order; ids mean the same on every server. A token restricted to projects gets events of their runs alone.
#[utoipa::path(
    get, path = "/v1/stream", tag = "streams", operation_id = "streamWorkspace",
    params(("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last message received")),
    responses((status = 200, description = "A stream of messages", body = String, content_type = "text/event-stream")),
    security(("token" = ["runs:read"]))
)]
pub async fn of_workspace(
    Reader(principal): Reader,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    uri: Uri,
) -> ApiResult {
    query::none(&uri)?;
    let last = last_event_id(&headers)?;
    let from = last.as_deref().map(str::parse::<StreamPosition>).transpose()?;
    let subscription = shared.feed.subscribe(&principal.caller.workspace).await;
    let from = match from {
        Some(position) => position,
        None => shared.service.store().stream_end(&principal.caller).await?,
    };
    Ok(sse::response(WorkspaceStream::new(shared, principal, subscription, from)?.chunks()))
}
