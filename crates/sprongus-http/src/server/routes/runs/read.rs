//! `GET /v1/runs`, `GET /v1/runs/{id}` and what lies below it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::{MAX_NEWS, ReadSoFar};
use sprongus_core::run::list::Page;
use sprongus_core::run::step::NumberedLine;
use sprongus_core::run::view::RunView;

use crate::server::Shared;
use crate::server::access::auth::Reader;
use crate::server::request::path::RunOf;
use crate::server::request::query::{self, Query};
use crate::server::response::{ApiResult, json};
use crate::server::streaming::feed;
use crate::wire::List;
use crate::wire::run::RunBody;
use crate::wire::run::history::{EventBody, LineBody, NewsBody};
use crate::wire::run::step::StepBody;
use crate::wire::run::waiting::OpenGateBody;
use crate::wire::words::{ReasonName, SortName, StateName};

/// The longest wait for news.
const MAX_WAIT_MS: u64 = 60_000;

macro_rules! page_body {
    ($($(#[$doc:meta])* $name:ident, $as:ident, $item:ty;)+) => {$(
        $(#[$doc])*
        #[derive(utoipa::ToSchema)]
        #[schema(as = $as, rename_all = "camelCase")]
        #[expect(dead_code, reason = "describes what is printed")]
        pub struct $name {
            /// The items.
            data: Vec<$item>,
            /// The cursor of the next page; null ends the list.
            next_cursor: Option<String>,
        }
    )+};
}
pub(crate) use page_body;

page_body! {
    /// A page of runs. It may have fewer items than `limit`; only a `nextCursor` of null ends the list.
    RunPage, RunPage, RunBody;
    /// A page of gates waiting for approval.
    GatePage, GatePage, OpenGateBody;
    /// A run's steps.
    StepPage, StepPage, StepBody;
    /// A page of a run's events.
    EventPage, EventPage, EventBody;
    /// A page of a run's log.
    LinePage, LogPage, LineBody;
}

/// List runs, newest first
#[utoipa::path(
    get, path = "/v1/runs", tag = "runs", operation_id = "listRuns",
    params(
        ("projectId" = Option<String>, Query, description = "Only this project"),
        ("state" = Option<Vec<StateName>>, Query, description = "Only these states (repeatable)"),
        ("kind" = Option<Vec<String>>, Query, description = "Only these kinds (repeatable)"),
        ("agentTaskId" = Option<String>, Query, description = "Only this agent task"),
        ("scheduleId" = Option<String>, Query, description = "Only runs of this schedule"),
        ("tag" = Option<Vec<String>>, Query, description = "Only runs with this tag, as NAME=VALUE (repeatable; all must match)"),
        ("since" = Option<String>, Query, description = "Created at or after this time (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Created before this time (RFC 3339)"),
        ("waiting" = Option<ReasonName>, Query, description = "Only queued runs waiting for this"),
        ("id" = Option<String>, Query, description = "Only runs whose id begins or ends with these characters, at least six"),
        ("sort" = Option<SortName>, Query, description = "Default: `-createdAt`"),
        ("limit" = Option<u32>, Query, description = "1 to 100; default: 50", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the previous page, with the same filters"),
        ("idempotencyKey" = Option<String>, Query, description = "The run with this idempotency key"),
    ),
    responses((status = 200, description = "A page", body = RunPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn list(Reader(principal): Reader, uri: Uri) -> ApiResult {
    let (filter, key) = query::list(&uri)?;
    let runs = principal.runs();
    match key {
        None => Ok(json(&runs.list(&filter).await?)),
        Some(key) => {
            let found: Option<RunView> = runs.find_by_key(&key).await?;
            Ok(json(&Page { data: found.into_iter().collect(), next_cursor: None }))
        }
    }
}

/// List gates waiting for approval, newest run first
#[utoipa::path(
    get, path = "/v1/gates", tag = "runs", operation_id = "listGates",
    params(
        ("projectId" = Option<String>, Query, description = "Only runs of this project"),
        ("kind" = Option<Vec<String>>, Query, description = "Only runs of these kinds (repeatable)"),
        ("agentTaskId" = Option<String>, Query, description = "Only runs of this agent task"),
        ("scheduleId" = Option<String>, Query, description = "Only runs of this schedule"),
        ("tag" = Option<Vec<String>>, Query, description = "Only runs with this tag, as NAME=VALUE (repeatable; all must match)"),
        ("since" = Option<String>, Query, description = "Only runs created at or after this time (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Only runs created before this time (RFC 3339)"),
        ("sort" = Option<SortName>, Query, description = "By the run; default: `-createdAt`"),
        ("limit" = Option<u32>, Query, description = "1 to 100; default: 50", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the previous page, with the same filters"),
    ),
    responses((status = 200, description = "A page", body = GatePage)),
    security(("token" = ["runs:read"]))
)]
pub async fn gates(Reader(principal): Reader, uri: Uri) -> ApiResult {
    Ok(json(&principal.runs().gates(&query::gates(&uri)?).await?))
}

/// Get a run
#[utoipa::path(
    get, path = "/v1/runs/{id}", tag = "runs", operation_id = "getRun",
    params(("id" = String, Path, description = "The run: a ULID, or the UUID of the same 128 bits")),
    responses((status = 200, description = "The run", body = RunBody)),
    security(("token" = ["runs:read"]))
)]
pub async fn get(Reader(principal): Reader, RunOf(id): RunOf, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(&principal.runs().get(id).await?))
}

/// List a run's steps, by attempt and ordinal
#[utoipa::path(
    get, path = "/v1/runs/{id}/steps", tag = "runs", operation_id = "listSteps",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "All of them", body = StepPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn steps(Reader(principal): Reader, RunOf(id): RunOf, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(&List { data: principal.runs().steps(id).await?, next_cursor: None }))
}

/// What both logs and events take: where to begin, and how many.
fn span(uri: &Uri) -> sprongus_core::Result<(u64, u32)> {
    let mut query = Query::read(uri, &["after", "cursor", "limit"])?;
    let after = query.number("cursor").or_else(|| query.number("after")).unwrap_or(0);
    let limit = query.number("limit").unwrap_or(u64::from(MAX_NEWS));
    let limit = u32::try_from(limit).ok().filter(|limit| (1..=MAX_NEWS).contains(limit));
    if limit.is_none() {
        query.fault("limit", format!("limit must be 1 to {MAX_NEWS}"));
    }
    query.end()?;
    Ok((after, limit.unwrap_or(MAX_NEWS)))
}

/// A page of what is numbered within a run; its cursor is the last number on it.
fn numbered<T: Serialize>(data: Vec<T>, limit: u32, seq: impl Fn(&T) -> u64) -> ApiResult {
    let is_full = data.len() >= limit as usize;
    let next_cursor = data.last().filter(|_| is_full).map(|last| seq(last).to_string());
    Ok(json(&List { data, next_cursor }))
}

/// List a run's events, oldest first
#[utoipa::path(
    get, path = "/v1/runs/{id}/events", tag = "runs", operation_id = "listEvents",
    params(
        ("id" = String, Path, description = "The run"),
        ("after" = Option<u64>, Query, description = "Only events after this `seq`"),
        ("cursor" = Option<u64>, Query, description = "`nextCursor` of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 1,000; default: 1,000", minimum = 1, maximum = 1_000),
    ),
    responses((status = 200, description = "A page", body = EventPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn events(Reader(principal): Reader, RunOf(id): RunOf, uri: Uri) -> ApiResult {
    let (after, limit) = span(&uri)?;
    numbered(principal.runs().events(id, after, limit).await?, limit, |event: &Event| event.seq)
}

/// Read a run's log
#[utoipa::path(
    get, path = "/v1/runs/{id}/logs", tag = "runs", operation_id = "listLogs",
    params(
        ("id" = String, Path, description = "The run"),
        ("after" = Option<u64>, Query, description = "Only lines after this `seq`"),
        ("cursor" = Option<u64>, Query, description = "`nextCursor` of the previous page"),
        ("limit" = Option<u32>, Query, description = "Approximate number of lines, 1 to 1,000; default: 1,000", minimum = 1, maximum = 1_000),
    ),
    responses((status = 200, description = "A page", body = LinePage)),
    security(("token" = ["runs:read"]))
)]
pub async fn logs(Reader(principal): Reader, RunOf(id): RunOf, uri: Uri) -> ApiResult {
    let (after, limit) = span(&uri)?;
    numbered(principal.runs().logs(id, after, limit).await?, limit, |line: &NumberedLine| line.seq)
}

/// Wait for news of a run
///
/// The long-polled form of its stream: up to 1,000 events and log lines at once, and the run at the same instant.
#[utoipa::path(
    get, path = "/v1/runs/{id}/news", tag = "runs", operation_id = "followRun",
    params(
        ("id" = String, Path, description = "The run"),
        ("events" = Option<u64>, Query, description = "The `seq` of the last event seen"),
        ("lines" = Option<u64>, Query, description = "The `seq` of the last log line seen"),
        ("waitMs" = Option<u64>, Query, description = "How long to wait for news, up to 60 s", maximum = 60_000),
    ),
    responses((status = 200, description = "New events and log lines, and the run", body = NewsBody)),
    security(("token" = ["runs:read"]))
)]
pub async fn news(
    Reader(principal): Reader,
    RunOf(id): RunOf,
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> ApiResult {
    let mut query = Query::read(&uri, &["events", "lines", "waitMs"])?;
    let read =
        ReadSoFar { events: query.number("events").unwrap_or(0), lines: query.number("lines").unwrap_or(0) };
    let wait = query.number("waitMs").unwrap_or(0);
    if wait > MAX_WAIT_MS {
        query.fault("waitMs", format!("waitMs must be 0 to {MAX_WAIT_MS}: {wait}"));
    }
    query.end()?;
    let news = if wait == 0 {
        principal.runs().follow(id, read, Duration::ZERO).await?
    } else {
        let _permit = principal.waiting_permit()?;
        let mut subscription = shared.feed.subscribe(&principal.caller.workspace).await;
        let news =
            feed::follow(&shared, &principal, &mut subscription, id, read, Duration::from_millis(wait)).await;
        principal.recheck_token().await?;
        news?
    };
    Ok(json(&news))
}
