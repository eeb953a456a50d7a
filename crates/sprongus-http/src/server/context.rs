//! What is known of the request under way, wherever it is needed: its name, and what is left of its token's rate. And the outermost
//! layer, which gives both to the answer, survives a panic, and writes one line to the log.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use sprongus_core::Error;
use sprongus_core::ids::RunId;

use super::Shared;
use super::answer::Refused;
use super::rate::Left;
use crate::wire::REQUEST_ID_HEADER;

tokio::task_local! {
    static CONTEXT: Arc<Context>;
}

struct Context {
    request_id: String,
    left: Mutex<Option<Left>>,
}

/// What the request is called; empty outside of one.
pub fn request_id() -> String {
    CONTEXT.try_with(|context| context.request_id.clone()).unwrap_or_default()
}

/// Notes what is left of the token's rate, for the answer's headers.
pub fn note_rate(left: Left) {
    // Outside of a request there is nobody to tell.
    let _ = CONTEXT.try_with(|context| {
        *context.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
    });
}

/// The outermost layer.
pub async fn layer(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let context = Arc::new(Context { request_id: RunId::new().to_string(), left: Mutex::new(None) });
    let (began, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let answering = CONTEXT.scope(Arc::clone(&context), async {
        let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
        answered.unwrap_or_else(|_| Refused(Error::internal("the request broke off")).into_response())
    });
    let mut response = answering.await;
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
    shared.metrics.requests.count(&method, route.as_deref(), status, took);
    let elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    // The path itself is a client's text; the route says as much.
    let route = route.as_deref().unwrap_or("-");
    tracing::debug!(request = %context.request_id, %method, route, status, elapsed_ms, "answered");
    response
}
