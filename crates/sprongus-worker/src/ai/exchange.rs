//! One request and its response.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use tokio::time::timeout;

use super::connection::Connection;
use super::events::{Events, TooLong};
use super::heard::Ending;
use super::{Conversation, refusal};
use crate::duration::format_duration;

/// The most bytes of one response, whatever they say.
const MOST_BYTES: usize = 1 << 30;

/// Why a response is of no use.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another try may do better, after the time that the server asked for.
    Passing { why: String, wait: Option<Duration> },
    /// Another try would meet the same end.
    Lasting(String),
}

impl Trouble {
    pub(super) fn passing(why: impl Into<String>) -> Self {
        Self::Passing { why: why.into(), wait: None }
    }
}

/// Asks once, and hears the answer to its end.
pub(super) async fn exchange(
    connection: &Connection,
    body: String,
    talk: &mut Conversation<'_, '_>,
) -> Result<Ending, Trouble> {
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
            return Err(Trouble::passing(format!("the model server cannot be reached: {}", told(error))));
        }
        Err(_) => return Err(silent(connection)),
    };
    if !response.status().is_success() {
        return Err(refusal::read(connection, response, talk.log.masks()).await);
    }
    match hear(connection, &mut response, talk).await {
        // What comes after the end of an answer, or not, does not take from it.
        Err(Trouble::Passing { why, wait }) => talk.heard.ending().ok_or(Trouble::Passing { why, wait }),
        Err(lasting @ Trouble::Lasting(_)) => Err(lasting),
        Ok(()) => talk.heard.ending().ok_or_else(|| {
            Trouble::passing(match talk.heard.content.is_empty() {
                true => "the model server answered without an answer",
                false => "the answer broke off",
            })
        }),
    }
}

async fn hear(
    connection: &Connection,
    response: &mut reqwest::Response,
    talk: &mut Conversation<'_, '_>,
) -> Result<(), Trouble> {
    let (mut events, mut bytes) = (Events::default(), 0);
    let too_long = |_: TooLong| Trouble::passing("the model server sent an event of more than 64 KiB");
    while !talk.heard.is_done() {
        let chunk = match timeout(connection.idle, response.chunk()).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(Trouble::passing(format!("the answer broke off: {}", told(error)))),
            Err(_) => return Err(silent(connection)),
        };
        let Some(chunk) = chunk else {
            if let Some(event) = events.finish().map_err(too_long)? {
                take(talk, &event).await?;
            }
            return Ok(());
        };
        bytes += chunk.len();
        if bytes > MOST_BYTES {
            return Err(Trouble::Lasting("the model server sent more than 1 GiB".to_owned()));
        }
        for event in events.push(&chunk).map_err(too_long)? {
            take(talk, &event).await?;
        }
    }
    Ok(())
}

async fn take(talk: &mut Conversation<'_, '_>, event: &[u8]) -> Result<(), Trouble> {
    let begin = talk.heard.take(event)?;
    if begin < talk.heard.content.len() {
        let piece = talk.heard.content[begin..].to_owned();
        talk.print(&piece).await;
    }
    Ok(())
}

pub(super) fn silent(connection: &Connection) -> Trouble {
    Trouble::passing(format!("the model server was silent for {}", format_duration(connection.idle)))
}

/// An error with its causes, as one line.
pub(super) fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
