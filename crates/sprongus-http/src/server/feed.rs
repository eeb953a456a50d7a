//! News for those who follow, read once for all of them.
//!
//! While anybody follows something in a workspace, one task reads the workspace's stream and hands every event on. So a thousand
//! followers of runs that rest cost nothing, and what another server wrote is heard of as well. Who falls behind reads for himself
//! from where he stands: nothing is buffered without end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sprongus_core::run::follow::{News, ReadSoFar};
use sprongus_core::run::state::State;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::store::Store;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Result};
use tokio::sync::{broadcast, watch};

use super::Shared;
use super::auth::Asker;

/// The most events in one read of the stream.
pub const PAGE: u32 = 500;

/// Pages that wait for a follower before it has to read for itself.
const KEPT_PAGES: usize = 64;

/// How long nothing is heard before one looks anyway.
const POLL: Duration = Duration::from_secs(1);

/// After a wake-up, when to look again: what an older transaction still held back is seen a moment later.
const AGAIN: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(150)];

/// How long the stream rests between two looks: other workspaces' writes are wake-ups too.
const REST: Duration = Duration::from_millis(5);

/// How often one who follows a run looks at most, when its worker prints without end.
const PACE: Duration = Duration::from_millis(100);

/// How long one who follows a run trusts that he would have been told.
const TRUST: Duration = Duration::from_secs(5);

type Batch = Arc<[Streamed]>;

/// The news of a server's workspaces.
pub struct Feed {
    store: Arc<dyn Store>,
    pumps: Mutex<HashMap<WorkspaceId, Pump>>,
}

/// What a pump hands on, and whether it has begun.
struct Pump {
    batches: broadcast::Sender<Batch>,
    begun: watch::Receiver<bool>,
}

/// Somebody who is told.
pub struct Watch {
    batches: broadcast::Receiver<Batch>,
    begun: watch::Receiver<bool>,
}

/// What one is told.
pub enum Told {
    /// What is new in the workspace.
    Events(Batch),
    /// More than could be kept: read for yourself.
    Behind,
}

impl Feed {
    /// The news that a store's streams hold.
    pub fn new(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { store, pumps: Mutex::default() })
    }

    /// Has somebody told of what happens in a workspace from now on. What he reads for himself after this, and is told
    /// then, overlaps, and has no gap.
    pub async fn watch(self: &Arc<Self>, workspace: &WorkspaceId) -> Watch {
        let mut watch = {
            let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
            let pump = pumps.entry(workspace.clone()).or_insert_with(|| self.start(workspace.clone()));
            Watch { batches: pump.batches.subscribe(), begun: pump.begun.clone() }
        };
        // A pump that ended has begun before.
        let _ = watch.begun.wait_for(|has_begun| *has_begun).await;
        watch
    }

    fn start(self: &Arc<Self>, workspace: WorkspaceId) -> Pump {
        let (batches, _) = broadcast::channel(KEPT_PAGES);
        let (begin, begun) = watch::channel(false);
        let (feed, sender) = (Arc::clone(self), batches.clone());
        tokio::spawn(async move { feed.pump(workspace, sender, begin).await });
        Pump { batches, begun }
    }

    /// Hands on what happens, until nobody listens.
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
        let mut again = AGAIN.len();
        loop {
            let seen = self.store.generation();
            match self.drain(&caller, &mut position, &batches).await {
                Ok(was_there) => again = if was_there { 0 } else { again },
                Err(error) => self.pause(&error).await,
            }
            if self.is_unheard(&workspace, &batches) {
                return;
            }
            let pause = AGAIN.get(again).copied();
            again = again.saturating_add(1);
            tokio::time::sleep(REST).await;
            self.store.changed(seen, pause.unwrap_or(POLL)).await;
            if self.store.generation() > seen {
                again = 0;
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
            // Nobody listening any more is seen by the caller.
            let _ = batches.send(page.into());
        }
    }

    async fn pause(&self, error: &sprongus_core::Error) {
        tracing::debug!(?error, "cannot read the stream");
        tokio::time::sleep(POLL).await;
    }

    /// Whether nobody listens; then the pump is forgotten, under the lock under which others join.
    fn is_unheard(&self, workspace: &WorkspaceId, batches: &broadcast::Sender<Batch>) -> bool {
        let mut pumps = self.pumps.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unheard = batches.receiver_count() == 0;
        if is_unheard {
            pumps.remove(workspace);
        }
        is_unheard
    }
}

impl Watch {
    /// Waits for news.
    pub async fn told(&mut self) -> Told {
        match self.batches.recv().await {
            Ok(batch) => Told::Events(batch),
            Err(broadcast::error::RecvError::Lagged(_)) => Told::Behind,
            // The pump lives as long as somebody listens; if it does not, looking again is right.
            Err(broadcast::error::RecvError::Closed) => {
                tokio::time::sleep(POLL).await;
                Told::Behind
            }
        }
    }

    /// Lets go of what has been told so far: one who is about to look for himself needs none of it.
    pub fn let_go(&mut self) {
        self.batches = self.batches.resubscribe();
    }

    /// Waits for an event of one run.
    async fn told_of(&mut self, id: RunId) {
        loop {
            match self.told().await {
                Told::Behind => return,
                Told::Events(batch) if batch.iter().any(|streamed| streamed.event.run_id == id) => return,
                Told::Events(_) => {}
            }
        }
    }
}

/// What is new of a run; waits up to `wait` for something to be, but not beyond the server's end.
pub async fn follow(
    shared: &Shared,
    asker: &Asker,
    watch: &mut Watch,
    id: RunId,
    read: ReadSoFar,
    wait: Duration,
) -> Result<News> {
    let (runs, store) = (asker.runs(), shared.service.store());
    let deadline = Instant::now() + wait;
    let mut stopping = shared.stopping.clone();
    loop {
        let seen = store.generation();
        let news = runs.follow(id, read, Duration::ZERO).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        if !news.events.is_empty() || !news.lines.is_empty() || left.is_zero() || *stopping.borrow() {
            return Ok(news);
        }
        // Lines are no events, so the stream does not tell of them; only a run that is held has any.
        let prints = match news.run.state {
            State::Running => true,
            State::Queued | State::Succeeded | State::Failed | State::Canceled => false,
        };
        let printed = async {
            store.changed(seen, left).await;
            tokio::time::sleep(PACE).await;
        };
        tokio::select! {
            () = watch.told_of(id) => {}
            () = printed, if prints => {}
            () = tokio::time::sleep(left.min(TRUST)) => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => return Ok(news),
        }
    }
}
