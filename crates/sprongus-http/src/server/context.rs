//! What is known of the request under way, wherever it is needed: its id, and what is left of its token's rate.

pub mod layer;

use std::sync::{Arc, Mutex, PoisonError};

use super::access::rate::Left;

tokio::task_local! {
    static CONTEXT: Arc<Context>;
}

struct Context {
    request_id: String,
    traceparent: Option<String>,
    left: Mutex<Option<Left>>,
}

/// What the request is called; empty outside of one.
pub fn request_id() -> String {
    CONTEXT.try_with(|context| context.request_id.clone()).unwrap_or_default()
}

/// The trace that what is asked belongs to: the request's own span, where spans are exported, else the client's.
pub fn traceparent() -> Option<String> {
    CONTEXT.try_with(|context| context.traceparent.clone()).ok().flatten()
}

/// Notes what is left of the token's rate, for the answer's headers.
pub fn note_rate(left: Left) {
    // Outside of a request there is nobody to tell.
    let _ = CONTEXT.try_with(|context| {
        *context.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
    });
}
