//! `GET /openapi.json`.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::server::part;

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "health", operation_id = "openapi",
    params(("If-None-Match" = Option<String>, Header, description = "Nothing if one of these is its `ETag`")),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, headers(("ETag" = String, description = "Names the bytes"))),
        (status = 304, description = "It is the one of `If-None-Match`"),
    ),
    security(())
)]
pub async fn openapi(headers: HeaderMap) -> Response {
    let tag = [(header::ETAG, super::etag()), (header::CACHE_CONTROL, "no-cache")];
    if part::is_known(&headers, super::etag()) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, [(header::CONTENT_TYPE, "application/json")], super::text()).into_response()
}
