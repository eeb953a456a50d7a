//! A page as a response: one that stands alone, or one that says why another cannot be shown.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::{Error, ErrorCode, Result};

use super::assets;
use super::parts::html::{Html, render};
use crate::server::Shared;
use crate::server::context::request_id;
use crate::server::request::path::{RunOf, ScheduleOf};
use crate::server::response::{ApiError, RETRY_AFTER, log_refusal, shown_line};

/// How long a page waits for what it shows. Postgres gives a statement up by itself too (`statement_timeout`).
const PATIENCE: Duration = Duration::from_secs(8);

/// A page, or the page that says why there is none.
pub type PageResult = Result<Response, ErrorPage>;

/// A page without navigation.
pub fn bare(template: &impl Template) -> Response {
    match render(template) {
        Ok(html) => html_response(html),
        Err(error) => ErrorPage::from(error).into_response(),
    }
}

/// Markup as a response with status 200.
pub fn html_response(html: Html) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
}

/// What is read for a page, or that it took too long.
///
/// # Errors
/// `unavailable` after eight seconds, and those of what is read.
pub async fn timely<T>(reading: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(read) => read,
        Err(_) => Err(Error::new(ErrorCode::Unavailable, "the database did not answer in time")),
    }
}

/// The run that a page's path names.
pub struct RunAt(pub RunId);

impl FromRequestParts<Arc<Shared>> for RunAt {
    type Rejection = ErrorPage;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ErrorPage> {
        let RunOf(id) = RunOf::from_request_parts(parts, shared).await.map_err(|ApiError(error)| error)?;
        Ok(Self(id))
    }
}

/// The schedule that a page's path names.
pub struct ScheduleAt(pub ScheduleId);

impl FromRequestParts<Arc<Shared>> for ScheduleAt {
    type Rejection = ErrorPage;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ErrorPage> {
        let found = ScheduleOf::from_request_parts(parts, shared).await;
        let ScheduleOf(id) = found.map_err(|ApiError(error)| error)?;
        Ok(Self(id))
    }
}

/// A page that cannot be shown.
#[derive(Debug)]
pub struct ErrorPage(Error);

impl From<Error> for ErrorPage {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage<'a> {
    version: &'static str,
    status: u16,
    title: &'static str,
    message: String,
    hint: &'a str,
    retryable: bool,
    request_id: &'a str,
}

impl IntoResponse for ErrorPage {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let request_id = request_id();
        log_refusal(&error, "page");
        let (error, facts) = (error.masked(), error.code().facts());
        let page = FailedPage {
            version: assets::version(),
            status: facts.status,
            title: facts.title,
            message: shown_line(error.message()),
            hint: error.hint(),
            retryable: facts.retryable,
            request_id: &request_id,
        };
        let status = StatusCode::from_u16(facts.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = match render(&page) {
            Ok(html) => (status, html_response(html)).into_response(),
            Err(_) => status.into_response(),
        };
        if facts.retryable {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        response
    }
}
