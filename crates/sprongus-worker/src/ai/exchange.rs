//! One request and its response.

use std::error::Error as _;
use std::time::Duration;

use reqwest::Response;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::Value;
use sprongus_core::values::text::clip;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::events::{Event, Events, TooLong};
use super::failure::CallFailure;
use super::reply::{Ending, broken_off};
use super::{Conversation, refusal};
use crate::declaration::Dialect;
use sprongus_core::values::duration::format_duration;

/// The most bytes of one response, whatever they say.
const MOST_BYTES: usize = 1 << 30;

/// The most bytes of an answer that comes as one document.
const LONGEST_DOCUMENT: usize = 32 * 1024 * 1024;

/// How long a stream that does not end is listened to behind the end of the answer, when the tokens are told or were not asked for,
/// and when they are still to come.
const AFTER_ALL: Duration = Duration::from_secs(2);
const AFTER_ANSWER: Duration = Duration::from_secs(10);

/// What may stand before a text, and is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Asks once, and hears the answer to its end.
pub(super) async fn exchange(
    connection: &Connection,
    dialect: Dialect,
    body: String,
    talk: &mut Conversation<'_, '_>,
) -> Result<Ending, CallFailure> {
    let mut request = connection
        .client
        .post(connection.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/event-stream")
        .body(body);
    if let Some(authorization) = &connection.authorization {
        request = request.header(AUTHORIZATION, authorization.clone());
    }
    let mut response = match timeout(connection.idle, request.send()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            return Err(CallFailure::transient(format!(
                "cannot reach the model server: {}",
                with_causes(error)
            )));
        }
        Err(_) => return Err(silent(connection)),
    };
    if !response.status().is_success() {
        return Err(refusal::read(connection, response, talk.log.masks()).await);
    }
    let read = read(connection, dialect, &mut response, talk).await;
    // Masked before it is cut: half a key is not seen for one.
    let shown = |why: String| clip(&talk.log.masks().text(&why), refusal::SHOWN);
    let read = read.map_err(|trouble| match trouble {
        CallFailure::Transient { why, wait } => CallFailure::Transient { why: shown(why), wait },
        CallFailure::Permanent { why, refused } => CallFailure::Permanent { why: shown(why), refused },
    });
    match read {
        // What comes after the end of an answer, or not, does not take from it.
        Err(CallFailure::Transient { why, wait }) => {
            talk.reply.ending().ok_or(CallFailure::Transient { why, wait })
        }
        Err(lasting @ CallFailure::Permanent { .. }) => Err(lasting),
        Ok(()) => talk.reply.ending().ok_or_else(|| {
            CallFailure::transient(match talk.reply.content.is_empty() {
                true => "the model server returned no answer",
                false => "the answer was cut off",
            })
        }),
    }
}

/// What a response is, by its head and its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Stream,
    /// One document of JSON: a whole answer, or an error.
    Json,
    Lines,
    Page,
    Compressed,
}

fn form(response: &Response, begin: &[u8]) -> Option<Form> {
    let header =
        |name| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = header(CONTENT_TYPE).to_ascii_lowercase();
    let encoding = header(CONTENT_ENCODING);
    if !matches!(encoding, "" | "identity") || begin.starts_with(&[0x1f, 0x8b]) {
        return Some(Form::Compressed);
    }
    if kind.contains("ndjson") || kind.contains("jsonl") {
        return Some(Form::Lines);
    }
    match begin.trim_ascii_start().first()? {
        b'{' | b'[' | b'"' => Some(Form::Json),
        b'<' => Some(Form::Page),
        _ => Some(Form::Stream),
    }
}

async fn read(
    connection: &Connection,
    dialect: Dialect,
    response: &mut Response,
    talk: &mut Conversation<'_, '_>,
) -> Result<(), CallFailure> {
    let mut begin = Vec::new();
    let form = loop {
        if let Some(form) = form(response, &begin) {
            break form;
        }
        match chunk(connection, response, connection.idle).await? {
            Some(chunk) => begin.extend_from_slice(&chunk),
            None => return Ok(()),
        }
        if begin.starts_with(BYTE_ORDER_MARK) {
            begin.drain(..BYTE_ORDER_MARK.len());
        }
        // Servers keep a connection alive by blank lines while they think.
        if begin.iter().all(u8::is_ascii_whitespace) {
            begin.clear();
        }
    };
    if form == Form::Stream {
        return read_stream(connection, dialect, response, begin, talk).await;
    }
    while let Some(chunk) = chunk(connection, response, connection.idle).await? {
        begin.extend_from_slice(&chunk);
        if begin.len() > LONGEST_DOCUMENT {
            return Err(CallFailure::permanent("the model server sent a document of more than 32 MiB"));
        }
        if form == Form::Compressed {
            break;
        }
    }
    match form {
        Form::Compressed => {
            Err(CallFailure::permanent("the model server sent a compressed answer, which was not requested"))
        }
        Form::Page => {
            let said = refusal::page(&String::from_utf8_lossy(&begin));
            Err(CallFailure::permanent(format!(
                "the model server returned a web page; check base_url: {said}"
            )))
        }
        Form::Json | Form::Lines | Form::Stream => {
            let Ok(document) = serde_json::from_slice::<Value>(&begin) else { return Err(not_one(&begin)) };
            if let Value::String(words) = &document {
                return Err(broken_off(&Value::from(words.as_str())));
            }
            let usable = document.get("choices").is_some();
            extend(talk, |reply| reply.take_json(&document)).await?;
            talk.reply.close();
            let why = "the model server returned JSON that is not a response of an OpenAI-compatible API";
            if usable { Ok(()) } else { Err(CallFailure::permanent(why)) }
        }
    }
}

/// A document that is not one of JSON: its beginning only, or many of them.
fn not_one(bytes: &[u8]) -> CallFailure {
    let first = bytes.trim_ascii_start().split(|&byte| byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice::<Value>(first) {
        Ok(first) if first.get("error").is_some_and(|error| !error.is_null()) => broken_off(&first),
        Ok(_) => CallFailure::permanent(
            "the model server returned JSON lines, which an OpenAI-compatible API does not do; check base_url",
        ),
        Err(_) => CallFailure::transient("the answer was cut off"),
    }
}

/// The next bytes; none at the end.
async fn chunk(
    connection: &Connection,
    response: &mut Response,
    patience: Duration,
) -> Result<Option<bytes::Bytes>, CallFailure> {
    match timeout(patience, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => {
            Err(CallFailure::transient(format!("the answer was cut off: {}", with_causes(error))))
        }
        Err(_) => Err(silent(connection)),
    }
}

async fn read_stream(
    connection: &Connection,
    dialect: Dialect,
    response: &mut Response,
    begin: Vec<u8>,
    talk: &mut Conversation<'_, '_>,
) -> Result<(), CallFailure> {
    let (mut events, mut bytes) = (Events::default(), begin.len());
    let too_long = |_: TooLong| CallFailure::permanent("the model server sent an event of more than 8 MiB");
    // When the answer had ended, and how much of it there was: some servers tell a reason with every piece.
    let mut finished: Option<(Instant, usize)> = None;
    for event in events.push(&begin).map_err(too_long)? {
        take(talk, &event).await?;
    }
    while !talk.reply.is_done() {
        let mut patience = connection.idle;
        if talk.reply.is_finished() {
            let all = talk.reply.usage.is_some() || !dialect.stream_options;
            let length = talk.reply.content.len();
            let since = match finished {
                Some((since, before)) if before == length => since,
                Some(_) | None => Instant::now(),
            };
            finished = Some((since, length));
            let end = since + if all { AFTER_ALL } else { AFTER_ANSWER };
            patience = patience.min(end.saturating_duration_since(Instant::now()));
            if patience.is_zero() {
                return Ok(());
            }
        }
        let Some(chunk) = chunk(connection, response, patience).await? else {
            if let Some(event) = events.finish().map_err(too_long)? {
                take(talk, &event).await?;
            }
            return Ok(());
        };
        bytes += chunk.len();
        if bytes > MOST_BYTES {
            return Err(CallFailure::permanent("the model server sent more than 1 GiB"));
        }
        for event in events.push(&chunk).map_err(too_long)? {
            take(talk, &event).await?;
        }
    }
    Ok(())
}

async fn take(talk: &mut Conversation<'_, '_>, event: &Event) -> Result<(), CallFailure> {
    if event.is_error {
        let error = serde_json::from_slice(&event.data);
        let words = || Value::from(String::from_utf8_lossy(&event.data).into_owned());
        return Err(broken_off(&error.unwrap_or_else(|_| words())));
    }
    extend(talk, |reply| reply.take(&event.data)).await
}

/// Adds to the answer, and prints what was added.
async fn extend(
    talk: &mut Conversation<'_, '_>,
    add: impl FnOnce(&mut super::reply::Reply) -> Result<usize, CallFailure>,
) -> Result<(), CallFailure> {
    let begin = add(&mut talk.reply)?;
    if begin < talk.reply.content.len() {
        let piece = talk.reply.content[begin..].to_owned();
        talk.print(&piece).await;
    }
    Ok(())
}

pub(super) fn silent(connection: &Connection) -> CallFailure {
    CallFailure::transient(format!("the model server sent nothing for {}", format_duration(connection.idle)))
}

/// An error with its causes, as one line.
pub(super) fn with_causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
