//! `GET /openapi.json`.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::server::request::range;

/// This document
#[utoipa::path(
    get, path = "/openapi.json", tag = "health", operation_id = "openapi",
    params(("If-None-Match" = Option<String>, Header, description = "Returns 304 if the `ETag` is one of these")),
    responses(
        (status = 200, description = "OpenAPI 3.1", body = Object, headers(("ETag" = String, description = "Identifies the content"))),
        (status = 304, description = "Not modified"),
    ),
    security(())
)]
pub async fn openapi(headers: HeaderMap) -> Response {
    let tag = [(header::ETAG, super::etag()), (header::CACHE_CONTROL, "no-cache")];
    if range::if_none_match(&headers, super::etag()) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, [(header::CONTENT_TYPE, "application/json")], super::text()).into_response()
}
