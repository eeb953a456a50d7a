//! Reading a request's body: its size before its content, its JSON strictly, its fields by name.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use sprongus_core::json;
use sprongus_core::{Error, ErrorCode};

use crate::server::Shared;
use crate::server::response::{ApiError, bad_field, shown, shown_line, too_slow};
use crate::wire::MAX_BODY_BYTES;

/// A body of JSON, of `MAX` bytes at most.
pub struct Strict<T, const MAX: usize = MAX_BODY_BYTES>(pub T);

/// A body of JSON that may be left out.
pub struct Optional<T>(pub T);

impl<T: DeserializeOwned, const MAX: usize> FromRequest<Arc<Shared>> for Strict<T, MAX> {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Response> {
        let is_json = is_json(request.headers());
        let bytes = read::<MAX>(request, shared.options.patience).await?;
        if !is_json {
            return Err(wrong_type().into_response());
        }
        typed(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<Arc<Shared>> for Optional<T> {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Response> {
        let is_json = is_json(request.headers());
        let bytes = read::<MAX_BODY_BYTES>(request, shared.options.patience).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json {
            return Err(wrong_type().into_response());
        }
        let said = typed::<Option<T>>(&bytes).map_err(IntoResponse::into_response)?;
        Ok(Self(said.unwrap_or_default()))
    }
}

fn wrong_type() -> ApiError {
    ApiError(Error::new(ErrorCode::UnsupportedMediaType, "the body must be sent as plain application/json"))
}

/// Whether the body says that it is JSON, and neither compressed nor in another character set.
fn is_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.contains_key(header::CONTENT_ENCODING) && text(header::CONTENT_ENCODING) != Some("identity") {
        return false;
    }
    let mut parts = text(header::CONTENT_TYPE).unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
                value.trim_matches('"').eq_ignore_ascii_case("utf-8")
            }
            Some(_) | None => true,
        })
}

/// Reads a body whole, of `MAX` bytes at most.
///
/// # Errors
/// The answer to one that is too large, too slow, or breaks off.
pub async fn read<const MAX: usize>(request: Request, patience: Duration) -> Result<bytes::Bytes, Response> {
    let reading = Limited::new(request.into_body(), MAX).collect();
    match tokio::time::timeout(patience, reading).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let message = format!("the body must be at most {MAX} bytes");
            Err(ApiError(Error::new(ErrorCode::PayloadTooLarge, message)).into_response())
        }
        Ok(Err(_)) => Err(ApiError(Error::new(ErrorCode::Malformed, "the body was cut off")).into_response()),
        Err(_) => Err(too_slow()),
    }
}

fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let value = json::parse_value(bytes)
        .map_err(|fault| ApiError(Error::new(ErrorCode::Malformed, fault.to_string())))?;
    from_value(value).map_err(ApiError)
}

/// A request's fields, or a refusal that names the bad one. Its value is not repeated: it may be anything.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    if value.is_array() {
        // Serde would take it for a struct, field by field in the order of the code.
        return Err(bad_field("", "expected an object"));
    }
    if let Some(pointer) = too_large(&value, String::new()) {
        return Err(bad_field(pointer, "a number must be at most 9223372036854775807"));
    }
    serde_path_to_error::deserialize(value).map_err(|fault| {
        let mut pointer = String::new();
        for segment in fault.path() {
            let name = match segment {
                Segment::Seq { index } => index.to_string(),
                Segment::Map { key } => key.replace('~', "~0").replace('/', "~1"),
                Segment::Enum { variant } => variant.clone(),
                Segment::Unknown => continue,
            };
            pointer.push('/');
            pointer.push_str(&shown(&name));
        }
        bad_field(pointer, said(&fault.inner().to_string()))
    })
}

/// Parts of a request that are anybody's JSON, or that a rule of the core limits in words of its own.
const EXEMPT: [&str; 7] = ["input", "data", "result", "delayMs", "leaseMs", "waitMs", "retryInMs"];

/// Where a number stands that no database keeps as a whole one.
fn too_large(value: &Value, pointer: String) -> Option<String> {
    match value {
        Value::Number(number) => (number.is_u64() && number.as_i64().is_none()).then_some(pointer),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| too_large(item, format!("{pointer}/{index}")))
        }
        Value::Object(members) => {
            let ours = members.iter().filter(|(name, _)| !EXEMPT.contains(&name.as_str()));
            ours.into_iter().find_map(|(name, value)| too_large(value, format!("{pointer}/{}", shown(name))))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// What serde said, without the value that it quotes.
fn said(message: &str) -> String {
    let expected = message.rsplit_once("expected ").map(|(_, expected)| expected);
    let is_of_value =
        ["invalid type", "invalid value", "invalid length"].iter().any(|it| message.starts_with(it));
    match expected {
        Some(expected) if is_of_value => format!("expected {expected}"),
        Some(_) | None => shown_line(message),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::report::ClaimBody;

    #[test]
    fn a_bad_field_is_named_and_its_value_not_repeated() {
        let read = |value| from_value::<ClaimBody>(value).unwrap_err();
        let error = read(json!({"workerId": "w", "limit": "hunter2"}));
        assert_eq!(error.fields()[0].pointer, "/limit");
        assert_eq!(error.message(), "expected u32");
        assert_eq!(read(json!({"workerId": "w"})).message(), "missing field `limit`");
        let unknown = read(json!({"workerId": "w", "limit": 1, "admin": true}));
        assert_eq!(unknown.fields()[0].pointer, "/admin");
        assert!(unknown.message().starts_with("unknown field `admin`"), "{unknown}");
        let kind = read(json!({"workerId": "w", "limit": 1, "kinds": ["a", "../b"]}));
        assert_eq!(kind.fields()[0].pointer, "/kinds/1");
    }
}
