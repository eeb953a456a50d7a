//! Files on their way to a server and from it: as their bytes come, for as long as these move.
//!
//! An upload is never repeated here, for its bytes are there once. To repeat it is safe, and the caller's to do: the same name is
//! the same artifact. A download is repeated until its first byte is there.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, RANGE};
use reqwest::{Body, Response, StatusCode};
use sprongus_core::rules::artifact::check_content_type;
use sprongus_core::run::Hold;
use sprongus_core::run::artifact::{Artifact, ArtifactName, ByteRange, ByteStream, Download};
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result};
use tokio::time::{Instant, sleep_until};

use super::address::IN_A_PATH;
use super::call::{Call, Reply};
use super::limits::TRANSFER_IDLE;
use super::{RunsClient, failure};
use crate::pause::Pause;
use crate::wire::run::artifact::ArtifactBody;
use crate::wire::{CREATED_AT_HEADER, LEASE_TOKEN_HEADER, WORKDIR_POINTER};

/// What needs no escape in a path of several segments.
const IN_PATHS: &AsciiSet = &IN_A_PATH.remove(b'/');

fn path(id: RunId, name: &ArtifactName) -> String {
    format!("/v1/runs/{id}/artifacts/{}", utf8_percent_encode(name.as_str(), IN_PATHS))
}

fn held(call: Call, hold: &Hold) -> Call {
    let call = call.with("workerId", &hold.worker_id).with("epoch", hold.epoch);
    call.saying_in(HeaderName::from_static(LEASE_TOKEN_HEADER), hold.token.expose())
}

/// Keeps a file of a run.
pub async fn put_artifact(
    client: &RunsClient,
    hold: &Hold,
    name: &ArtifactName,
    content_type: &str,
    body: ByteStream,
) -> Result<Artifact> {
    // What cannot be a header's value is refused in the words of the rule.
    check_content_type(content_type)?;
    let call = held(Call::put_stream(path(hold.id, name)), hold);
    Ok(upload(client, &call, content_type, body).await?.read::<ArtifactBody>()?.into())
}

/// Keeps a run's work directory.
pub async fn keep_workdir(client: &RunsClient, hold: &Hold, body: ByteStream) -> Result<()> {
    let call = held(Call::put_stream(format!("/v1/runs/{}/workdir", hold.id)), hold);
    upload(client, &call, "application/octet-stream", body).await?.is_of_a_server()
}

/// Reads a file of a run, or a part of it.
pub async fn artifact(
    client: &RunsClient,
    id: RunId,
    name: &ArtifactName,
    range: Option<ByteRange>,
) -> Result<Download> {
    let call = Call::get(path(id, name));
    let call = match range {
        Some(range) => call.saying_in(RANGE, spelt(range)),
        None => call,
    };
    let response = client.open(&call).await?;
    let described = described(id, name, response.status(), response.headers());
    let (artifact, range) =
        described.ok_or_else(|| failure::no_server(client.host(), "it did not respond with a file"))?;
    let body = arriving(client, response, Some(range.end - range.start));
    Ok(Download { artifact, range, body })
}

/// The work directory that was kept, if one was.
pub async fn workdir(client: &RunsClient, hold: &Hold) -> Result<Option<ByteStream>> {
    match client.open(&held(Call::get(format!("/v1/runs/{}/workdir", hold.id)), hold)).await {
        Ok(response) => Ok(Some(arriving(client, response, None))),
        Err(error) => {
            let is_none = error.code() == ErrorCode::NotFound
                && error.fields().iter().any(|field| field.pointer == WORKDIR_POINTER);
            if is_none { Ok(None) } else { Err(error) }
        }
    }
}

/// Lets go of the kept work directory.
pub async fn drop_workdir(client: &RunsClient, hold: &Hold) -> Result<()> {
    client.tell(held(Call::delete(format!("/v1/runs/{}/workdir", hold.id)), hold)).await
}

/// A range as a header says it.
fn spelt(range: ByteRange) -> String {
    match range {
        // One that runs backwards is none to HTTP, and would be answered with the whole.
        ByteRange::From(first, Some(last)) if last < first => "bytes=-0".to_owned(),
        ByteRange::From(first, Some(last)) => format!("bytes={first}-{last}"),
        ByteRange::From(first, None) => format!("bytes={first}-"),
        ByteRange::Last(bytes) => format!("bytes=-{bytes}"),
    }
}

/// The artifact as the head of a response describes it, and which of its bytes follow.
fn described(
    run_id: RunId,
    name: &ArtifactName,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<(Artifact, std::ops::Range<u64>)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let length: u64 = text(CONTENT_LENGTH.as_str())?.parse().ok()?;
    let (size, start): (u64, u64) = if status == StatusCode::PARTIAL_CONTENT {
        let (span, size) = text(CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?.split_once('/')?;
        (size.parse().ok()?, span.split_once('-')?.0.parse().ok()?)
    } else {
        (length, 0)
    };
    let end = start.checked_add(length).filter(|end| *end <= size)?;
    let sha256 = text(ETAG.as_str())?.strip_prefix('"')?.strip_suffix('"')?.to_owned();
    let content_type = text(CONTENT_TYPE.as_str())?.to_owned();
    let created_at = text(CREATED_AT_HEADER)?.parse().ok()?;
    let artifact = Artifact { run_id, name: name.clone(), size, sha256, content_type, created_at };
    Some((artifact, start..end))
}

/// What both ends of an upload know of it.
struct Passage {
    moved: Instant,
    /// What ended the bytes at their source.
    broken: Option<io::Error>,
    /// Nobody wants the rest: the answer is there.
    is_over: bool,
}

/// Sends bytes as they come, until there is an answer.
async fn upload(client: &RunsClient, call: &Call, content_type: &str, body: ByteStream) -> Result<Reply> {
    let passage = Arc::new(Mutex::new(Passage { moved: Instant::now(), broken: None, is_over: false }));
    let leaving = Leaving { body, passage: Arc::clone(&passage) };
    let request = client.request(&client.inner.transfers, call)?;
    let request = request.header(CONTENT_TYPE, content_type).body(Body::wrap_stream(leaving));
    let answering = async {
        let response = request.send().await.map_err(|error| failure::of_connection(client.host(), error))?;
        client.answered(response).await
    };
    let answered = tokio::select! {
        answered = answering => answered,
        () = stalled(&passage) => Err(failure::too_late(client.host(), TRANSFER_IDLE)),
    };
    let mut passage = locked(&passage);
    passage.is_over = true;
    match (answered, passage.broken.take()) {
        (Ok(reply), _) => Ok(reply),
        (Err(_), Some(broken)) => {
            Err(Error::new(ErrorCode::Unavailable, "the file was cut off").with_source(broken))
        }
        (Err(failure), None) => Err(failure.error),
    }
}

fn locked(passage: &Mutex<Passage>) -> std::sync::MutexGuard<'_, Passage> {
    passage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until nothing has moved for too long.
async fn stalled(passage: &Mutex<Passage>) {
    loop {
        let end = locked(passage).moved + TRANSFER_IDLE;
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}

/// Bytes on their way to the server.
struct Leaving {
    body: ByteStream,
    passage: Arc<Mutex<Passage>>,
}

impl Stream for Leaving {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if locked(&self.passage).is_over {
            return Poll::Ready(Some(Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the rest is not needed",
            ))));
        }
        let next = ready!(self.body.as_mut().poll_next(context));
        let mut passage = locked(&self.passage);
        passage.moved = Instant::now();
        if let Some(Err(broken)) = next {
            passage.broken = Some(broken);
            // The connection ends with it, so that the server keeps nothing.
            let interrupted = io::Error::new(io::ErrorKind::BrokenPipe, "the source was interrupted");
            return Poll::Ready(Some(Err(interrupted)));
        }
        Poll::Ready(next)
    }
}

fn arriving(client: &RunsClient, response: Response, left: Option<u64>) -> ByteStream {
    let body = Box::pin(response.bytes_stream());
    Box::pin(Arriving {
        body,
        left,
        pause: Pause::new(TRANSFER_IDLE),
        host: client.host().to_owned(),
        is_over: false,
    })
}

/// Bytes on their way from the server.
struct Arriving<S> {
    body: S,
    /// How many are still to come, if the length is known.
    left: Option<u64>,
    pause: Pause,
    host: String,
    is_over: bool,
}

impl<S> Arriving<S> {
    fn fail(&mut self, kind: io::ErrorKind) -> Poll<Option<io::Result<Bytes>>> {
        self.is_over = true;
        let message = if kind == io::ErrorKind::TimedOut {
            format!("no data from {} for {} s", self.host, self.pause.longest().as_secs())
        } else {
            format!("the connection to {} was lost before the end of the file", self.host)
        };
        Poll::Ready(Some(Err(io::Error::new(kind, message))))
    }
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Stream for Arriving<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = self.body.poll_next_unpin(context) else {
            ready!(self.pause.poll_over(context));
            return self.fail(io::ErrorKind::TimedOut);
        };
        self.pause.end();
        match next {
            Some(Ok(bytes)) => {
                self.left = self.left.map(|left| left.saturating_sub(bytes.len() as u64));
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(_)) => self.fail(io::ErrorKind::ConnectionAborted),
            None if self.left.is_some_and(|left| left > 0) => self.fail(io::ErrorKind::UnexpectedEof),
            None => {
                self.is_over = true;
                Poll::Ready(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
