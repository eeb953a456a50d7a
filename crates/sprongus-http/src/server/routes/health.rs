//! `GET /livez`, `/readyz`, `/errors`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sprongus_core::{Error, ErrorCode};

use crate::server::Shared;
use crate::server::response::{ApiResult, json};
use crate::wire::health::ReadyBody;

/// The process is alive.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Alive {
    /// `ok`.
    status: &'static str,
}

/// Check that the process is alive
///
/// Does not check the database: an unavailable database is no reason to restart the process.
#[utoipa::path(
    get, path = "/livez", tag = "health", operation_id = "livez",
    responses((status = 200, description = "The server is alive", body = Alive)), security(())
)]
pub async fn livez() -> Response {
    json(&Alive { status: "ok" })
}

/// Check that the server is ready
///
/// Checks the database, its schema and durability, and that row-level security applies to the role.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses((status = 200, description = "The server is ready", body = ReadyBody)), security(())
)]
pub async fn readyz(State(shared): State<Arc<Shared>>) -> ApiResult {
    if *shared.stopping.borrow() {
        return Err(Error::new(ErrorCode::Unavailable, "the server is stopping").into());
    }
    let health = shared.service.store().health(false).await?;
    if let Some(problem) = health.problems.first() {
        // What is amiss in detail is for those who may ask the database: `sprongus doctor`.
        tracing::warn!(what = problem.what, text = %problem.text, "not ready");
        let message = format!("problem with the database: {}", problem.what);
        return Err(Error::new(ErrorCode::Unavailable, message)
            .with_hint("run `sprongus doctor` for details")
            .into());
    }
    Ok(json(&ReadyBody {
        status: "ok".to_owned(),
        engine: health.engine,
        schema: health.schema,
        durable: health.durable,
    }))
}

/// List the error codes
#[utoipa::path(
    get, path = "/errors", tag = "health", operation_id = "errors",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")), security(())
)]
pub async fn errors() -> Response {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sprongus: errors</title><h1>Errors</h1><dl>",
    );
    for code in ErrorCode::ALL {
        let facts = code.facts();
        let retry = if facts.retryable {
            "The same request may succeed later."
        } else {
            "The same request will fail again."
        };
        let _ = write!(
            page,
            "<dt id=\"{name}\"><code>{name}</code> ({status}) {title}<dd>{hint}. {retry}",
            name = facts.name,
            status = facts.status,
            title = facts.title,
            hint = facts.hint,
        );
    }
    page.push_str("</dl></html>");
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    (headers, page).into_response()
}
