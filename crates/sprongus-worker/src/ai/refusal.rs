//! A response that is no answer: what it says, and whether another try may do better.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use sprongus_core::values::text::clip;
use tokio::time::timeout;

use super::connection::Connection;
use super::failure::CallFailure;
use crate::declaration::{Dialect, MaxTokensField};
use crate::execution::recorder::now;
use crate::secrets::Masks;

/// How much of a refusal is read, and how much is shown.
const READ: usize = 64 * 1024;
pub(super) const SHOWN: usize = 500;

/// Reads a response whose status says that there is no answer.
pub(super) async fn read(connection: &Connection, mut response: Response, masks: &Masks) -> CallFailure {
    let status = response.status();
    if status.is_redirection() {
        return CallFailure::permanent(format!(
            "the model server answered {status}: redirects are not followed, to protect the key; set base_url to the target"
        ));
    }
    let wait = retry_after(response.headers());
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = timeout(connection.idle, response.chunk()).await {
        body.extend_from_slice(&chunk[..chunk.len().min(READ - body.len())]);
        if body.len() == READ {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    let parsed = serde_json::from_slice::<Value>(&body).ok();
    let message = match &parsed {
        Some(value) => words_of(value),
        None => page(&text),
    };
    // Masked before it is cut: half a key is not seen for one.
    let message = clip(&masks.text(&message), SHOWN);
    let colon = if message.is_empty() { "" } else { ": " };
    let why = format!("the model server answered {status}{colon}{message}");
    let used_up = parsed.as_ref().is_some_and(is_used_up);
    if may_pass(status) && !used_up {
        return CallFailure::Transient { why, wait };
    }
    let is_about_the_request = matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY);
    CallFailure::Permanent { why, refused: is_about_the_request.then(|| text.into_owned()) }
}

fn may_pass(status: StatusCode) -> bool {
    let lasting = matches!(status, StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED);
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() && !lasting || passing.contains(&status)
}

/// The request without what a server's refusal of it names, if there is such a thing in it.
pub(super) fn without(dialect: Dialect, refused: &str) -> Option<Dialect> {
    let names = |words: &[&str]| words.iter().any(|word| refused.contains(word));
    if dialect.stream_options && names(&["stream_options", "include_usage"]) {
        return Some(Dialect { stream_options: false, ..dialect });
    }
    if dialect.max_tokens == MaxTokensField::MaxTokens && names(&["max_completion_tokens"]) {
        return Some(Dialect { max_tokens: MaxTokensField::MaxCompletionTokens, ..dialect });
    }
    if dialect.response_format {
        if dialect.strict && names(&["strict", "additionalProperties", "response_format", "json_schema"]) {
            return Some(Dialect { strict: false, ..dialect });
        }
        // Many servers know `response_format`, and no schema in it.
        if names(&["response_format", "json_schema"]) {
            return Some(Dialect { response_format: false, ..dialect });
        }
    }
    None
}

/// The words of an error, in one line and not cut; without any, the whole of it.
pub(super) fn words_of(value: &Value) -> String {
    let words = message(value).filter(|words| !words.trim().is_empty());
    let text = words.unwrap_or_else(|| if value.is_null() { String::new() } else { value.to_string() });
    one_line(&text)
}

/// Text with its white space collapsed.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The title of a page, or the text if it has none.
pub(super) fn page(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let begin = at + lower[at..].find('>')? + 1;
        Some(&text[begin..begin + lower[begin..].find("</title")?])
    });
    one_line(title.unwrap_or(text))
}

/// Whether an error says that no other try can help: the request, the key or the account is at fault.
pub(super) fn cannot_pass(error: &Value) -> bool {
    const LASTING: &[&str] = &[
        "invalid",
        "authentication",
        "permission",
        "not_found",
        "notfound",
        "content_filter",
        "content_policy",
        "context_length",
        "insufficient_quota",
        "billing",
        "unsupported",
        "badrequest",
        "bad_request",
    ];
    let is_lasting = |code: &Value| {
        let number = code.as_u64().or_else(|| code.as_str()?.parse().ok());
        match number {
            Some(status) => (400..500).contains(&status) && !matches!(status, 408 | 425 | 429),
            None => code.as_str().is_some_and(|word| {
                let word = word.to_ascii_lowercase();
                LASTING.iter().any(|lasting| word.contains(lasting))
            }),
        }
    };
    ["code", "status", "type"].into_iter().filter_map(|name| error.get(name)).any(is_lasting)
        || error.get("error").is_some_and(|inner| inner.is_object() && cannot_pass(inner))
}

/// Whether an account has nothing left, which no waiting gives back.
fn is_used_up(value: &Value) -> bool {
    let error = value.get("error").unwrap_or(value);
    ["code", "type"]
        .into_iter()
        .filter_map(|name| error.get(name)?.as_str())
        .any(|word| word.contains("insufficient_quota") || word.contains("billing"))
}

/// The words of an error: `{"error": {"message": "…"}}` and what servers make of that.
pub(super) fn message(value: &Value) -> Option<String> {
    const NAMES: &[&str] = &[
        "error",
        "message",
        "msg",
        "detail",
        "error_description",
        "error_message",
        "errorMessage",
        "errors",
        "details",
        "reason",
        "description",
        "fault",
        "faultstring",
        "title",
    ];
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let all: Vec<_> = items.iter().take(3).filter_map(message).collect();
            (!all.is_empty()).then(|| all.join("; "))
        }
        Value::Object(members) => {
            let text =
                |name: &&str| members.get(*name).and_then(message).filter(|words| !words.trim().is_empty());
            let first = NAMES.iter().find_map(|name| Some((*name, text(name)?)));
            let (name, mut words) = first?;
            // `{"error": "Bad Request", "message": "…"}`: the one names it, the other says it.
            if name == "error" && members.get("error").is_some_and(Value::is_string) {
                let more = NAMES[1..].iter().find_map(text).filter(|more| *more != words);
                words = more.map_or(words.clone(), |more| format!("{words}: {more}"));
            }
            // Where FastAPI says what is wrong.
            let place = members.get("loc").and_then(Value::as_array).map(|parts| {
                let part = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
                parts.iter().map(part).collect::<Vec<_>>().join(".")
            });
            Some(place.map_or(words.clone(), |place| format!("{place}: {words}")))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// How long the server asks to be left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now().as_millis()).ok()?);
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_words_of_an_error() {
        for (value, words) in [
            (json!({"error": {"message": "no", "type": "x"}}), Some("no")),
            (json!({"error": "no"}), Some("no")),
            (json!({"detail": "no"}), Some("no")),
            (json!({"error": "Bad Request", "message": "no"}), Some("Bad Request: no")),
            (json!({"object": "error", "message": "no", "code": 400}), Some("no")),
            (json!({"detail": [{"loc": ["body", "strict"], "msg": "no"}]}), Some("body.strict: no")),
            (json!({"title": "Bad", "detail": "no"}), Some("no")),
            (json!({"error": "e", "error_description": "no"}), Some("e: no")),
            (json!({"errors": [{"message": "no"}, {"message": "nor this"}]}), Some("no; nor this")),
            (json!([{"error": {"message": "no", "status": "INVALID_ARGUMENT"}}]), Some("no")),
            (json!({"error": {"code": 7}}), None),
            (json!([1]), None),
        ] {
            assert_eq!(message(&value).as_deref(), words, "{value}");
        }
    }

    #[test]
    fn shows_an_error_in_one_line_and_a_page_by_its_title() {
        assert_eq!(words_of(&json!({"error": {"message": " a\n  b\tc "}})), "a b c");
        assert_eq!(words_of(&json!({"error": {"code": 7}})), "{\"error\":{\"code\":7}}");
        assert_eq!(page("<html><head><TITLE>502 Bad\nGateway</title></head><body>x"), "502 Bad Gateway");
        assert_eq!(page("plain\n words"), "plain words");
    }

    #[test]
    fn knows_which_errors_stay() {
        for (error, stays) in [
            (json!({"code": 400}), true),
            (json!({"code": "429"}), false),
            (json!({"type": "invalid_request_error", "code": null}), true),
            (json!({"error": {"type": "overloaded_error"}}), false),
            (json!({"type": "error", "error": {"type": "authentication_error"}}), true),
            (json!({"message": "x"}), false),
            (json!("x"), false),
        ] {
            assert_eq!(cannot_pass(&error), stays, "{error}");
        }
    }

    #[test]
    fn reads_both_forms_of_retry_after() {
        let wait = |text: &str| retry_after(&[(RETRY_AFTER, text.parse().unwrap())].into_iter().collect());
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        let later = SystemTime::UNIX_EPOCH + Duration::from_millis(now().as_millis() as u64 + 90_000);
        let left = wait(&httpdate::fmt_http_date(later)).unwrap();
        assert!((80..=90).contains(&left.as_secs()), "{left:?}");
    }
}
