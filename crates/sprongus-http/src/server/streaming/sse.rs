//! Server-sent events: how they are written, and the two streams there are. Both are pulled: nothing is read for a client before it
//! has taken what was read before, and one that takes nothing loses its connection (see [`crate::server::accept::write_timeout`]).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use sprongus_core::run::follow::{MAX_NEWS, ReadSoFar};
use sprongus_core::run::step::NumberedLine;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::run::view::NewsView;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, Result};

use super::feed::{self, PAGE, Subscription, Update};
use crate::server::Shared;
use crate::server::access::auth::Principal;
use crate::server::access::waiting_limit::WaitingPermit;

/// How often a stream without news sends a comment, so that proxies keep it open.
pub const ALIVE: Duration = Duration::from_secs(15);

/// How long a client should wait before it reconnects, in milliseconds.
pub const RETRY_MS: u64 = 1_000;

/// One message.
fn message(out: &mut String, name: &str, id: &str, data: &impl Serialize) {
    match serde_json::to_string(data) {
        // JSON has no line break outside of its strings, and none inside: one line of data is enough.
        Ok(json) => {
            let _ = write!(out, "event: {name}\nid: {id}\ndata: {json}\n\n");
        }
        Err(error) => tracing::error!(?error, "cannot write an event"),
    }
}

/// The first message: the position from which the stream continues, so that a client that loses it before anything has happened misses
/// nothing when it reconnects. It has data, since many clients forget the id of a message without (the specification says to keep
/// it), and a name of its own, so that none takes it for an event.
fn start(position: &str) -> String {
    format!("retry: {RETRY_MS}\nevent: start\nid: {position}\ndata: {{}}\n\n")
}

/// The position after which the client wants to continue; none where it sent no `Last-Event-ID`.
///
/// # Errors
/// `validation` for what is not text.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().map_err(|_| Error::validation("Last-Event-ID is not an id of this stream"))?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// A stream as a response.
pub fn response(
    chunks: impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static,
) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would keep events back until its buffer is full.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

/// 204, which makes a browser stop reconnecting: there will be nothing more.
pub fn nothing_more() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// A position in a run's stream, as an event's id says it: `EVENTS.LINES`.
///
/// # Errors
/// `validation` for anything else.
pub fn run_position(text: &str) -> Result<ReadSoFar> {
    let number = |digits: &str| digits.parse::<u64>().ok().filter(|&n| i64::try_from(n).is_ok());
    let read = text
        .split_once('.')
        .and_then(|(events, lines)| Some(ReadSoFar { events: number(events)?, lines: number(lines)? }));
    read.ok_or_else(|| Error::validation("Last-Event-ID is not an id of this stream"))
}

/// The stream of one run.
pub struct RunStream {
    shared: Arc<Shared>,
    principal: Principal,
    subscription: Subscription,
    id: RunId,
    read: ReadSoFar,
    has_ended: bool,
    is_over: bool,
    _permit: WaitingPermit,
}

impl RunStream {
    /// The stream behind `read`.
    ///
    /// # Errors
    /// `rate_limited` and `unavailable`, at the limits on waiting requests.
    pub fn new(
        shared: Arc<Shared>,
        principal: Principal,
        subscription: Subscription,
        id: RunId,
        read: ReadSoFar,
    ) -> Result<Self> {
        let permit = principal.waiting_permit()?;
        Ok(Self {
            shared,
            principal,
            subscription,
            id,
            read,
            has_ended: false,
            is_over: false,
            _permit: permit,
        })
    }

    /// The stream. It begins with what is there, and ends with the run.
    pub fn chunks(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
        let greeting = Some(start(&position_id(self.read)));
        unfold((self, greeting), |(mut stream, greeting)| async move {
            if let Some(greeting) = greeting {
                return Some((Ok(Bytes::from(greeting)), (stream, None)));
            }
            let chunk = stream.next().await?;
            Some((Ok(Bytes::from(chunk)), (stream, None)))
        })
    }

    async fn next(&mut self) -> Option<String> {
        if self.is_over || *self.shared.stopping.borrow() {
            return None;
        }
        // Of a run that has ended only what is there already is read.
        let wait = if self.has_ended { Duration::ZERO } else { ALIVE };
        let following =
            feed::follow(&self.shared, &self.principal, &mut self.subscription, self.id, self.read, wait);
        let news = match following.await {
            Ok(news) => news,
            Err(error) => {
                // The client reconnects, and gets the error then.
                tracing::debug!(?error, "a stream ended");
                return None;
            }
        };
        if !is_still_allowed(&self.shared, &self.principal).await {
            return None;
        }
        let mut out = String::new();
        write_news(&mut out, &mut self.read, &news);
        self.has_ended = news.run.state.is_final();
        let more = news.events.len() >= MAX_NEWS as usize || news.lines.len() >= MAX_NEWS as usize;
        if self.has_ended && !more {
            self.is_over = true;
            message(&mut out, "end", &position_id(self.read), &news.run);
        } else if out.is_empty() {
            out.push_str(": alive\n\n");
        }
        Some(out)
    }
}

fn position_id(read: ReadSoFar) -> String {
    format!("{}.{}", read.events, read.lines)
}

/// Events and lines in the order of their times; each id says how far one has read of both.
fn write_news(out: &mut String, read: &mut ReadSoFar, news: &NewsView) {
    let mut lines = news.lines.iter().peekable();
    let line = |out: &mut String, read: &mut ReadSoFar, line: &NumberedLine| {
        read.lines = line.seq;
        message(out, "log", &position_id(*read), line);
    };
    for event in &news.events {
        while let Some(earlier) = lines.next_if(|line| line.line.at < event.at) {
            line(out, read, earlier);
        }
        read.events = event.seq;
        message(out, "event", &position_id(*read), event);
    }
    for later in lines {
        line(out, read, later);
    }
}

/// The stream of a workspace.
pub struct WorkspaceStream {
    shared: Arc<Shared>,
    principal: Principal,
    subscription: Subscription,
    position: StreamPosition,
    /// Whether the subscription lacks events, so that they have to be read.
    is_behind: bool,
    _permit: WaitingPermit,
}

impl WorkspaceStream {
    /// The stream behind `position`.
    ///
    /// # Errors
    /// `rate_limited` and `unavailable`, at the limits on waiting requests.
    pub fn new(
        shared: Arc<Shared>,
        principal: Principal,
        subscription: Subscription,
        position: StreamPosition,
    ) -> Result<Self> {
        let permit = principal.waiting_permit()?;
        Ok(Self { shared, principal, subscription, position, is_behind: true, _permit: permit })
    }

    /// The stream. It begins behind the position, and ends with the server.
    pub fn chunks(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send + 'static {
        let greeting = Some(start(&self.position.to_string()));
        unfold((self, greeting), |(mut stream, greeting)| async move {
            if let Some(greeting) = greeting {
                return Some((Ok(Bytes::from(greeting)), (stream, None)));
            }
            let chunk = stream.next().await?;
            Some((Ok(Bytes::from(chunk)), (stream, None)))
        })
    }

    async fn next(&mut self) -> Option<String> {
        let mut stopping = self.shared.stopping.clone();
        loop {
            if *stopping.borrow() {
                return None;
            }
            if self.is_behind {
                let page = match self.read().await {
                    Ok(page) => page,
                    Err(error) => {
                        tracing::debug!(?error, "a stream ended");
                        return None;
                    }
                };
                self.is_behind = !page.is_empty();
                if let Some(out) = self.write(&page) {
                    return Some(out);
                }
            }
            let update = tokio::select! {
                update = self.subscription.next() => Some(update),
                () = tokio::time::sleep(ALIVE) => None,
                _ = stopping.wait_for(|is_stopping| *is_stopping) => return None,
            };
            if !is_still_allowed(&self.shared, &self.principal).await {
                return None;
            }
            match update {
                None => return Some(": alive\n\n".to_owned()),
                Some(Update::Lagged) => self.is_behind = true,
                // Which of them a token restricted to projects may see, only the store can say.
                Some(Update::Events(_)) if self.principal.caller.projects.is_some() => self.is_behind = true,
                Some(Update::Events(batch)) => {
                    if let Some(out) = self.write(&batch) {
                        return Some(out);
                    }
                }
            }
        }
    }

    /// Reads the next page. Where nothing in it is this caller's, the position moves to the end: what lies before it is others'.
    async fn read(&mut self) -> Result<Vec<Streamed>> {
        let (store, caller) = (self.shared.service.store(), &self.principal.caller);
        let end = store.stream_end(caller).await?;
        let page = store.stream(caller, self.position, PAGE).await?;
        if page.is_empty() {
            self.position = end.max(self.position);
        }
        Ok(page)
    }

    /// What lies behind the position; nothing if nothing does.
    fn write(&mut self, batch: &[Streamed]) -> Option<String> {
        let mut out = String::new();
        for Streamed { position, event } in batch {
            if *position > self.position {
                self.position = *position;
                message(&mut out, "event", &position.to_string(), event);
            }
        }
        (!out.is_empty()).then_some(out)
    }
}

/// Whether the token is still good: a stream outlives many a token.
pub async fn is_still_allowed(shared: &Shared, principal: &Principal) -> bool {
    match shared.tokens.live(&principal.credential).await {
        Ok(_) => true,
        // A database that cannot be asked takes nobody's rights away.
        Err(error) => error.retryable(),
    }
}
