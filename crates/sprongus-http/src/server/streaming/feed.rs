//! Events for those who follow, read once for all of them.
//!
//! While anybody follows something in a workspace, one task reads the workspace's stream and hands every event on. So a thousand
//! followers of idle runs cost nothing, and what another server wrote arrives as well. A subscriber that falls behind reads the stream
//! itself, from its own position: nothing is buffered without end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::state::State;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::run::view::NewsView;
use sprongus_core::store::Store;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Result};
use tokio::sync::{broadcast, watch};

use crate::server::Shared;
use crate::server::access::auth::Principal;

/// The most events in one read of the stream.
pub const PAGE: u32 = 500;

/// Pages that are buffered for a subscriber before it has to read for itself.
const BUFFERED_PAGES: usize = 64;

/// How long to wait for a wake-up before reading anyway.
const POLL: Duration = Duration::from_secs(1);

/// After a wake-up, when to read once more: what an older transaction still held back is seen a moment later.
const RECHECKS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(150)];

/// How long to wait between two reads of the stream: other workspaces' writes are wake-ups too.
const REST: Duration = Duration::from_millis(5);

/// How often a follower of a run reads at most, when its worker prints without end.
const PACE: Duration = Duration::from_millis(100);

/// How long a follower of a run relies on being woken.
const TRUST: Duration = Duration::from_secs(5);

type Batch = Arc<[Streamed]>;

/// The events of a server's workspaces.
pub struct Feed {
    store: Arc<dyn Store>,
    pumps: Mutex<HashMap<WorkspaceId, Pump>>,
}

/// What a pump hands on, and whether it has begun.
struct Pump {
    batches: broadcast::Sender<Batch>,
    begun: watch::Receiver<bool>,
}

/// The events of a workspace from a moment on.
pub struct Subscription {
    batches: broadcast::Receiver<Batch>,
    begun: watch::Receiver<bool>,
}

/// What a subscription yields.
pub enum Update {
    /// New events of the workspace, oldest first.
    Events(Batch),
    /// More events than could be buffered: read the stream from the last position.
    Lagged,
}

impl Feed {
    /// The events of a store's streams.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store, pumps: Mutex::default() })
    }

    /// The events of a workspace from now on. What is read from the store after this overlaps with them, without a gap.
    pub async fn subscribe(self: &Arc<Self>, workspace: &WorkspaceId) -> Subscription {
        let mut subscription = {
            let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
            let pump = pumps.entry(workspace.clone()).or_insert_with(|| self.start(workspace.clone()));
            Subscription { batches: pump.batches.subscribe(), begun: pump.begun.clone() }
        };
        // A pump that ended has begun before.
        let _ = subscription.begun.wait_for(|has_begun| *has_begun).await;
        subscription
    }

    fn start(self: &Arc<Self>, workspace: WorkspaceId) -> Pump {
        let (batches, _) = broadcast::channel(BUFFERED_PAGES);
        let (begin, begun) = watch::channel(false);
        let (feed, sender) = (Arc::clone(self), batches.clone());
        tokio::spawn(async move { feed.pump(workspace, sender, begin).await });
        Pump { batches, begun }
    }

    /// Hands on what happens, until nobody is subscribed.
    async fn pump(
        &self,
        workspace: WorkspaceId,
        batches: broadcast::Sender<Batch>,
        begin: watch::Sender<bool>,
    ) {
        let caller = Caller::new(workspace.clone(), "server");
        let mut position = loop {
            match self.store.stream_end(&caller).await {
                Ok(end) => break end,
                Err(error) => self.pause(&error).await,
            }
        };
        begin.send_replace(true);
        let mut rechecks = RECHECKS.len();
        loop {
            let seen = self.store.generation();
            match self.drain(&caller, &mut position, &batches).await {
                Ok(was_there) => rechecks = if was_there { 0 } else { rechecks },
                Err(error) => self.pause(&error).await,
            }
            if self.forget_if_unused(&workspace, &batches) {
                return;
            }
            let pause = RECHECKS.get(rechecks).copied();
            rechecks = rechecks.saturating_add(1);
            tokio::time::sleep(REST).await;
            self.store.changed(seen, pause.unwrap_or(POLL)).await;
            if self.store.generation() > seen {
                rechecks = 0;
            }
        }
    }

    async fn drain(
        &self,
        caller: &Caller,
        position: &mut StreamPosition,
        batches: &broadcast::Sender<Batch>,
    ) -> Result<bool> {
        let mut was_there = false;
        let end = self.store.stream_end(caller).await?;
        loop {
            let page = self.store.stream(caller, *position, PAGE).await?;
            let Some(last) = page.last() else {
                // What lies before the end is others'; it is not walked over again.
                *position = end.max(*position);
                return Ok(was_there);
            };
            *position = last.position;
            was_there = true;
            // The caller finds out when nobody is subscribed any more.
            let _ = batches.send(page.into());
        }
    }

    async fn pause(&self, error: &sprongus_core::Error) {
        tracing::debug!(?error, "cannot read the stream");
        tokio::time::sleep(POLL).await;
    }

    /// Whether nobody is subscribed; then the pump is forgotten, under the lock under which others subscribe.
    fn forget_if_unused(&self, workspace: &WorkspaceId, batches: &broadcast::Sender<Batch>) -> bool {
        let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unused = batches.receiver_count() == 0;
        if is_unused {
            pumps.remove(workspace);
        }
        is_unused
    }
}

impl Subscription {
    /// Waits for the next update.
    pub async fn next(&mut self) -> Update {
        match self.batches.recv().await {
            Ok(batch) => Update::Events(batch),
            Err(broadcast::error::RecvError::Lagged(_)) => Update::Lagged,
            // The pump lives as long as somebody is subscribed; if it does not, reading is right.
            Err(broadcast::error::RecvError::Closed) => {
                tokio::time::sleep(POLL).await;
                Update::Lagged
            }
        }
    }

    /// Skips what is buffered: a subscriber that is about to read for itself needs none of it.
    pub fn skip_pending(&mut self) {
        self.batches = self.batches.resubscribe();
    }

    /// Waits for an event of one run.
    async fn next_of(&mut self, id: RunId) {
        loop {
            match self.next().await {
                Update::Lagged => return,
                Update::Events(batch) if batch.iter().any(|it| is_of(it, id)) => return,
                Update::Events(_) => {}
            }
        }
    }
}

fn is_of(streamed: &Streamed, id: RunId) -> bool {
    streamed.run_event().is_some_and(|event| event.run_id == id)
}

/// What is new of a run; waits up to `wait` for something new, but not after the server was told to stop.
pub async fn follow(
    shared: &Shared,
    principal: &Principal,
    subscription: &mut Subscription,
    id: RunId,
    read: ReadSoFar,
    wait: Duration,
) -> Result<NewsView> {
    let (runs, store) = (principal.runs(), shared.service.store());
    let deadline = Instant::now() + wait;
    let mut stopping = shared.stopping.clone();
    loop {
        let seen = store.generation();
        let news = runs.follow(id, read, Duration::ZERO).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if !news.events.is_empty() || !news.lines.is_empty() || left.is_zero() || *stopping.borrow() {
            return Ok(news);
        }
        // Log lines are not events, so they are not in the stream; only a running run has new ones.
        let prints = match news.run.state {
            State::Running => true,
            State::Queued | State::Succeeded | State::Failed | State::Canceled => false,
        };
        let printed = async {
            store.changed(seen, left).await;
            tokio::time::sleep(PACE).await;
        };
        tokio::select! {
            () = subscription.next_of(id) => {}
            () = printed, if prints => {}
            () = tokio::time::sleep(left.min(TRUST)) => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return Ok(news),
        }
    }
}
