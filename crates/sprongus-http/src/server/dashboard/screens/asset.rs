//! `/assets/{name}`: the style sheet, the script or the icon.

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use sprongus_core::Error;

use crate::server::dashboard::assets;
use crate::server::dashboard::page::ErrorPage;

/// Sends a file, to be kept for a year: its address changes with what it holds.
pub async fn asset(Path(name): Path<String>) -> Response {
    let Some((media_type, text)) = assets::file(&name) else {
        return ErrorPage::from(Error::not_found("file")).into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, text).into_response()
}
