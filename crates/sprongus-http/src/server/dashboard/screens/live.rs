//! Pages kept fresh: when something has happened, a page's fragments are rendered again, and those that have changed are sent.
//!
//! Nothing is rendered while nothing happens, nor for one who has not taken what was sent before; and at most once a second for each.
//! What stands in no event (workers that come and go, lines that are due meanwhile) is read every few seconds.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use serde_json::json;
use sprongus_core::Result;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::workspace::token::Scope;
use tokio::time::Instant;

use super::runs::query::RunsQuery;
use super::schedules::SchedulesQuery;
use super::{audit, kinds, overview, run, runs, schedule, schedules, workers};
use crate::server::Shared;
use crate::server::access::waiting_limit::WaitingPermit;
use crate::server::dashboard::fragment::Fragment;
use crate::server::dashboard::page::{PageResult, RunAt, ScheduleAt, timely};
use crate::server::dashboard::parts::events::Selection;
use crate::server::dashboard::parts::log_lines;
use crate::server::dashboard::session::{SIGNED_OUT, Viewer};
use crate::server::request::query::Query;
use crate::server::streaming::feed::{self, Subscription};
use crate::server::streaming::sse::{self, ALIVE, RETRY_MS, is_still_allowed};

/// The shortest time between two renderings of the same page.
const PACE: Duration = Duration::from_secs(1);

/// The longest: for what stands in no event.
const ANYWAY: Duration = Duration::from_secs(5);

/// What is kept fresh.
enum Screen {
    Overview,
    Runs(Box<RunsQuery>),
    Kinds,
    Schedules(SchedulesQuery),
    Schedule(ScheduleId),
    Workers,
    Audit(Box<audit::AuditQuery>),
}

/// `/live/overview`.
pub async fn overview(viewer: Viewer) -> PageResult {
    begin(viewer, Screen::Overview).await
}

/// `/live/runs`, with the filters of the list.
pub async fn runs(viewer: Viewer, uri: Uri) -> PageResult {
    let now = timely(viewer.shared.service.store().now()).await?;
    let wanted = RunsQuery::read(&uri, now)?;
    begin(viewer, Screen::Runs(Box::new(wanted))).await
}

/// `/live/kinds`.
pub async fn kinds(viewer: Viewer) -> PageResult {
    begin(viewer, Screen::Kinds).await
}

/// `/live/schedules`, a page of the list.
pub async fn schedules(viewer: Viewer, uri: Uri) -> PageResult {
    let wanted = SchedulesQuery::read(&uri)?;
    begin(viewer, Screen::Schedules(wanted)).await
}

/// `/live/schedules/{id}`.
pub async fn schedule(viewer: Viewer, ScheduleAt(id): ScheduleAt) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    timely(viewer.principal.schedules().get(&id)).await?;
    begin(viewer, Screen::Schedule(id)).await
}

/// `/live/workers`.
pub async fn workers(viewer: Viewer) -> PageResult {
    begin(viewer, Screen::Workers).await
}

/// `/live/audit`: the newest events, with the filters of the audit.
pub async fn audit(viewer: Viewer, uri: Uri) -> PageResult {
    let wanted = audit::AuditQuery::read(&uri)?;
    begin(viewer, Screen::Audit(Box::new(wanted))).await
}

/// A permit to keep one more page fresh.
fn permit(viewer: &Viewer) -> Result<WaitingPermit> {
    let permit = viewer.shared.dashboard.live_limit.acquire(viewer.principal.token.id);
    permit.map_err(|error| error.with_hint("reload the page to see changes"))
}

/// The events of the viewer's workspace from now on.
///
/// # Errors
/// `unavailable` when the database cannot be asked.
async fn subscribe(viewer: &Viewer) -> Result<Subscription> {
    timely(async { Ok(viewer.shared.feed.subscribe(&viewer.principal.caller.workspace).await) }).await
}

/// One message.
fn message(out: &mut String, name: &str, data: &serde_json::Value) {
    let _ = write!(out, "event: {name}\ndata: {data}\n\n");
}

/// Fragments as they were sent last.
#[derive(Default)]
struct Sent(HashMap<&'static str, String>);

impl Sent {
    /// Writes those that have changed.
    fn write(&mut self, out: &mut String, fragments: Vec<Fragment>) {
        for Fragment { id, html, mark } in fragments {
            if self.0.get(id) != Some(&mark) {
                message(out, "fragment", &json!({"id": id, "mark": mark, "html": html.as_str()}));
                self.0.insert(id, mark);
            }
        }
    }
}

/// Waits for news, `longest` at most, and then until the page may be rendered again. None when the server stops.
async fn wait(
    shared: &Shared,
    subscription: &mut Subscription,
    last: Instant,
    longest: Duration,
) -> Option<()> {
    let mut stopping = shared.stopping.clone();
    let due = async {
        let _ = tokio::time::timeout_at(last + longest, subscription.next()).await;
        tokio::time::sleep_until(last + PACE).await;
    };
    tokio::select! {
        () = due => Some(()),
        _ = stopping.wait_for(|is_stopping| *is_stopping) => None,
    }
}

/// A page of several runs, open in a browser.
struct Page {
    viewer: Viewer,
    screen: Screen,
    subscription: Subscription,
    sent: Sent,
    last: Option<Instant>,
    is_over: bool,
    _permit: WaitingPermit,
}

async fn begin(viewer: Viewer, screen: Screen) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let permit = permit(&viewer)?;
    let subscription = subscribe(&viewer).await?;
    let page = Page {
        viewer,
        screen,
        subscription,
        sent: Sent::default(),
        last: None,
        is_over: false,
        _permit: permit,
    };
    Ok(sse::response(chunks(page)))
}

/// A page that is kept fresh.
trait Live: Send + 'static {
    /// The next chunk of the stream, when there is something to send; none ends it.
    fn next(&mut self) -> impl Future<Output = Option<String>> + Send;
}

/// The stream that keeps a page fresh.
fn chunks(page: impl Live) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let greeting = Some(format!("retry: {RETRY_MS}\n\n"));
    unfold((page, greeting), |(mut page, greeting)| async move {
        let chunk = match greeting {
            Some(greeting) => greeting,
            None => page.next().await?,
        };
        Some((Ok(Bytes::from(chunk)), (page, None)))
    })
}

impl Live for Page {
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let began = Instant::now();
        loop {
            if let Some(last) = self.last {
                wait(&self.viewer.shared, &mut self.subscription, last, ANYWAY).await?;
            }
            if !is_still_allowed(&self.viewer.shared, &self.viewer.principal).await {
                self.is_over = true;
                return Some(SIGNED_OUT.to_owned());
            }
            self.last = Some(Instant::now());
            self.subscription.skip_pending();
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
        match &self.screen {
            Screen::Overview => overview::fragments(&self.viewer).await,
            Screen::Runs(wanted) => runs::fragments(&self.viewer, wanted).await,
            Screen::Kinds => kinds::fragments(&self.viewer).await,
            Screen::Schedules(wanted) => schedules::fragments(&self.viewer, wanted).await,
            Screen::Schedule(id) => schedule::fragments(&self.viewer, id).await,
            Screen::Workers => workers::fragments(&self.viewer).await,
            Screen::Audit(wanted) => audit::fragments(&self.viewer, wanted).await,
        }
    }
}

/// A run's page, open in a browser.
struct RunPage {
    viewer: Viewer,
    id: RunId,
    what: Selection,
    read: ReadSoFar,
    subscription: Subscription,
    sent: Sent,
    last: Option<Instant>,
    is_over: bool,
    _permit: WaitingPermit,
}

/// `/live/runs/{id}`: a run's fragments, and its log as it grows.
pub async fn run(viewer: Viewer, RunAt(id): RunAt, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    // The last line that the page has.
    let mut query = Query::read(&uri, &["after", "what"])?;
    let lines = query.number("after").unwrap_or(0);
    let what = query.one("what").unwrap_or_default();
    query.end()?;
    let permit = permit(&viewer)?;
    let subscription = subscribe(&viewer).await?;
    let read = ReadSoFar { events: timely(run::newest_event(&viewer, id)).await?, lines };
    let page = RunPage {
        viewer,
        id,
        what,
        read,
        subscription,
        sent: Sent::default(),
        last: None,
        is_over: false,
        _permit: permit,
    };
    Ok(sse::response(chunks(page)))
}

impl Live for RunPage {
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
        let following = feed::follow(
            &shared,
            &self.viewer.principal,
            &mut self.subscription,
            self.id,
            self.read,
            longest,
        );
        let news = match following.await {
            Ok(news) => news,
            Err(error) => {
                // The browser comes back, and is told why then.
                tracing::debug!(?error, "a page disconnected");
                return None;
            }
        };
        if !is_still_allowed(&shared, &self.viewer.principal).await {
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
            match log_lines::lines(news.lines) {
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

#[cfg(test)]
mod tests {
    use sprongus_conformance::fixture::of_kind;
    use sprongus_conformance::{Model, TurnedClock};
    use sprongus_core::values::names::WorkspaceId;
    use sprongus_core::{Caller, RunsExt, RunsService};

    use super::*;
    use crate::server::{Options, Server};

    /// Timers are exact to the millisecond.
    const EXACT: Duration = Duration::from_millis(2);

    #[tokio::test(start_paused = true)]
    async fn an_event_is_shown_at_once_but_once_a_second_and_anything_else_every_five_seconds() {
        let store = Arc::new(Model::new(Arc::new(TurnedClock::new())));
        let server = Server::new(RunsService::new(store), Options::default());
        let shared = &server.shared;
        let runs = shared.service.for_caller(Caller::new(WorkspaceId::local(), "tester"));
        let mut subscription = shared.feed.subscribe(&WorkspaceId::local()).await;

        let last = Instant::now();
        wait(shared, &mut subscription, last, ANYWAY).await.unwrap();
        assert!((ANYWAY..ANYWAY + EXACT).contains(&last.elapsed()), "{:?}", last.elapsed());

        let last = Instant::now();
        runs.enqueue_one(of_kind("work")).await.unwrap();
        wait(shared, &mut subscription, last, ANYWAY).await.unwrap();
        assert!((PACE..PACE + EXACT).contains(&last.elapsed()), "{:?}", last.elapsed());

        let last = Instant::now();
        tokio::time::sleep(2 * PACE).await;
        subscription.skip_pending();
        let enqueued = Instant::now();
        runs.enqueue_one(of_kind("work")).await.unwrap();
        wait(shared, &mut subscription, last, ANYWAY).await.unwrap();
        assert!(enqueued.elapsed() < PACE / 2, "{:?}", enqueued.elapsed());
    }
}
