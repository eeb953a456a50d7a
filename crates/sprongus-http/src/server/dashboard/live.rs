//! Pages kept fresh: when something has happened, a page's fragments are rendered again, and those that read otherwise are sent.
//!
//! Nothing is rendered while nothing happens, nor for one who has not taken what was sent before; and at most once a second for each.
//! What stands in no event (workers that come and go, lines that are due meanwhile) is looked at every few seconds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{Stream, once, unfold};
use serde_json::json;
use sprongus_core::Result;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::token::Scope;
use tokio::time::Instant;

use super::history::What;
use super::runs::Wanted;
use super::screen::{Fragment, Shown, timely};
use super::session::{RunAt, Viewer};
use super::{audit, kinds, log, overview, run, runs, workers};
use crate::server::Shared;
use crate::server::feed::{self, Watch};
use crate::server::places::Place;
use crate::server::query::Query;
use crate::server::sse::{self, ALIVE, RETRY_MS, is_still_allowed};

/// The shortest time between two looks for the same page.
const PACE: Duration = Duration::from_secs(1);

/// The longest: what stands in no event.
const ANYWAY: Duration = Duration::from_secs(5);

/// What a browser is told whose session is over.
const SIGNED_OUT: &str = "event: signed-out\ndata: {}\n\n";

/// Which page.
enum Looked {
    Overview,
    Runs(Box<Wanted>),
    Kinds,
    Workers,
    Audit(Box<audit::Wanted>),
}

/// The overview.
pub async fn overview(viewer: Viewer) -> Shown {
    begin(viewer, Looked::Overview).await
}

/// A list.
pub async fn runs(viewer: Viewer, uri: Uri) -> Shown {
    let now = timely(viewer.shared.service.store().now()).await?;
    let wanted = Wanted::read(&uri, now)?;
    begin(viewer, Looked::Runs(Box::new(wanted))).await
}

/// The kinds.
pub async fn kinds(viewer: Viewer) -> Shown {
    begin(viewer, Looked::Kinds).await
}

/// The workers.
pub async fn workers(viewer: Viewer) -> Shown {
    begin(viewer, Looked::Workers).await
}

/// The newest of what happened.
pub async fn audit(viewer: Viewer, uri: Uri) -> Shown {
    let wanted = audit::Wanted::read(&uri)?;
    begin(viewer, Looked::Audit(Box::new(wanted))).await
}

/// The stream of one who is not signed in: to come back would be no use.
pub fn signed_out() -> Response {
    sse::response(once(async { Ok(Bytes::from_static(SIGNED_OUT.as_bytes())) }))
}

/// A place among those whose pages are kept fresh.
fn place(viewer: &Viewer) -> Result<Place> {
    let place = viewer.shared.dashboard.places.take(viewer.asker.token.id);
    place.map_err(|error| error.with_hint("reload the page to see changes"))
}

/// Word of what happens in the viewer's workspace; a database that cannot be asked has none.
async fn watch(viewer: &Viewer) -> Result<Watch> {
    timely(async { Ok(viewer.shared.feed.watch(&viewer.asker.caller.workspace).await) }).await
}

/// One message.
fn message(out: &mut String, name: &str, data: &serde_json::Value) {
    let _ = write!(out, "event: {name}\ndata: {data}\n\n");
}

/// Fragments as they were sent last.
#[derive(Default)]
struct Sent(HashMap<&'static str, String>);

impl Sent {
    /// Writes those that read otherwise than before.
    fn write(&mut self, out: &mut String, fragments: Vec<Fragment>) {
        for Fragment { id, html, mark } in fragments {
            if self.0.get(id) != Some(&mark) {
                message(out, "fragment", &json!({"id": id, "mark": mark, "html": html.as_str()}));
                self.0.insert(id, mark);
            }
        }
    }
}

/// Waits until the next look may be, then until there is something to see, or it is time anyway. None when the server stops.
async fn wait(shared: &Shared, watch: &mut Watch, last: Instant, longest: Duration) -> Option<()> {
    let mut stopping = shared.stopping.clone();
    let told = async {
        let _ = tokio::time::timeout_at(last + longest, watch.told()).await;
        tokio::time::sleep_until(last + PACE).await;
    };
    tokio::select! {
        () = told => Some(()),
        _ = stopping.wait_for(|is_stopping| *is_stopping) => None,
    }
}

/// Somebody who looks at a page.
struct Page {
    viewer: Viewer,
    looked: Looked,
    watch: Watch,
    sent: Sent,
    last: Option<Instant>,
    is_over: bool,
    _place: Place,
}

async fn begin(viewer: Viewer, looked: Looked) -> Shown {
    viewer.asker.require(Scope::Read)?;
    let place = place(&viewer)?;
    let watch = watch(&viewer).await?;
    let page =
        Page { viewer, looked, watch, sent: Sent::default(), last: None, is_over: false, _place: place };
    Ok(sse::response(chunks(page)))
}

/// Somebody who looks.
trait Looking: Send + 'static {
    /// What to send next, when there is something; nothing ends it.
    fn next(&mut self) -> impl Future<Output = Option<String>> + Send;
}

/// A stream of what somebody who looks is sent.
fn chunks(looking: impl Looking) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let greeting = Some(format!("retry: {RETRY_MS}\n\n"));
    unfold((looking, greeting), |(mut looking, greeting)| async move {
        let chunk = match greeting {
            Some(greeting) => greeting,
            None => looking.next().await?,
        };
        Some((Ok(Bytes::from(chunk)), (looking, None)))
    })
}

impl Looking for Page {
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let began = Instant::now();
        loop {
            if let Some(last) = self.last {
                wait(&self.viewer.shared, &mut self.watch, last, ANYWAY).await?;
            }
            if !is_still_allowed(&self.viewer.shared, &self.viewer.asker).await {
                self.is_over = true;
                return Some(SIGNED_OUT.to_owned());
            }
            self.last = Some(Instant::now());
            self.watch.let_go();
            let mut out = String::new();
            match self.fragments().await {
                Ok(fragments) => self.sent.write(&mut out, fragments),
                Err(error) if error.retryable() => tracing::debug!(?error, "cannot update a page"),
                Err(error) => {
                    tracing::debug!(?error, "a page disconnected");
                    return None;
                }
            }
            if out.is_empty() && began.elapsed() >= ALIVE {
                out.push_str(": alive\n\n");
            }
            if !out.is_empty() {
                return Some(out);
            }
        }
    }
}

impl Page {
    async fn fragments(&self) -> Result<Vec<Fragment>> {
        match &self.looked {
            Looked::Overview => overview::fragments(&self.viewer).await,
            Looked::Runs(wanted) => runs::fragments(&self.viewer, wanted).await,
            Looked::Kinds => kinds::fragments(&self.viewer).await,
            Looked::Workers => workers::fragments(&self.viewer).await,
            Looked::Audit(wanted) => audit::fragments(&self.viewer, wanted).await,
        }
    }
}

/// Somebody who looks at one run.
struct RunPage {
    viewer: Viewer,
    id: RunId,
    what: What,
    read: ReadSoFar,
    watch: Watch,
    sent: Sent,
    last: Option<Instant>,
    is_over: bool,
    _place: Place,
}

/// A run: its parts, and its log as it grows.
pub async fn run(viewer: Viewer, RunAt(id): RunAt, uri: Uri) -> Shown {
    viewer.asker.require(Scope::Read)?;
    // The last line that the page has.
    let mut query = Query::read(&uri, &["after", "what"])?;
    let lines = query.number("after").unwrap_or(0);
    let what = query.one("what").unwrap_or_default();
    query.end()?;
    let place = place(&viewer)?;
    let watch = watch(&viewer).await?;
    let run = timely(viewer.asker.runs().get(id)).await?;
    let read = ReadSoFar { events: run.last_seq, lines };
    let page = RunPage {
        viewer,
        id,
        what,
        read,
        watch,
        sent: Sent::default(),
        last: None,
        is_over: false,
        _place: place,
    };
    Ok(sse::response(chunks(page)))
}

impl Looking for RunPage {
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + PACE).await;
        }
        let shared = Arc::clone(&self.viewer.shared);
        if *shared.stopping.borrow() {
            return None;
        }
        let longest = if self.last.is_none() { Duration::ZERO } else { ANYWAY };
        let following =
            feed::follow(&shared, &self.viewer.asker, &mut self.watch, self.id, self.read, longest);
        let news = match following.await {
            Ok(news) => news,
            Err(error) => {
                // The browser comes back, and is told why then.
                tracing::debug!(?error, "a page disconnected");
                return None;
            }
        };
        if !is_still_allowed(&shared, &self.viewer.asker).await {
            self.is_over = true;
            return Some(SIGNED_OUT.to_owned());
        }
        self.last = Some(Instant::now());
        self.read = news.read;
        let mut out = String::new();
        match run::fragments(&self.viewer, &news.run, self.what).await {
            Ok(fragments) => self.sent.write(&mut out, fragments),
            Err(error) => tracing::debug!(?error, "cannot update a page"),
        }
        if !news.lines.is_empty() {
            let last = news.read.lines;
            match log::lines(news.lines) {
                Ok(html) => message(&mut out, "log", &json!({"last": last, "html": html.as_str()})),
                Err(error) => tracing::error!(?error, "cannot render log lines"),
            }
        }
        if out.is_empty() {
            out.push_str(": alive\n\n");
        }
        Some(out)
    }
}
