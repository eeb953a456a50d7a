//! A response that is no answer: what it says, and whether another try may do better.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use sprongus_core::text::excerpt;
use tokio::time::timeout;

use super::connection::Connection;
use super::exchange::Trouble;
use crate::recorder::now;
use crate::secrets::Masks;

/// How much of a refusal is read, and how much is shown.
const READ: usize = 64 * 1024;
const SHOWN: usize = 500;

/// Reads a response whose status says that there is no answer.
pub(super) async fn read(connection: &Connection, mut response: Response, masks: &Masks) -> Trouble {
    let status = response.status();
    if status.is_redirection() {
        return Trouble::Lasting(format!(
            "the model server answered {status}: a redirect is not followed, for it could carry the key elsewhere; \
             set base_url to where it leads"
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
    let message = match serde_json::from_slice::<Value>(&body) {
        Ok(value) => message(&value).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
    };
    // Masked before it is cut: half a key is not seen for one.
    let message = excerpt(&masks.text(&message), SHOWN);
    let colon = if message.is_empty() { "" } else { ": " };
    let why = format!("the model server answered {status}{colon}{message}");
    if may_pass(status) { Trouble::Passing { why, wait } } else { Trouble::Lasting(why) }
}

fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// The words of an error: `{"error": {"message": "…"}}` and what servers make of that.
pub(super) fn message(value: &Value) -> Option<String> {
    if let Value::String(text) = value {
        return Some(text.clone());
    }
    ["error", "message", "detail"].into_iter().find_map(|name| value.get(name).and_then(message))
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
            (json!({"error": {"code": 7}}), None),
            (json!([1]), None),
        ] {
            assert_eq!(message(&value).as_deref(), words, "{value}");
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
