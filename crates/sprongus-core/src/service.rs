//! [`Runs`] over a store: check what is asked, ask the store, tell the subscribers. Rules are in [`crate::rules`], SQL in the
//! stores; what is left is this.

mod admin;
pub mod clock;
mod figures;
mod files;
mod runs;
mod schedules;
mod subscribers;
mod waiting;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::run::Applied;
use crate::run::Hold;
use crate::run::artifact::{Blobs, ByteStream, FileName, StoredFile};
use crate::run::command::RunCommand;
use crate::run::event::Event;
use crate::run::view::RunView;
use crate::runs::Runs;
use crate::schedules::Schedules;
use crate::store::Store;
use crate::values::ids::RunId;
use crate::workspace::admin::Admin;
use crate::workspace::caller::Caller;
use files::Files;
use subscribers::Subscribers;
pub use subscribers::Subscription;

/// The runs of a store, for many callers.
#[derive(Clone)]
pub struct RunsService {
    store: Arc<dyn Store>,
    files: Option<Files>,
    subscribers: Arc<Subscribers>,
}

impl RunsService {
    /// The runs of `store`.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, files: None, subscribers: Arc::default() }
    }

    /// Keeps the bytes of artifacts in `blobs`, each up to `max_bytes` of them; 1 GiB ([`crate::run::artifact::MAX_ARTIFACT_BYTES`]) is the default elsewhere.
    /// Without this there is nowhere to keep any.
    #[must_use]
    pub fn with_blobs(mut self, blobs: Arc<dyn Blobs>, max_bytes: u64) -> Self {
        self.files = Some(Files { blobs, max_bytes });
        self
    }

    /// The most bytes of an artifact; none where no artifacts are kept.
    pub fn max_artifact_bytes(&self) -> Option<u64> {
        self.files.as_ref().map(|files| files.max_bytes)
    }

    /// Deletes the bytes of artifacts that are gone, and of uploads that came to nothing; how many there were. Any number of
    /// processes may do so at once.
    ///
    /// # Errors
    /// As a store's, and those of the place where the bytes lie.
    pub async fn sweep(&self) -> Result<u64> {
        match &self.files {
            Some(files) => files.sweep(self.store.as_ref()).await,
            None => Ok(0),
        }
    }

    /// Brings up to the present what time has changed in the caller's workspace, up to `limit` runs of it, oldest first: gates that timed
    /// out, leases that ran out, runs that expired before they began. How many were looked at; fewer than `limit` means that nothing more
    /// is due. A claim does the same on its way; this is for when nobody claims. Any number of processes may do so at once.
    ///
    /// # Errors
    /// As a store's.
    pub async fn expire(&self, caller: &Caller, limit: u32) -> Result<u32> {
        let (moved, events) = self.store.expire(caller, limit).await?;
        self.subscribers.publish(&events);
        Ok(moved)
    }

    /// The runs as `caller` may see and change them.
    pub fn for_caller(&self, caller: Caller) -> Arc<dyn Runs> {
        Arc::new(CallerRuns { service: self.clone(), caller })
    }

    /// What `caller` may ask as an operator; whether it may is for others to say.
    pub fn admin(&self, caller: Caller) -> Arc<dyn Admin> {
        Arc::new(CallerRuns { service: self.clone(), caller })
    }

    /// The schedules as `caller` may see and change them.
    pub fn schedules(&self, caller: Caller) -> Arc<dyn Schedules> {
        Arc::new(CallerRuns { service: self.clone(), caller })
    }

    /// The store itself, for what is not about runs: health, streams, the token of a call.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Calls `subscriber` with every event this service writes, after it is durable, in order within a run. It should be
    /// quick: the caller of the verb waits for it.
    #[must_use = "dropped, the subscriber hears nothing"]
    pub fn subscribe(&self, subscriber: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        Subscribers::add(&self.subscribers, Arc::new(subscriber))
    }
}

/// One caller's view of the runs.
struct CallerRuns {
    service: RunsService,
    caller: Caller,
}

impl CallerRuns {
    fn store(&self) -> &dyn Store {
        self.service.store.as_ref()
    }

    /// Tells of what was done; the run as this caller may see it.
    fn publish(&self, applied: Applied) -> RunView {
        self.service.subscribers.publish(&applied.events);
        let mut run = RunView::from(applied.run);
        if !self.caller.sees_content {
            run.hide_content();
        }
        run
    }

    async fn apply(&self, id: RunId, command: RunCommand) -> Result<RunView> {
        Ok(self.publish(self.store().apply(&self.caller, id, command).await?))
    }

    /// Deletes the bytes that a call has just left without a row. The call itself is done, so it does not fail with this: what
    /// is not deleted now stays listed, and goes with the next sweep.
    async fn sweep_behind(&self) {
        let _ = self.service.sweep().await;
    }

    fn files(&self) -> Result<&Files> {
        self.service.files.as_ref().ok_or_else(|| {
            Error::validation("no artifact store is configured").with_hint("configure one with `with_blobs`")
        })
    }

    async fn put_file(
        &self,
        hold: &Hold,
        name: FileName,
        content_type: &str,
        body: ByteStream,
    ) -> Result<StoredFile> {
        self.files()?.put(self.store(), &self.caller, hold, name, content_type, body).await
    }
}
