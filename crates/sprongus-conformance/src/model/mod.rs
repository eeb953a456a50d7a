//! The model: a store in memory that does nothing but ask the rules. It is the executable specification: what it answers is
//! what every store answers.
//!
//! One lock around everything makes each call a transaction; `tables.rs` says what is kept, the other files what each verb does
//! with it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::figures::metric::Metric;
use sprongus_core::figures::rollup::{Minute, Totals, admit};
use sprongus_core::rules::enqueue::Prepared;
use sprongus_core::rules::{Act, WriteSet};
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
use sprongus_core::store::{Batch, ClaimAnswer, DrawnReport, Health, Inserted, Rule, Store};
use sprongus_core::values::ids::{RunId, TokenId};
use sprongus_core::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::{Clock, Timestamp};
use sprongus_core::workspace::audit::{AuditFilter, AuditPage};
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo, Workspace,
};
use sprongus_core::workspace::operator::{OperatorAct, OperatorEvent, OperatorFilter};
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Caller, Error, Result};
use tokio::sync::watch;

mod artifact;
mod audit;
mod claim;
mod directory;
mod enqueue;
mod operator;
mod read;
mod report;
mod retention;
mod rollup;
mod sign_in;
mod stream;
mod tables;
mod token;
mod waiting;

use tables::{Tables, Tenant};

/// A store in memory.
pub struct Model {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
    generation: watch::Sender<u64>,
}

impl Model {
    /// An empty store that lives by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let tables = Mutex::new(Tables::new(clock.now()));
        Self { clock, tables, generation: watch::Sender::new(0) }
    }

    /// How many calls of [`Store::changed`] wait now. Each returns after its pause, and may then be made again.
    pub fn waiting(&self) -> usize {
        self.generation.receiver_count()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn present<'a>(&self, caller: &'a Caller) -> Act<'a> {
        Act { now: self.clock.now(), actor: &caller.actor }
    }

    /// Reads what the caller's workspace holds.
    fn read<T>(&self, caller: &Caller, look: impl FnOnce(&Tenant) -> Result<T>) -> Result<T> {
        look(self.tables().tenant(&caller.workspace)?)
    }

    /// Changes what the caller's workspace holds, and wakes those who wait for a change.
    fn write<T>(&self, caller: &Caller, change: impl FnOnce(&mut Tenant) -> Result<T>) -> Result<T> {
        let mut tables = self.tables();
        let answer = change(tables.tenant_mut(&caller.workspace)?);
        tables.list_gone(&caller.workspace);
        drop(tables);
        self.wake();
        answer
    }

    fn wake(&self) {
        self.generation.send_modify(|generation| *generation += 1);
    }
}

#[async_trait]
impl Store for Model {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        let act = self.present(caller);
        let mut tables = self.tables();
        // Ids are unique over all workspaces, as the primary key of a database makes them.
        let taken: Vec<bool> =
            requests.iter().map(|request| tables.holds_elsewhere(&caller.workspace, request.id)).collect();
        let answers = tables.tenant_mut(&caller.workspace)?.enqueue(caller, &requests, &taken, batch, act);
        drop(tables);
        self.wake();
        Ok(answers)
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let act = self.present(caller);
        let mut tables = self.tables();
        let answer = tables.tenant_mut(&caller.workspace)?.claim(caller, request, token, act)?;
        tables.list_gone(&caller.workspace);
        drop(tables);
        if !answer.events.is_empty() {
            self.wake();
        }
        Ok(answer)
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        let act = self.present(caller);
        self.write(caller, |tenant| {
            Ok(holds.iter().map(|hold| tenant.heartbeat(caller, hold, lease, act)).collect())
        })
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        let act = self.present(caller);
        self.write(caller, |tenant| {
            Ok(reports.iter().map(|drawn| tenant.finish(caller, worker, drawn, act)).collect())
        })
    }

    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.command(caller, id, &command, act))
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.decide(caller, ids, &rule, act))
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.record(caller, hold, &steps, lines, act))
    }

    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()> {
        self.tables().expect_blob(location, due);
        Ok(())
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile> {
        let act = self.present(caller);
        let mut tables = self.tables();
        let answer = tables.put_file(caller, hold, file, act);
        tables.list_gone(&caller.workspace);
        answer
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
        let act = self.present(caller);
        self.write(caller, |tenant| tenant.drop_file(caller, hold, name, act))
    }

    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>> {
        let now = self.clock.now();
        Ok(self.tables().unwanted_blobs(now, limit))
    }

    async fn forget_blobs(&self, locations: &[String]) -> Result<()> {
        self.tables().unwanted.retain(|location, _| !locations.contains(location));
        Ok(())
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.expire(now, limit)))
    }

    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.run.clone()))
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>> {
        self.read(caller, |tenant| Ok(tenant.find_by_key(caller, key)))
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
        let now = self.clock.now();
        self.read(caller, |tenant| tenant.list(caller, filter, now))
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.steps_in_order()))
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.events_after(after, limit)))
    }

    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.lines_after(after, limit)))
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.artifacts()))
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
        self.read(caller, |tenant| tenant.row(caller, id)?.file(name))
    }

    async fn news(&self, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News> {
        self.read(caller, |tenant| Ok(tenant.row(caller, id)?.news(read)))
    }

    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        let now = self.clock.now();
        self.read(caller, |tenant| Ok(tenant.stats(caller, now)))
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.prune(caller, retention, limit, dry_run, now)))
    }

    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.see_worker(caller, worker, now))
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.forget_worker(caller, worker, now))
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        let now = self.clock.now();
        self.read(caller, |tenant| Ok(tenant.live_workers(now)))
    }

    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
        self.read(caller, |tenant| Ok(tenant.held()))
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64> {
        self.read(caller, |tenant| Ok(tenant.ahead(caller, run)))
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.drain_worker(caller, worker, now))
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        self.read(caller, |tenant| Ok(tenant.kinds()))
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.pause_kind(caller, kind, paused, now)))
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        self.read(caller, |tenant| Ok(tenant.projects(caller)))
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        let now = self.clock.now();
        self.write(caller, |tenant| Ok(tenant.create_project(caller, id, now)))
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        self.read(caller, |tenant| Ok(tenant.agent_tasks(caller)))
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.create_agent_task(caller, task, now))
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        Ok(self.tables().workspaces())
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let is_new = !tables.tenants.contains_key(id);
        let made = tables.create_workspace(id, now);
        tables.note(caller, is_new.then(|| OperatorAct::workspace_created(&made)), now);
        drop(tables);
        self.wake();
        Ok(made)
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        let now = self.clock.now();
        let mut tables = self.tables();
        let gone =
            tables.delete_workspace(id).ok_or_else(|| Error::not_found(format_args!("workspace: {id}")))?;
        tables.note(caller, Some(OperatorAct::workspace_deleted(&gone)), now);
        drop(tables);
        self.wake();
        Ok(())
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        self.read(caller, |tenant| Ok(tenant.tokens()))
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> Result<Token> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.create_token(caller, id, token, hash, now))
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token> {
        let now = self.clock.now();
        self.write(caller, |tenant| tenant.revoke_token(caller, id, now))
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        Ok(self.tables().token_by_hash(hash))
    }

    async fn use_token(&self, token: &Token) -> Result<()> {
        let now = self.clock.now();
        self.tables().use_token(token, now);
        Ok(())
    }

    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        self.read(caller, |tenant| tenant.operator_events(filter))
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        self.read(caller, |tenant| Ok(tenant.stream(caller, after, limit)))
    }

    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition> {
        self.read(caller, |tenant| Ok(tenant.stream_end()))
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        self.read(caller, |tenant| Ok(tenant.audit(caller, before, filter, limit)))
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        admit(caller)?;
        let now = self.clock.now();
        Ok(self.tables().tenant_mut(&caller.workspace)?.roll_up(caller, limit, now))
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        admit(caller)?;
        let now = self.clock.now();
        self.tables().tenant_mut(&caller.workspace)?.forget_figures(caller, now);
        Ok(())
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        self.read(caller, |tenant| Ok(tenant.rolled))
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        admit(caller)?;
        self.read(caller, |tenant| Ok(tenant.totals.clone()))
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        admit(caller)?;
        self.read(caller, |tenant| Ok(tenant.minutes(since, before)))
    }

    async fn now(&self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }

    async fn health(&self, _thorough: bool) -> Result<Health> {
        let (engine, place) = ("the model".to_owned(), "memory".to_owned());
        let nothing = Vec::new();
        Ok(Health {
            engine,
            place,
            schema: 0,
            durable: false,
            caveat: None,
            not_checked: None,
            faults: nothing,
        })
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        Ok(Vec::new())
    }

    fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        let mut generation = self.generation.subscribe();
        let past = generation.wait_for(|&generation| generation > seen);
        // Running out of time is an answer like any other here: the caller looks again.
        let _ = tokio::time::timeout(longest, past).await;
    }
}
