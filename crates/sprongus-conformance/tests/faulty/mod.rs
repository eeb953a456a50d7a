//! The model with one promise broken.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sprongus_conformance::Model;
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
use sprongus_core::store::{
    Batch, ClaimAnswer, Diagnostics, Directory, DrawnReport, Events, Figures, Files, Health, Inserted, Reads,
    Rule, RunStore, Tokens,
};
use sprongus_core::values::ids::{RunId, TokenId};
use sprongus_core::values::names::{ClaimId, Kind, ProjectId, WorkerId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::audit::{AuditFilter, AuditPage};
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo, Workspace,
};
use sprongus_core::workspace::operator::{OperatorEvent, OperatorEventType, OperatorFilter};
use sprongus_core::workspace::session::{Session, Sessions};
use sprongus_core::workspace::token::{NewToken, Token};
use sprongus_core::{Caller, Result};

mod settings;

/// What is wrong with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    IgnoresTheEpoch,
    ForgetsAnEvent,
    ExceedsTheLimit,
    ForgetsTheKey,
    NeverExpires,
    LosesItsBytes,
    StreamsInPart,
    AuditsInPart,
    AuditsOtherProjects,
    AuditsWhoever,
    EndsItsAudit,
    ForgetsTokens,
    ForgetsOperators,
    IgnoresTheToken(Door),
    KeepsTheTokenBefore,
    PutsCursorsBack,
}

/// Where reports come in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Heartbeat,
    Finish,
    Command,
    Record,
    PutFile,
    DropFile,
}

pub struct Faulty {
    inner: Model,
    fault: Fault,
    /// The token that each run is held under.
    current: Mutex<HashMap<RunId, LeaseToken>>,
    /// The token that each named claim told first.
    first: Mutex<HashMap<ClaimId, LeaseToken>>,
}

impl Faulty {
    pub fn new(inner: Model, fault: Fault) -> Self {
        Self { inner, fault, current: Mutex::default(), first: Mutex::default() }
    }

    /// The token with which a report gets in here.
    fn at(&self, door: Door, id: RunId, token: &mut LeaseToken) {
        if self.fault == Fault::IgnoresTheToken(door)
            && let Some(right) = self.current.lock().unwrap_or_else(PoisonError::into_inner).get(&id)
        {
            *token = right.clone();
        }
    }

    fn held(&self, door: Door, hold: &Hold) -> Hold {
        let mut hold = hold.clone();
        self.at(door, hold.id, &mut hold.token);
        hold
    }
}

#[async_trait]
impl Sessions for Faulty {
    async fn open_session(&self, token: &Token, hash: &str, expires_at: Timestamp) -> Result<()> {
        self.inner.open_session(token, hash, expires_at).await
    }

    async fn session(&self, hash: &str) -> Result<Option<Session>> {
        self.inner.session(hash).await
    }

    async fn close_session(&self, token: &Token, hash: &str) -> Result<()> {
        self.inner.close_session(token, hash).await
    }
}

#[async_trait]
impl RunStore for Faulty {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        let mut requests = requests;
        if self.fault == Fault::ForgetsTheKey {
            requests.iter_mut().for_each(|request| request.idempotency_key = None);
        }
        self.inner.enqueue(caller, requests, batch).await
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let mut token = token.clone();
        if self.fault == Fault::KeepsTheTokenBefore
            && let Some(name) = &request.claim_id
        {
            token = self
                .first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(name.clone())
                .or_insert(token)
                .clone();
        }
        let mut request = request.clone();
        if self.fault == Fault::ExceedsTheLimit {
            request.limit += 1;
        }
        let answer = self.inner.claim(caller, &request, &token).await?;
        let current = answer.claimed.iter().map(|claimed| (claimed.run.id, claimed.lease.token.clone()));
        self.current.lock().unwrap_or_else(PoisonError::into_inner).extend(current);
        Ok(answer)
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        let holds = holds.iter().map(|hold| self.held(Door::Heartbeat, hold)).collect();
        self.inner.heartbeat(caller, holds, lease).await
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        let mut reports = reports;
        reports.iter_mut().for_each(|drawn| self.at(Door::Finish, drawn.report.id, &mut drawn.report.token));
        if self.fault == Fault::IgnoresTheEpoch {
            for drawn in &mut reports {
                drawn.report.epoch = self.inner.get(caller, drawn.report.id).await.map_or(0, |run| run.epoch);
            }
        }
        self.inner.finish(caller, worker, reports).await
    }

    async fn apply(&self, caller: &Caller, id: RunId, mut command: RunCommand) -> Result<Applied> {
        if let RunCommand::Wait { hold, .. }
        | RunCommand::Progress { hold, .. }
        | RunCommand::Cleaned { hold, .. } = &mut command
        {
            self.at(Door::Command, id, &mut hold.token);
        }
        self.inner.apply(caller, id, command).await
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        self.inner.decide(caller, ids, rule).await
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        self.inner.record(caller, &self.held(Door::Record, hold), steps, lines).await
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        if self.fault == Fault::NeverExpires {
            return Ok((0, Vec::new()));
        }
        self.inner.expire(caller, limit).await
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        self.inner.prune(caller, retention, limit, dry_run).await
    }

    async fn now(&self) -> Result<Timestamp> {
        self.inner.now().await
    }
}

#[async_trait]
impl Reads for Faulty {
    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run> {
        self.inner.get(caller, id).await
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>> {
        self.inner.find_by_key(caller, key).await
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
        self.inner.list(caller, filter).await
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
        self.inner.steps(caller, id).await
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        let mut events = self.inner.events(caller, id, after, limit).await?;
        if self.fault == Fault::ForgetsAnEvent {
            events.retain(|event| event.seq != 4);
        }
        Ok(events)
    }

    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        self.inner.logs(caller, id, after, limit).await
    }

    async fn news(&self, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News> {
        self.inner.news(caller, id, read).await
    }

    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
        self.inner.held(caller).await
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64> {
        self.inner.ahead(caller, run).await
    }
}

#[async_trait]
impl Files for Faulty {
    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()> {
        self.inner.expect_blob(location, due).await
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile> {
        self.inner.put_file(caller, &self.held(Door::PutFile, hold), file).await
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
        self.inner.drop_file(caller, &self.held(Door::DropFile, hold), name).await
    }

    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>> {
        if self.fault == Fault::LosesItsBytes {
            return Ok(Vec::new());
        }
        self.inner.unwanted_blobs(limit).await
    }

    async fn forget_blobs(&self, locations: &[String]) -> Result<()> {
        self.inner.forget_blobs(locations).await
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
        self.inner.artifacts(caller, id).await
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
        self.inner.file(caller, id, name).await
    }
}

#[async_trait]
impl Directory for Faulty {
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        self.inner.see_worker(caller, worker).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        self.inner.forget_worker(caller, worker).await
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        self.inner.workers(caller).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        self.inner.drain_worker(caller, worker).await
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        self.inner.kinds(caller).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        self.inner.pause_kind(caller, kind, paused).await
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        self.inner.projects(caller).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        self.inner.create_project(caller, id).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        self.inner.agent_tasks(caller).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        self.inner.create_agent_task(caller, task).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        self.inner.workspaces().await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        self.inner.create_workspace(caller, id).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        self.inner.delete_workspace(caller, id).await
    }
}

#[async_trait]
impl Tokens for Faulty {
    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        self.inner.tokens(caller).await
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> Result<Token> {
        self.inner.create_token(caller, id, token, hash).await
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token> {
        self.inner.revoke_token(caller, id).await
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        self.inner.token_by_hash(hash).await
    }

    async fn use_token(&self, token: &Token) -> Result<()> {
        self.inner.use_token(token).await
    }
}

#[async_trait]
impl Events for Faulty {
    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        let mut page = self.inner.operator_events(caller, filter).await?;
        if self.fault == Fault::ForgetsOperators {
            page.data.retain(|event| event.kind != OperatorEventType::TokenRevoked);
        }
        Ok(page)
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        let mut events = self.inner.stream(caller, after, limit).await?;
        if self.fault == Fault::StreamsInPart {
            events.retain(|streamed| streamed.run_event().is_none_or(|event| event.seq != 2));
        }
        Ok(events)
    }

    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition> {
        self.inner.stream_end(caller).await
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        let (mut caller, mut filter) = (caller.clone(), filter.clone());
        if self.fault == Fault::AuditsOtherProjects {
            caller.projects = None;
        }
        if self.fault == Fault::AuditsWhoever {
            filter.actor = None;
        }
        let mut page = self.inner.audit(&caller, before, &filter, limit).await?;
        if self.fault == Fault::AuditsInPart {
            page.found.retain(|audited| audited.event.seq != 2);
        }
        if self.fault == Fault::EndsItsAudit {
            page.further = None;
        }
        Ok(page)
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        self.inner.changed(seen, longest).await
    }

    fn generation(&self) -> u64 {
        self.inner.generation()
    }
}

#[async_trait]
impl Figures for Faulty {
    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        self.inner.stats(caller).await
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        self.inner.roll_up(caller, limit).await
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        self.inner.forget_figures(caller).await
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        self.inner.rolled_up_to(caller).await
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        let mut totals = self.inner.totals(caller).await?;
        if self.fault == Fault::ForgetsTokens {
            totals.values_mut().for_each(|totals| totals.counts.tokens_out = 0);
        }
        Ok(totals)
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        self.inner.minutes(caller, since, before).await
    }
}

#[async_trait]
impl Diagnostics for Faulty {
    async fn health(&self, thorough: bool) -> Result<Health> {
        self.inner.health(thorough).await
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        self.inner.metrics().await
    }
}
