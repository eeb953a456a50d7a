//! `GET /livez`, `/readyz`, `/errors`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sprongus_core::{Error, ErrorCode};

use crate::server::Shared;
use crate::server::answer::{Answer, json};
use crate::wire::health::ReadyBody;

/// That the process lives.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Alive {
    /// `ok`.
    status: &'static str,
}

/// Whether the process lives
///
/// It asks nobody: a database that is away is no reason to end it.
#[utoipa::path(
    get, path = "/livez", tag = "health", operation_id = "livez",
    responses((status = 200, description = "It does", body = Alive)), security(())
)]
pub async fn livez() -> Response {
    json(&Alive { status: "ok" })
}

/// Whether the server can do its work
///
/// Database, schema, durability, and the role that row-level security holds for.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "readyz",
    responses((status = 200, description = "It can", body = ReadyBody)), security(())
)]
pub async fn readyz(State(shared): State<Arc<Shared>>) -> Answer {
    if *shared.stopping.borrow() {
        return Err(Error::new(ErrorCode::Unavailable, "the server stops").into());
    }
    let health = shared.service.store().health(false).await?;
    if let Some(fault) = health.faults.first() {
        // What is amiss in detail is for those who may ask the database: `sprongus doctor`.
        tracing::warn!(what = fault.what, text = %fault.text, "not ready");
        let message = format!("the database is not as it should be: {}", fault.what);
        return Err(Error::new(ErrorCode::Unavailable, message)
            .with_hint("`sprongus doctor` says more")
            .into());
    }
    Ok(json(&ReadyBody {
        status: "ok".to_owned(),
        engine: health.engine,
        schema: health.schema,
        durable: health.durable,
    }))
}

/// What each error code means
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
            "The same call may succeed later."
        } else {
            "The same call will fail again."
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
