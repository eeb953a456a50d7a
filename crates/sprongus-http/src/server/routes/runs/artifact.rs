//! `GET /v1/runs/{id}/artifacts`, `PUT` and `GET /v1/runs/{id}/artifacts/{name}`.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sprongus_core::run::artifact::{Artifact, ArtifactName, ByteRange, Download};
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Runs};

use super::read::page_body;
use crate::problem::Problem;
use crate::server::access::auth::{Reader, Worker};
use crate::server::context::request_id;
use crate::server::request::path::{ArtifactOf, RunOf};
use crate::server::request::upload::{NotKept, Upload};
use crate::server::request::{query, range};
use crate::server::response::{ApiResult, document, json, made};
use crate::wire::run::artifact::ArtifactBody;
use crate::wire::words::Binary;
use crate::wire::{CREATED_AT_HEADER, List};

/// What needs no escape in a parameter of a header (RFC 8187), nor in a segment of a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The same for a path of several segments.
const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

page_body! {
    /// A run's artifacts.
    ArtifactPage, ArtifactPage, ArtifactBody;
}

/// List a run's artifacts, by name
#[utoipa::path(
    get, path = "/v1/runs/{id}/artifacts", tag = "runs", operation_id = "listArtifacts",
    params(("id" = String, Path, description = "The run")),
    responses((status = 200, description = "All of them", body = ArtifactPage)),
    security(("token" = ["runs:read"]))
)]
pub async fn list(Reader(principal): Reader, RunOf(id): RunOf, uri: Uri) -> ApiResult {
    query::none(&uri)?;
    Ok(json(&List { data: principal.runs().artifacts(id).await?, next_cursor: None }))
}

/// Upload an artifact
///
/// Replaces an artifact of the same name. The body is streamed, up to 1 GiB by default; an interrupted upload is discarded. Repeating
/// the upload is safe.
#[utoipa::path(
    put, path = "/v1/runs/{id}/artifacts/{name}", tag = "work", operation_id = "putArtifact",
    params(
        ("id" = String, Path, description = "The run"),
        ("name" = String, Path, description = "A relative path; `/` may be sent as `%2F` or as is", min_length = 1, max_length = 255, example = "out/report.md"),
        ("workerId" = String, Query, description = "Worker id"),
        ("epoch" = u64, Query, description = "Epoch of the claim"),
        ("Sprongus-Lease-Token" = Option<String>, Header, description = "The lease token from the claim; a wrong one is `lease_lost`"),
    ),
    request_body(content = inline(Binary), content_type = "application/octet-stream", description = "The file; its `Content-Type` is stored with it"),
    responses((
        status = 201, description = "The artifact", body = ArtifactBody,
        headers(("Location" = String, description = "Its URL")),
    )),
    security(("token" = ["runs:work"]))
)]
pub async fn put(
    Worker(principal): Worker,
    ArtifactOf(id, name): ArtifactOf,
    uri: Uri,
    headers: HeaderMap,
    upload: Upload,
) -> Result<Response, NotKept> {
    let hold = query::hold(id, &uri, &headers)?;
    let (witness, runs) = (upload.witness(), principal.runs());
    let upload = upload.rechecked_at_end(principal);
    let kept = runs.put_artifact(&hold, &name, &upload.content_type, upload.body).await;
    let artifact = witness.judge(kept)?;
    Ok(made(
        &artifact,
        &format!("/v1/runs/{id}/artifacts/{}", utf8_percent_encode(name.as_str(), PLAIN_PATH)),
    ))
}

/// Download an artifact, or a part of it
///
/// The content type is that of the upload. `HEAD` returns only the headers.
#[utoipa::path(
    get, path = "/v1/runs/{id}/artifacts/{name}", tag = "runs", operation_id = "getArtifact",
    params(
        ("id" = String, Path, description = "The run"),
        ("name" = String, Path, description = "A relative path; `/` may be sent as `%2F` or as is", min_length = 1, max_length = 255, example = "out/report.md"),
        ("Range" = Option<String>, Header, description = "A single byte range; several ranges or another unit return the whole file"),
        ("If-Range" = Option<String>, Header, description = "Return the range only if this is the `ETag`, else the whole file"),
        ("If-None-Match" = Option<String>, Header, description = "Returns 304 if the `ETag` is one of these"),
    ),
    responses(
        (
            status = 200, description = "The file", body = inline(Binary), content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "SHA-256 of the whole file, quoted"),
                ("Accept-Ranges" = String, description = "`bytes`"),
                ("Sprongus-Created-At" = String, description = "When it was stored"),
            ),
        ),
        (
            status = 206, description = "The range", body = inline(Binary), content_type = "application/octet-stream",
            headers(
                ("ETag" = String, description = "SHA-256 of the whole file, quoted"),
                ("Content-Range" = String, description = "Byte range and total size"),
                ("Sprongus-Created-At" = String, description = "When it was stored"),
            ),
        ),
        (status = 304, description = "Not modified"),
        (
            status = 416, description = "Range not satisfiable: `validation`", body = Problem, content_type = "application/problem+json",
            headers(("Content-Range" = String, description = "Total size")),
        ),
    ),
    security(("token" = ["runs:read"]))
)]
pub async fn get(
    Reader(principal): Reader,
    ArtifactOf(id, name): ArtifactOf,
    method: Method,
    headers: HeaderMap,
    uri: Uri,
) -> ApiResult {
    query::none(&uri)?;
    // A range is one of a GET alone.
    let range = if method == Method::GET { range::requested(&headers) } else { None };
    let opened = open(principal.runs().as_ref(), id, &name, range, &headers).await?;
    let (Opened::Whole(download) | Opened::Part(download) | Opened::NoPart(download, _)) = &opened;
    let etag = etag(&download.artifact);
    if range::if_none_match(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(match opened {
        Opened::Whole(download) => response(StatusCode::OK, download, &etag),
        Opened::Part(download) => response(StatusCode::PARTIAL_CONTENT, download, &etag),
        Opened::NoPart(whole, refusal) => not_satisfiable(&refusal, whole.artifact.size),
    })
}

fn etag(artifact: &Artifact) -> String {
    format!("\"{}\"", artifact.sha256)
}

/// What was opened.
enum Opened {
    Whole(Download),
    Part(Download),
    /// The part holds no byte of the whole.
    NoPart(Download, Error),
}

/// Opens what is wanted. Where a part is not to be had, the whole is opened, for only that tells of how many bytes it is none.
async fn open(
    runs: &dyn Runs,
    id: RunId,
    name: &ArtifactName,
    range: Option<ByteRange>,
    headers: &HeaderMap,
) -> Result<Opened, Error> {
    let Some(range) = range else { return Ok(Opened::Whole(runs.artifact(id, name, None).await?)) };
    let refusal = match runs.artifact(id, name, Some(range)).await {
        Ok(download) if range::if_range(headers, &etag(&download.artifact)) => {
            return Ok(Opened::Part(download));
        }
        Ok(_) => None,
        Err(error) if error.code() == ErrorCode::Validation => Some(error),
        Err(error) => return Err(error),
    };
    let whole = runs.artifact(id, name, None).await?;
    match refusal {
        Some(refusal) if range::if_range(headers, &etag(&whole.artifact)) => {
            Ok(Opened::NoPart(whole, refusal))
        }
        Some(_) | None => Ok(Opened::Whole(whole)),
    }
}

fn not_satisfiable(refusal: &Error, size: u64) -> Response {
    let status = StatusCode::RANGE_NOT_SATISFIABLE;
    let problem = Problem { status: status.as_u16(), ..Problem::new(refusal, &request_id()) };
    let mut response = document(status, problem);
    set(response.headers_mut(), header::CONTENT_RANGE, &format!("bytes */{size}"));
    response
}

fn response(status: StatusCode, download: Download, etag: &str) -> Response {
    let Download { artifact, range, body } = download;
    let mut response = (status, Body::from_stream(body)).into_response();
    let headers = response.headers_mut();
    let file = artifact.name.as_str().rsplit('/').next().unwrap_or_default();
    let disposition = format!("attachment; filename*=UTF-8''{}", utf8_percent_encode(file, PLAIN));
    set(headers, header::CONTENT_TYPE, &artifact.content_type);
    set(headers, header::CONTENT_LENGTH, &(range.end - range.start).to_string());
    set(headers, header::ETAG, etag);
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::CONTENT_DISPOSITION, &disposition);
    // Whatever the file is, it is no page of this server's.
    set(headers, header::CONTENT_SECURITY_POLICY, "sandbox");
    set(headers, HeaderName::from_static(CREATED_AT_HEADER), &artifact.created_at.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let span = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), artifact.size);
        set(headers, header::CONTENT_RANGE, &span);
    }
    response
}

/// Sets a header; what cannot stand in one was refused when the artifact was kept.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
