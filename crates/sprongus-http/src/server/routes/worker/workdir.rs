//! `PUT`, `GET` and `DELETE /v1/runs/{id}/workdir`: the work directory of a run that waits at a gate, on its way from one worker to
//! the next.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sprongus_core::error::FieldError;
use sprongus_core::rules::artifact::missing;
use sprongus_core::run::artifact::FileName;

use crate::server::access::auth::Worker;
use crate::server::request::path::RunOf;
use crate::server::request::query;
use crate::server::request::upload::{NotKept, Upload};
use crate::server::response::ApiResult;
use crate::wire::WORKDIR_POINTER;
use crate::wire::words::Binary;

/// Upload a run's work directory
///
/// For a run that is about to wait at a gate, as one file in a format the workers agree on. It is not one of the run's artifacts.
#[utoipa::path(
    put, path = "/v1/runs/{id}/workdir", tag = "work", operation_id = "keepWorkdir",
    params(
        ("id" = String, Path, description = "The run"),
        ("workerId" = String, Query, description = "Worker id"),
        ("epoch" = u64, Query, description = "Epoch of the claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The lease token from the claim; a wrong one is `lease_lost`"),
    ),
    request_body(content = inline(Binary), content_type = "application/octet-stream", description = "The file"),
    responses((status = 204, description = "Stored")),
    security(("token" = ["runs:work"]))
)]
pub async fn put(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    uri: Uri,
    headers: HeaderMap,
    upload: Upload,
) -> Result<StatusCode, NotKept> {
    let hold = query::hold(id, &uri, &headers)?;
    let (witness, runs) = (upload.witness(), principal.runs());
    let upload = upload.rechecked_at_end(principal);
    let kept = runs.keep_workdir(&hold, upload.body).await;
    witness.judge(kept)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Download a run's work directory
///
/// 404 also when there is none; `errors` then points at `/workdir`.
#[utoipa::path(
    get, path = "/v1/runs/{id}/workdir", tag = "work", operation_id = "getWorkdir",
    params(
        ("id" = String, Path, description = "The run"),
        ("workerId" = String, Query, description = "Worker id"),
        ("epoch" = u64, Query, description = "Epoch of the claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The lease token from the claim; a wrong one is `lease_lost`"),
    ),
    responses((status = 200, description = "The file", body = inline(Binary), content_type = "application/octet-stream")),
    security(("token" = ["runs:work"]))
)]
pub async fn get(Worker(principal): Worker, RunOf(id): RunOf, uri: Uri, headers: HeaderMap) -> ApiResult {
    let hold = query::hold(id, &uri, &headers)?;
    let Some(body) = principal.runs().workdir(&hold).await? else {
        let none =
            FieldError { pointer: WORKDIR_POINTER.to_owned(), message: "no work directory".to_owned() };
        let error = missing(&FileName::Workdir).with_fields(vec![none]);
        return Err(error.with_hint("the run has not waited at a gate, or has ended").into());
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Delete a run's work directory
///
/// Succeeds when there is none.
#[utoipa::path(
    delete, path = "/v1/runs/{id}/workdir", tag = "work", operation_id = "dropWorkdir",
    params(
        ("id" = String, Path, description = "The run"),
        ("workerId" = String, Query, description = "Worker id"),
        ("epoch" = u64, Query, description = "Epoch of the claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The lease token from the claim; a wrong one is `lease_lost`"),
    ),
    responses((status = 204, description = "Deleted")),
    security(("token" = ["runs:work"]))
)]
pub async fn delete(
    Worker(principal): Worker,
    RunOf(id): RunOf,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let hold = query::hold(id, &uri, &headers)?;
    principal.runs().drop_workdir(&hold).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
