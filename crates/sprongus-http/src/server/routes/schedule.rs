//! `/v1/schedules` and `/v1/settings:apply`.

use std::collections::BTreeMap;

use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::Value;
use sprongus_core::Error;
use sprongus_core::run::list::Page;
use sprongus_core::schedule::Definition;
use sprongus_core::schedules::{Applied, Preview};
use sprongus_core::values::names::ScheduleId;

use super::runs::read::page_body;
use crate::server::access::auth::{Maker, Reader, Settings};
use crate::server::request::body::Strict;
use crate::server::request::path::ScheduleOf;
use crate::server::request::query::{self, Query};
use crate::server::response::{ApiResult, bad_field, json, json_of, made};
use crate::wire::List;
use crate::wire::run::RunBody;
use crate::wire::schedule::{
    ApplyBody, BackfillBody, BackfilledBody, DifferenceBody, NextTickBody, PreviewBody, PreviewedBody,
    ScheduleBody, ScheduleRequestBody,
};

page_body! {
    /// A page of schedules.
    SchedulePage, SchedulePage, ScheduleBody;
    /// The next ticks.
    NextTickPage, NextTickPage, NextTickBody;
    /// The differences.
    DifferencePage, DifferencePage, DifferenceBody;
}

/// How many ticks are shown where nobody says.
const DEFAULT_TICKS: u32 = 10;

/// List the schedules, by id
#[utoipa::path(
    get, path = "/v1/schedules", tag = "schedules", operation_id = "listSchedules",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 100; default: 50", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "`nextCursor` of the previous page"),
    ),
    responses((status = 200, description = "A page", body = SchedulePage)),
    security(("token" = ["runs:read"]))
)]
pub async fn list(Reader(principal): Reader, uri: Uri) -> ApiResult {
    let mut query = Query::read(&uri, &["limit", "cursor"])?;
    let limit = query.number("limit").map_or(50, |limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let after: Option<ScheduleId> = query.one("cursor");
    query.end()?;
    let data = principal.schedules().list(after.as_ref(), limit).await?;
    let is_full = data.len() == limit as usize;
    let next_cursor = data.last().filter(|_| is_full).map(|last| last.id.to_string());
    Ok(json(&Page { data, next_cursor }))
}

/// Create a schedule
///
/// The same request again succeeds; another definition under the id is a conflict.
#[utoipa::path(
    post, path = "/v1/schedules", tag = "schedules", operation_id = "createSchedule", request_body = ScheduleRequestBody,
    responses((status = 201, description = "The schedule", body = ScheduleBody)),
    security(("token" = ["settings:write"]))
)]
pub async fn create(Settings(principal): Settings, Strict(mut body): Strict<Value>) -> ApiResult {
    let id = body.as_object_mut().and_then(|fields| fields.remove("id"));
    let id = id.ok_or_else(|| bad_field("/id", "a schedule needs an id"))?;
    let id = id.as_str().ok_or_else(|| bad_field("/id", "id must be text"))?;
    let id: ScheduleId = id
        .parse()
        .map_err(|error: Error| bad_field("/id", format!("{}; {}", error.message(), error.hint())))?;
    let schedule = principal.schedules().create(&id, Definition::read(&body)?).await?;
    Ok(made(&schedule, &format!("/v1/schedules/{id}")))
}

/// Get a schedule
#[utoipa::path(
    get, path = "/v1/schedules/{id}", tag = "schedules", operation_id = "getSchedule",
    params(("id" = String, Path, description = "Schedule id")),
    responses((status = 200, description = "The schedule", body = ScheduleBody)),
    security(("token" = ["runs:read"]))
)]
pub async fn get(Reader(principal): Reader, ScheduleOf(id): ScheduleOf, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(&principal.schedules().get(&id).await?))
}

/// Replace the definition of a schedule, or create it
///
/// A field that is left out has its default. A changed definition is a new revision.
#[utoipa::path(
    put, path = "/v1/schedules/{id}", tag = "schedules", operation_id = "putSchedule", request_body = ScheduleRequestBody,
    params(("id" = String, Path, description = "Schedule id")),
    responses((status = 200, description = "The schedule", body = ScheduleBody)),
    security(("token" = ["settings:write"]))
)]
pub async fn put(
    Settings(principal): Settings,
    ScheduleOf(id): ScheduleOf,
    Strict(body): Strict<Value>,
) -> ApiResult {
    Ok(json(&principal.schedules().put(&id, Definition::read(&body)?).await?))
}

/// Delete a schedule; its runs stay
#[utoipa::path(
    delete, path = "/v1/schedules/{id}", tag = "schedules", operation_id = "deleteSchedule",
    params(("id" = String, Path, description = "Schedule id")),
    responses((status = 204, description = "Deleted")),
    security(("token" = ["settings:write"]))
)]
pub async fn delete(Settings(principal): Settings, ScheduleOf(id): ScheduleOf) -> ApiResult {
    principal.schedules().delete(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Pause a schedule: its ticks are skipped
#[utoipa::path(
    post, path = "/v1/schedules/{id}:pause", tag = "schedules", operation_id = "pauseSchedule",
    params(("id" = String, Path, description = "Schedule id")),
    responses((status = 200, description = "The schedule", body = ScheduleBody)),
    security(("token" = ["settings:write"]))
)]
pub async fn pause(Settings(principal): Settings, ScheduleOf(id): ScheduleOf) -> ApiResult {
    Ok(json(&principal.schedules().pause(&id).await?))
}

/// Resume a schedule; ticks during the pause stay skipped
#[utoipa::path(
    post, path = "/v1/schedules/{id}:resume", tag = "schedules", operation_id = "resumeSchedule",
    params(("id" = String, Path, description = "Schedule id")),
    responses((status = 200, description = "The schedule", body = ScheduleBody)),
    security(("token" = ["settings:write"]))
)]
pub async fn resume(Settings(principal): Settings, ScheduleOf(id): ScheduleOf) -> ApiResult {
    Ok(json(&principal.schedules().resume(&id).await?))
}

/// Enqueue a run of a schedule now
#[utoipa::path(
    post, path = "/v1/schedules/{id}:trigger", tag = "schedules", operation_id = "triggerSchedule",
    params(("id" = String, Path, description = "Schedule id")),
    responses((status = 201, description = "The run", body = RunBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn trigger(Maker(principal): Maker, ScheduleOf(id): ScheduleOf) -> ApiResult {
    let run = principal.schedules().trigger(&id).await?;
    Ok(made(&run, &format!("/v1/runs/{}", run.id)))
}

/// Enqueue runs for past ticks of a schedule
///
/// At most 1,000 ticks. A tick whose run is still kept gets no second one.
#[utoipa::path(
    post, path = "/v1/schedules/{id}:backfill", tag = "schedules", operation_id = "backfillSchedule",
    request_body = BackfillBody, params(("id" = String, Path, description = "Schedule id")),
    responses((status = 200, description = "The ticks", body = BackfilledBody)),
    security(("token" = ["runs:write"]))
)]
pub async fn backfill(
    Maker(principal): Maker,
    ScheduleOf(id): ScheduleOf,
    Strict(body): Strict<BackfillBody>,
) -> ApiResult {
    Ok(json(&principal.schedules().backfill(&id, body.from, body.to, body.dry_run).await?))
}

/// List the next ticks of a schedule
#[utoipa::path(
    get, path = "/v1/schedules/{id}/next", tag = "schedules", operation_id = "nextTicks",
    params(
        ("id" = String, Path, description = "Schedule id"),
        ("n" = Option<u32>, Query, description = "1 to 1000; default: 10", minimum = 1, maximum = 1000),
    ),
    responses((status = 200, description = "The ticks", body = NextTickPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn next(Reader(principal): Reader, ScheduleOf(id): ScheduleOf, uri: Uri) -> ApiResult {
    let mut query = Query::read(&uri, &["n"])?;
    let n = query.number("n").map_or(DEFAULT_TICKS, |n| u32::try_from(n).unwrap_or(u32::MAX));
    query.end()?;
    Ok(json(&List { data: principal.schedules().next(&id, n).await?, next_cursor: None }))
}

/// Explain a cron expression: in words, its next ticks, and what the next clock change does to it
#[utoipa::path(
    post, path = "/v1/schedules:preview", tag = "schedules", operation_id = "previewSchedule", request_body = PreviewBody,
    responses((status = 200, description = "What it means", body = PreviewedBody)),
    security(("token" = ["runs:read"]))
)]
pub async fn preview(Reader(principal): Reader, Strict(body): Strict<PreviewBody>) -> ApiResult {
    let PreviewBody { cron, time_zone, dst, from, n } = body;
    let preview = Preview { cron, time_zone, dst, from, n: n.unwrap_or(DEFAULT_TICKS) };
    Ok(json(&principal.schedules().preview(&preview).await?))
}

/// Bring the settings of the workspace to what a file says, all or nothing
#[utoipa::path(
    post, path = "/v1/settings:apply", tag = "schedules", operation_id = "applySettings", request_body = ApplyBody,
    responses((status = 200, description = "What was different", body = DifferencePage)),
    security(("token" = ["settings:write"]))
)]
pub async fn apply(Settings(principal): Settings, Strict(body): Strict<ApplyBody>) -> ApiResult {
    let mut schedules = BTreeMap::new();
    for (id, definition) in body.schedules {
        let pointer = format!("/schedules/{id}");
        let id: ScheduleId = id.parse().map_err(|error: Error| bad_field(&pointer, error.message()))?;
        let read = Definition::read(&definition).map_err(|error| match error.fields().first() {
            Some(field) => bad_field(format!("{pointer}{}", field.pointer), field.message.clone()),
            None => error,
        })?;
        schedules.insert(id, read);
    }
    let applied = Applied { schedules, prune: body.prune, dry_run: body.dry_run };
    Ok(json_of(
        StatusCode::OK,
        &List { data: principal.schedules().apply(&applied).await?, next_cursor: None },
    ))
}
