//! A [`Store`] in one SQLite file: no server, any number of processes on one machine.
//!
//! One writer thread per process folds what is waiting into one transaction (`writer.rs`); readers have connections of their
//! own. Each verb stands in the file of its name. Rules are the core's: under the write lock a verb reads the run, asks the
//! rule and writes the answer, so there is no rule in SQL here. What is left to others: what a workspace's caller may do is
//! checked by row here, but there is no second wall behind it as Postgres has; give mutually distrustful tenants a file each.

mod artifact;
mod audit;
mod claim;
mod command;
mod directory;
mod enqueue;
mod expire;
mod fault;
mod finish;
mod health;
mod heartbeat;
mod inspect;
mod load;
mod migrate;
mod open;
mod operator;
mod place;
#[cfg(test)]
mod plans;
mod probe;
mod prune;
mod read;
mod readers;
mod recent;
mod record;
mod rollup;
mod rows;
mod sign_in;
mod stats;
mod stream;
mod token;
mod waiting;
mod wake;
mod write_set;
mod writer;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use sprongus_core::figures::metric::Metric;
use sprongus_core::figures::rollup::{Minute, Totals};
use sprongus_core::rules::WriteSet;
use sprongus_core::rules::enqueue::Prepared;
use sprongus_core::run::artifact::{Artifact, FileName, NewFile, StoredFile};
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::{News, ReadSoFar};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::list::{ListFilter, Page};
use sprongus_core::run::retention::{Pruned, Retention};
use sprongus_core::run::step::{LogLine, NumberedLine, Step, StepReport};
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::run::{Applied, Beat, ClaimRequest, Hold, Run};
use sprongus_core::runs::Caller;
use sprongus_core::store::{Batch, ClaimAnswer, DrawnReport, Health, Inserted, Rule, Store};
use sprongus_core::values::ids::{RunId, TokenId};
use sprongus_core::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage};
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo, Workspace,
};
use sprongus_core::workspace::operator::{OperatorEvent, OperatorFilter};
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Error, Result};
use tokio::sync::watch;

pub use inspect::{Copied, copy, inspect, kept_bytes};
pub use migrate::{APPLICATION_ID, MIGRATIONS, Migration, latest as latest_schema};
pub use open::{Durability, OLDEST_SAFE_SQLITE, Options, migrate_file as migrate, pending};
pub use probe::bare_commits;

use place::Place;
use readers::Readers;
use wake::Watch;
use writer::Writer;

/// A database of runs in one file.
pub struct Sqlite {
    readers: Arc<Readers>,
    writer: Writer,
    changed: watch::Sender<u64>,
    watch: OnceLock<Option<Watch>>,
}

impl Sqlite {
    /// Opens the file, making and migrating it as the options say.
    ///
    /// # Errors
    /// `not_found` when it is missing and not to be made; `unavailable` when it cannot be read or written;
    /// `schema_mismatch` when it is another program's, newer than this one, or older and not to be migrated.
    pub fn open(file: &Path, options: Options) -> Result<Self> {
        let connection = open::open(file, &options)?;
        let (place, (changed, _)) = (Arc::new(Place::of(file)?), watch::channel(0));
        let writer =
            Writer::start(connection, Arc::clone(&place), Arc::clone(&options.clock), changed.clone())?;
        let readers = Arc::new(Readers::new(file, place, options.durability, options.clock));
        Ok(Self { readers, writer, changed, watch: OnceLock::new() })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection, Timestamp) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let readers = Arc::clone(&self.readers);
        let reading = tokio::task::spawn_blocking(move || readers.read(read));
        reading.await.map_err(|error| Error::internal("a read was interrupted").with_source(error))?
    }

    fn watch(&self) -> Option<&Watch> {
        let start = || {
            let connection = open::connect(&self.readers.file, self.readers.durability);
            let started =
                connection.and_then(|it| Watch::start(it, &self.readers.file, self.changed.clone()));
            started.inspect_err(|error| tracing::debug!(?error, "not watching the database")).ok()
        };
        self.watch.get_or_init(start).as_ref()
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        let (caller, backlog) = (caller.clone(), &self.writer.enqueues);
        self.writer.write_all(backlog, requests, move |tx, all| enqueue::run(tx, &caller, all, batch)).await
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let (look, write) = claim::halves(&self.readers.clock, caller, request, token);
        self.writer.look_then_write(look, write).await
    }

    async fn claim_after(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        seen: u64,
        longest: Duration,
    ) -> Result<ClaimAnswer> {
        let (look, write) = claim::halves(&self.readers.clock, caller, request, token);
        match self.writer.write_once_wanted(look, write, self.changed(seen, longest)).await? {
            Some(answer) => Ok(answer),
            None => self.claim(caller, request, token).await,
        }
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        let caller = caller.clone();
        self.writer.write(move |tx| heartbeat::run(tx, &caller, &holds, lease)).await
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        let (caller, worker, backlog) = (caller.clone(), worker.clone(), &self.writer.finishes);
        self.writer.write_all(backlog, reports, move |tx, all| finish::run(tx, &caller, &worker, all)).await
    }

    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied> {
        let caller = caller.clone();
        self.writer.write(move |tx| command::run(tx, &caller, id, &command)).await
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        let (caller, ids) = (caller.clone(), ids.to_vec());
        self.writer.write(move |tx| command::decide(tx, &caller, &ids, &rule)).await
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        let (caller, hold) = (caller.clone(), hold.clone());
        self.writer.write(move |tx| record::run(tx, &caller, &hold, &steps, &lines)).await
    }

    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()> {
        let location = location.to_owned();
        self.writer.write(move |tx| artifact::expect(tx, &location, due)).await
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile> {
        let (caller, hold) = (caller.clone(), hold.clone());
        self.writer.write(move |tx| artifact::put(tx, &caller, &hold, &file)).await
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
        let (caller, hold, name) = (caller.clone(), hold.clone(), name.clone());
        self.writer.write(move |tx| artifact::drop_file(tx, &caller, &hold, &name)).await
    }

    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>> {
        self.writer.write(move |tx| artifact::unwanted(tx, limit)).await
    }

    async fn forget_blobs(&self, locations: &[String]) -> Result<()> {
        let locations = locations.to_vec();
        self.writer.write(move |tx| artifact::forget(tx, &locations)).await
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        let caller = caller.clone();
        self.writer.write(move |tx| expire::run(tx, &caller, limit)).await
    }

    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run> {
        let caller = caller.clone();
        self.read(move |connection, _| read::get(connection, &caller, id)).await
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>> {
        let (caller, key) = (caller.clone(), key.to_owned());
        self.read(move |connection, _| read::find_by_key(connection, &caller, &key)).await
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
        let (caller, filter) = (caller.clone(), filter.clone());
        self.read(move |connection, now| read::list(connection, &caller, &filter, now)).await
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
        let caller = caller.clone();
        self.read(move |connection, _| read::steps(connection, &caller, id)).await
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let caller = caller.clone();
        self.read(move |connection, _| read::events(connection, &caller, id, after, limit)).await
    }

    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        let caller = caller.clone();
        self.read(move |connection, _| read::logs(connection, &caller, id, after, limit)).await
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
        let caller = caller.clone();
        self.read(move |connection, _| artifact::artifacts(connection, &caller, id)).await
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
        let (caller, name) = (caller.clone(), name.clone());
        self.read(move |connection, _| artifact::file(connection, &caller, id, &name)).await
    }

    async fn news(&self, caller: &Caller, id: RunId, so_far: ReadSoFar) -> Result<News> {
        let caller = caller.clone();
        self.read(move |connection, _| read::news(connection, &caller, id, so_far)).await
    }

    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        let caller = caller.clone();
        self.read(move |connection, now| stats::stats(connection, &caller, now)).await
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        let (caller, retention) = (caller.clone(), retention.clone());
        if dry_run {
            return self
                .read(move |connection, now| prune::count(connection, &caller, &retention, now))
                .await;
        }
        self.writer.write(move |tx| prune::run(tx, &caller, &retention, limit)).await
    }

    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| directory::see_worker(tx, &caller, &worker)).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| directory::forget_worker(tx, &caller, &worker)).await
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        let caller = caller.clone();
        self.read(move |connection, now| directory::workers(connection, &caller, now)).await
    }

    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
        let caller = caller.clone();
        self.read(move |connection, now| waiting::held(connection, &caller, now)).await
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64> {
        let (caller, run) = (caller.clone(), run.clone());
        self.read(move |connection, _| waiting::ahead(connection, &caller, &run)).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let (caller, worker) = (caller.clone(), worker.clone());
        self.writer.write(move |tx| directory::drain_worker(tx, &caller, &worker)).await
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        let caller = caller.clone();
        self.read(move |connection, _| directory::kinds(connection, &caller)).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        let (caller, kind) = (caller.clone(), kind.clone());
        self.writer.write(move |tx| directory::pause_kind(tx, &caller, &kind, paused)).await
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        let caller = caller.clone();
        self.read(move |connection, _| directory::projects(connection, &caller)).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| directory::create_project(tx, &caller, &id)).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        let caller = caller.clone();
        self.read(move |connection, _| directory::agent_tasks(connection, &caller)).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        let (caller, task) = (caller.clone(), task.clone());
        self.writer.write(move |tx| directory::create_agent_task(tx, &caller, &task)).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.read(|connection, _| directory::workspaces(connection)).await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| directory::create_workspace(tx, &caller, &id)).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        let (caller, id) = (caller.clone(), id.clone());
        self.writer.write(move |tx| directory::delete_workspace(tx, &caller, &id)).await
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        let caller = caller.clone();
        self.read(move |connection, _| token::tokens(connection, &caller)).await
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> Result<Token> {
        let (caller, token, hash) = (caller.clone(), token.clone(), hash.to_owned());
        self.writer.write(move |tx| token::create_token(tx, &caller, id, &token, &hash)).await
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token> {
        let caller = caller.clone();
        self.writer.write(move |tx| token::revoke_token(tx, &caller, id)).await
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        let hash = hash.to_owned();
        self.read(move |connection, _| token::token_by_hash(connection, &hash)).await
    }

    async fn use_token(&self, token: &Token) -> Result<()> {
        let token = token.clone();
        self.writer.write(move |tx| token::use_token(tx, &token)).await
    }

    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        let (caller, filter) = (caller.clone(), filter.clone());
        self.read(move |connection, _| operator::events(connection, &caller, &filter)).await
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        let caller = caller.clone();
        self.read(move |connection, _| stream::stream(connection, &caller, after, limit)).await
    }

    async fn stream_end(&self, _caller: &Caller) -> Result<StreamPosition> {
        self.read(|connection, _| stream::stream_end(connection)).await
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        let (caller, filter) = (caller.clone(), filter.clone());
        self.read(move |connection, _| audit::audit(connection, &caller, before, &filter, limit)).await
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        let caller = caller.clone();
        self.writer.write(move |tx| rollup::roll_up(tx, &caller, limit)).await
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        let caller = caller.clone();
        self.writer.write(move |tx| rollup::forget(tx, &caller)).await
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        let caller = caller.clone();
        self.read(move |connection, _| rollup::read_to(connection, &caller)).await
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        let caller = caller.clone();
        self.read(move |connection, _| rollup::totals(connection, &caller)).await
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        let caller = caller.clone();
        self.read(move |connection, _| rollup::minutes(connection, &caller, since, before)).await
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.readers.clock.now())
    }

    async fn health(&self, thorough: bool) -> Result<Health> {
        let (file, durability) = (self.readers.file.clone(), self.readers.durability);
        if let Err(loss) = self.readers.place.check() {
            return Ok(health::lost(&file, durability, loss));
        }
        self.read(move |connection, _| health::health(connection, &file, durability, thorough)).await
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        let (file, batches) = (self.readers.file.clone(), self.writer.batches());
        let looking = tokio::task::spawn_blocking(move || health::metrics(&file, batches));
        looking.await.map_err(|error| Error::internal("a task was interrupted").with_source(error))
    }

    fn generation(&self) -> u64 {
        *self.changed.borrow()
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        let mut changes = self.changed.subscribe();
        let _waiter = self.watch().map(Watch::wait);
        let past = changes.wait_for(|generation| *generation > seen);
        // Either way the caller looks again.
        let _ = tokio::time::timeout(longest, past).await;
    }
}
