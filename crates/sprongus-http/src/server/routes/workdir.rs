//! `PUT`, `GET` and `DELETE /v1/runs/{id}/workdir`: the work directory of a run that waits at a gate, on its way from one worker to
//! the next.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sprongus_core::artifact::FileName;
use sprongus_core::error::FieldError;
use sprongus_core::rules::artifact::missing;

use crate::server::answer::Answer;
use crate::server::auth::Worker;
use crate::server::path::RunOf;
use crate::server::query;
use crate::server::upload::{NotKept, Upload};
use crate::wire::WORKDIR_POINTER;
use crate::wire::words::Binary;

/// Keep a run's work directory
///
/// For a run that is about to wait at a gate, as one file of whatever form the workers agree on. It is none of the run's artifacts.
#[utoipa::path(
    put, path = "/v1/runs/{id}/workdir", tag = "work", operation_id = "keepWorkdir",
    params(
        ("id" = String, Path, description = "The run"),
        ("workerId" = String, Query, description = "The worker"),
        ("epoch" = u64, Query, description = "Under which claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The token that the claim gave; without the right one it is `lease_lost`"),
    ),
    request_body(content = inline(Binary), content_type = "application/octet-stream", description = "The bytes"),
    responses((status = 204, description = "It is kept")),
    security(("token" = ["runs:work"]))
)]
pub async fn put(
    Worker(asker): Worker,
    RunOf(id): RunOf,
    uri: Uri,
    headers: HeaderMap,
    upload: Upload,
) -> Result<StatusCode, NotKept> {
    let hold = query::hold(id, &uri, &headers)?;
    let (witness, runs) = (upload.witness(), asker.runs());
    let upload = upload.looked_at_again(asker);
    let kept = runs.keep_workdir(&hold, upload.body).await;
    witness.judge(kept)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read a run's kept work directory
///
/// 404 also when none is kept; then `errors` points at `/workdir`.
#[utoipa::path(
    get, path = "/v1/runs/{id}/workdir", tag = "work", operation_id = "getWorkdir",
    params(
        ("id" = String, Path, description = "The run"),
        ("workerId" = String, Query, description = "The worker"),
        ("epoch" = u64, Query, description = "Under which claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The token that the claim gave; without the right one it is `lease_lost`"),
    ),
    responses((status = 200, description = "The bytes", body = inline(Binary), content_type = "application/octet-stream")),
    security(("token" = ["runs:work"]))
)]
pub async fn get(Worker(asker): Worker, RunOf(id): RunOf, uri: Uri, headers: HeaderMap) -> Answer {
    let hold = query::hold(id, &uri, &headers)?;
    let Some(body) = asker.runs().workdir(&hold).await? else {
        let none = FieldError { pointer: WORKDIR_POINTER.to_owned(), message: "none is kept".to_owned() };
        let error = missing(&FileName::Workdir).with_fields(vec![none]);
        return Err(error
            .with_hint("the run has none: it has not waited at a gate, or its work is over")
            .into());
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Let go of a run's kept work directory
///
/// Nothing happens when none is kept.
#[utoipa::path(
    delete, path = "/v1/runs/{id}/workdir", tag = "work", operation_id = "dropWorkdir",
    params(
        ("id" = String, Path, description = "The run"),
        ("workerId" = String, Query, description = "The worker"),
        ("epoch" = u64, Query, description = "Under which claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The token that the claim gave; without the right one it is `lease_lost`"),
    ),
    responses((status = 204, description = "None is kept any more")),
    security(("token" = ["runs:work"]))
)]
pub async fn delete(
    Worker(asker): Worker,
    RunOf(id): RunOf,
    uri: Uri,
    headers: HeaderMap,
) -> Answer<Response> {
    let hold = query::hold(id, &uri, &headers)?;
    asker.runs().drop_workdir(&hold).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
