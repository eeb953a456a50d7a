//! What goes back: JSON, and refusals as problem documents.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sprongus_core::error::FieldError;
use sprongus_core::redact::redact;
use sprongus_core::run::{Enqueue, Enqueued};
use sprongus_core::values::text::{excerpt, printable, truncate};
use sprongus_core::{Error, ErrorCode};

use super::context::request_id;
use crate::problem::{ItemProblem, MEDIA_TYPE, Problem};
use crate::wire::REPLAYED_HEADER;

/// How long a client should wait before it repeats what was `unavailable`, in seconds, and by how much more at random, so that
/// many do not come back together.
pub const RETRY_AFTER: u64 = 1;
const RETRY_SPREAD: u64 = 3;

/// The longest message about a client's text.
const MAX_MESSAGE_BYTES: usize = 512;

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct ApiError(pub Error);

/// What the handler of a route returns.
pub type ApiResult<T = Response> = Result<T, ApiError>;

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        log_refusal(&error, "request");
        let status = StatusCode::from_u16(error.code().http_status());
        document(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Problem::new(&error, &request_id()))
    }
}

/// Logs why something was not answered as it was asked. A refusal quotes what the client wrote, which is for the client alone: of one of
/// those the log has the code.
pub fn log_refusal(error: &Error, what: &'static str) {
    if error.code() == ErrorCode::Internal {
        tracing::error!(request = request_id(), what, ?error, "internal error");
    } else if error.code().http_status() >= 500 {
        tracing::debug!(request = request_id(), what, ?error, "refused");
    } else {
        tracing::debug!(request = request_id(), what, code = %error.code(), "refused");
    }
}

/// The answer to a client that was too slow: 408, where the code's own status speaks of the server.
pub fn too_slow() -> Response {
    let error = Error::new(ErrorCode::TimedOut, "the request took too long to arrive")
        .with_hint("send the whole request without pauses");
    let problem =
        Problem { status: StatusCode::REQUEST_TIMEOUT.as_u16(), ..Problem::new(&error, &request_id()) };
    document(StatusCode::REQUEST_TIMEOUT, problem)
}

/// The answer to a batch that was to be made whole, of which some items are bad: 422, with every bad item named.
pub fn batch_refused(bad: Vec<(usize, Error)>) -> Response {
    let fields = bad.iter().flat_map(|(index, error)| {
        let own: Vec<FieldError> = match error.fields() {
            [] => vec![FieldError { pointer: String::new(), message: error.message().to_owned() }],
            fields => fields.to_vec(),
        };
        own.into_iter().map(move |field| FieldError {
            pointer: format!("/runs/{index}{}", field.pointer),
            message: field.message,
        })
    });
    let message = match bad.len() {
        1 => "an item of the batch was invalid; none were enqueued".to_owned(),
        many => format!("{many} items of the batch were invalid; none were enqueued"),
    };
    let error = Error::validation(message).with_fields(fields.collect());
    let mut problem = Problem::new(&error, &request_id());
    problem.items = bad
        .iter()
        .map(|(index, error)| ItemProblem { index: *index, problem: Box::new(Problem::new(error, "")) })
        .collect();
    document(StatusCode::UNPROCESSABLE_ENTITY, problem)
}

/// Prints a problem document with a status, and what that asks of the headers.
pub fn document(status: StatusCode, problem: Problem) -> Response {
    let mut response = json_of(status, &problem);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER + fastrand::u64(0..=RETRY_SPREAD)));
    }
    if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        // What is left of the request is not read.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Prints JSON with a status.
pub fn json_of<T: Serialize + ?Sized>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
            .into_response(),
        Err(error) => {
            ApiError(Error::internal("cannot write the response").with_source(error)).into_response()
        }
    }
}

/// A response with status 200.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Response {
    json_of(StatusCode::OK, value)
}

/// Prints what was made, and where it is.
pub fn made<T: Serialize + ?Sized>(value: &T, location: &str) -> Response {
    let mut response = json_of(StatusCode::CREATED, value);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Prints a run that was made, or was there: 201 and where it is, or 200 and that it was answered before.
pub fn enqueued<T: Serialize + ?Sized>(value: &T, enqueued: &Enqueued, below: &str) -> Response {
    match enqueued.outcome {
        Enqueue::Created => made(value, &format!("{below}/{}", enqueued.run.id)),
        Enqueue::Existing => {
            let mut response = json(value);
            let replayed = HeaderName::from_static(REPLAYED_HEADER);
            response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
            response
        }
    }
}

/// One bad value of a request, which stands where `pointer` says.
pub fn bad_field(pointer: impl Into<String>, message: impl Into<String>) -> Error {
    Error::invalid_fields(vec![FieldError { pointer: pointer.into(), message: message.into() }])
}

/// A client's text within an error: short, and harmless wherever it is printed.
pub fn shown(text: &str) -> String {
    excerpt(&redact(text), 64)
}

/// The same for a whole message about it, with what looks like a secret masked.
pub fn shown_line(text: &str) -> String {
    truncate(&redact(&printable(text)), MAX_MESSAGE_BYTES).into_owned()
}
