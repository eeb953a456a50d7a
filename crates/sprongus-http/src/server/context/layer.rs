//! The outermost layer: makes the context of a request and gives it to the answer, survives a panic, and writes one line to the log.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use sprongus_core::Error;
use sprongus_core::values::ids::RunId;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::{CONTEXT, Context};
use crate::server::Shared;
use crate::server::metrics::shown;
use crate::server::response::ApiError;
use crate::wire::REQUEST_ID_HEADER;

/// The trace that the client names, if it does so well.
fn given(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    sprongus_trace::is_traceparent(text).then_some(text)
}

/// The request as a trace shows it: what a client wrote is not in it, for a path or a word in the place of a method may be anything.
fn span(method: &Method, route: Option<&str>, request_id: &str) -> Span {
    let (method, route) = shown(method, route).unwrap_or(("_OTHER", String::new()));
    let name = if route.is_empty() { method.to_owned() } else { format!("{method} {route}") };
    tracing::info_span!(
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        request = request_id
    )
}

/// The outermost layer.
pub async fn layer(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let (began, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let (request_id, given) = (RunId::new().to_string(), given(request.headers()));
    let span = span(&method, route.as_deref(), &request_id);
    sprongus_trace::go_on_from(&span, given);
    let traceparent = sprongus_trace::traceparent(&span).or_else(|| given.map(str::to_owned));
    let context = Arc::new(Context { request_id, traceparent, left: Mutex::new(None) });
    let answering = CONTEXT.scope(Arc::clone(&context), async {
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answered.unwrap_or_else(|_| ApiError(Error::internal("the request was interrupted")).into_response())
    });
    let mut response = answering.instrument(span.clone()).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&context.request_id) {
        headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), id);
    }
    // What a token may see is no cache's business, and nothing here is to be taken for something else.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Some(left) = context.left.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
        left.tell(headers);
    }
    let (took, status) = (began.elapsed(), response.status().as_u16());
    span.record("http.response.status_code", status);
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    shared.metrics.requests.count(&method, route.as_deref(), status, took);
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // The path itself is a client's text, and so is a method that none of ours is; the route says as much.
    let (method, route) = shown(&method, route.as_deref()).unwrap_or(("_OTHER", "-".to_owned()));
    tracing::debug!(request = %context.request_id, method, route, status, elapsed_ms, "answered");
    response
}
