//! The seam to a database. A store keeps runs and what belongs to them; it knows no rule but asks [`crate::rules`], or carries
//! a rule's guard in its SQL where a batch must be one statement.
//!
//! Promises, each a case of the conformance suite:
//! - **S1** What is answered is durable: it outlives a power cut.
//! - **S2** A change and its events are written together or not at all; `seq` has no gap.
//! - **S3** Two claimers never hold the same run; a claim gives `limit` at most.
//! - **S4** A report is taken only under the live lease of its own epoch.
//! - **S5** The same key and request give one run, however many ask at once.
//! - **S6** One bad item of a batch never fails its neighbours.
//! - **S7** Nothing of another workspace is seen or changed.
//! - **S8** A call that fails for want of the database is `unavailable` and may be repeated.
//! - **S9** What an operator does is in the audit, written with the act, and stays there.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;
use crate::figures::metric::Metric;
use crate::figures::rollup::{Minute, Totals};
use crate::rules::enqueue::Prepared;
use crate::rules::{self, Act, WriteSet};
use crate::run::artifact::{Artifact, FileName, NewFile, StoredFile};
use crate::run::command::RunCommand;
use crate::run::event::Event;
use crate::run::follow::{News, ReadSoFar};
use crate::run::lease::LeaseToken;
use crate::run::list::{ListFilter, Page};
use crate::run::retention::{Pruned, Retention};
use crate::run::step::{LogLine, NumberedLine, Step, StepReport};
use crate::run::stream::{StreamPosition, Streamed};
use crate::run::{Applied, Beat, ClaimRequest, Claimed, Enqueue, Hold, Report, Run};
use crate::values::ids::{RunId, TokenId};
use crate::values::names::{Kind, ProjectId, WorkerId, WorkspaceId};
use crate::values::time::Timestamp;
use crate::workspace::audit::{AuditFilter, AuditPage};
use crate::workspace::caller::Caller;
use crate::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo, Workspace,
};
use crate::workspace::operator::{OperatorEvent, OperatorFilter};
use crate::workspace::session::Sessions;
use crate::workspace::token::{NewToken, Token};

/// Whether a batch may be made in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// Each item on its own.
    EachAlone,
    /// All, or none.
    AllOrNothing,
}

/// A rule over several runs. It may be asked again, of the runs as they stand then, when a transaction has to be repeated.
pub type Rule = Arc<dyn Fn(&BTreeMap<RunId, Run>, Act<'_>) -> Result<WriteSet> + Send + Sync>;

/// What an enqueue did for one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Inserted {
    /// The run, and its event if it is new.
    pub applied: Applied,
    /// New or found.
    pub outcome: Enqueue,
}

impl Inserted {
    /// The answer to a request whose key or id `run` has: that run, if the same request had made it.
    ///
    /// # Errors
    /// As [`rules::enqueue::compare`].
    pub fn found(run: Run, request: &Prepared, caller: &Caller) -> Result<Self> {
        rules::enqueue::compare(&run, request, caller)?;
        Ok(Self { applied: Applied { run, events: Vec::new() }, outcome: Enqueue::Existing })
    }
}

/// What a claim gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClaimAnswer {
    /// The runs, in the order they are to be executed.
    pub claimed: Vec<Claimed>,
    /// Every event written on the way: of the runs claimed, and of those that time had changed.
    pub events: Vec<Event>,
    /// When nothing was there: how long until something that is known of falls due.
    pub next_due_in: Option<Duration>,
}

/// A report with the random draw for its backoff, made by the caller so that stores stay deterministic.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnReport {
    /// The report.
    pub report: Report,
    /// 0..1.
    pub draw: f64,
}

/// How a store is, for `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What it is, such as `SQLite 3.54.1`.
    pub engine: String,
    /// Where it is; a password is left out.
    pub place: String,
    /// The schema's version.
    pub schema: u32,
    /// Whether acknowledged changes survive a power cut.
    pub durable: bool,
    /// What its durability does not cover, if anything.
    pub caveat: Option<String>,
    /// What was not looked for: how it is to be found out, in a line. None where all of it was read.
    pub not_checked: Option<&'static str>,
    /// What it found amiss.
    pub faults: Vec<Fault>,
}

/// Something amiss with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it concerns, in a word.
    pub what: &'static str,
    /// What is amiss, in a line.
    pub text: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// A database of runs.
#[async_trait]
pub trait Store: Sessions {
    /// Makes the runs, or finds those made before: by key first, then by id. One answer an item, in order; a project or agent
    /// task nobody made is refused before anything is looked up. An unknown workspace is `not_found` for the whole call.
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>>;

    /// Moves a few due timers, then gives up to `limit` runs. Does not wait. A named claim that gave something gives, when it is
    /// asked again, what its worker still holds of that, and nothing else.
    ///
    /// What it gives is held under `token`, whose hash alone is kept; a repeat replaces the hash, and so voids the token before. To
    /// anybody but the worker and the API token that made it, and to a caller who may not touch what it gave, a named claim is
    /// `conflict`.
    async fn claim(&self, caller: &Caller, request: &ClaimRequest, token: &LeaseToken)
    -> Result<ClaimAnswer>;

    /// Waits for a change past `seen`, for `longest` at most, and claims then; may come back early with nothing. A store that can
    /// start a claim sooner than its caller could, does so here.
    async fn claim_after(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        seen: u64,
        longest: Duration,
    ) -> Result<ClaimAnswer> {
        self.changed(seen, longest).await;
        self.claim(caller, request, token).await
    }

    /// Lengthens the leases of the runs held. One answer an item, in order.
    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>>;

    /// Ends executions. One answer an item, in order.
    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>>;

    /// Carries out a command: reads the run, asks [`RunCommand::decide`] and writes what it answers.
    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied>;

    /// Asks a rule about several runs, read under their locks, and writes what it answers in the same transaction. Of `ids`, those
    /// that do not exist or that the caller may not touch are left out. Answers what was written.
    ///
    /// The verbs of single runs have methods of their own; this is for rules that decide over many.
    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet>;

    /// Writes steps and log lines under a hold, together.
    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>>;

    /// Notes that bytes are about to be written under `location`: unless [`Store::put_file`] gives them a row before `due`, they are
    /// to be deleted then. So bytes whose writer died are found.
    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()>;

    /// Gives written bytes a row under a hold, in place of the file of the same name, whose bytes are to be deleted from then on.
    /// Refused as `unavailable` when the bytes were not expected, or not any more: then they may be deleted at any time. The same
    /// file again changes nothing.
    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile>;

    /// Lets go of a file under a hold; its bytes are to be deleted from then on. Nothing happens when there is none.
    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()>;

    /// Up to `limit` places whose bytes are to be deleted now: of rows that are gone, with their run, its workspace or by another
    /// file's coming, and of uploads that never got a row. Whose they were is not told.
    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>>;

    /// Notes that the bytes at these places are deleted.
    async fn forget_blobs(&self, locations: &[String]) -> Result<()>;

    /// Moves up to `limit` due timers of the workspace; how many there were, and what was written.
    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)>;

    /// One run.
    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run>;

    /// The run of an idempotency key.
    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>>;

    /// A page of runs.
    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>>;

    /// A run's steps, by attempt, then by epoch (a released attempt has several), then by ordinal.
    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>>;

    /// Up to `limit` of a run's events after `after`.
    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>>;

    /// Up to about `limit` of a run's log lines after `after`.
    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>>;

    /// A run's artifacts, by name in the order of its bytes. The kept work directory is none.
    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>>;

    /// A file of a run; `not_found` when it keeps none of that name.
    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile>;

    /// What is new of a run, at one instant.
    async fn news(&self, caller: &Caller, id: RunId, read: ReadSoFar) -> Result<News>;

    /// The figures.
    async fn stats(&self, caller: &Caller) -> Result<Stats>;

    /// Takes a batch of at most `limit` runs that `retention` lets go, or counts all of them in a dry run.
    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned>;

    /// Notes a worker's word; answers whether it was told to stop claiming.
    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool>;

    /// Forgets a worker that has stopped.
    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()>;

    /// The workers heard of within [`Worker::GONE_AFTER`].
    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>>;

    /// How many runs each worker holds: those it executes, those whose end it is just reporting, and CLEANUPs. Workers that hold none
    /// may be left out. Whoever asks, all runs of the workspace count.
    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>>;

    /// How many runs of its kind, that the caller may touch, a claim would give before `run`; [`crate::run::waiting::MOST_COUNTED`] at most.
    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64>;

    /// Tells a worker to stop claiming.
    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()>;

    /// The kinds somebody paused or resumed.
    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>>;

    /// Pauses a kind, or resumes it.
    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting>;

    /// The caller's workspace's projects.
    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>>;

    /// Makes a project; the same again is no error.
    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project>;

    /// The agent tasks, newest first, 100 at most; to a caller who is narrowed to projects those of his projects alone.
    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>>;

    /// Makes an agent task, of a project if one is named; the same again is no error. One that the caller may not see, or of another
    /// project than the one named, is `conflict`; a project nobody made is refused.
    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask>;

    /// Every workspace.
    async fn workspaces(&self) -> Result<Vec<Workspace>>;

    /// Makes a workspace; the same again is no error.
    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace>;

    /// Deletes a workspace and everything in it.
    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()>;

    /// The tokens of the caller's workspace, newest first.
    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>>;

    /// Keeps a token by its hash. A project that nobody made is refused, and `not_found` is an unknown workspace.
    async fn create_token(&self, caller: &Caller, id: TokenId, token: &NewToken, hash: &str)
    -> Result<Token>;

    /// Revokes a token of the caller's workspace; one that is revoked stays as it is.
    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token>;

    /// The token of a hash, whatever its workspace, revoked or expired or not.
    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>>;

    /// Notes that a token was used now.
    async fn use_token(&self, token: &Token) -> Result<()>;

    /// A page of what operators did in the caller's workspace, newest first. Each act that is one ([`crate::workspace::operator`]) writes its event
    /// in its own transaction.
    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>>;

    /// Up to `limit` events of the caller's workspace behind `after`, in the order of the stream: none is ever put before one
    /// that was read. A caller who is narrowed to projects reads of their runs alone.
    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>>;

    /// The end of the stream: what is committed from now on lies behind it. Where [`Store::stream`] then has nothing, a reader goes on
    /// from here, and does not walk again over what belongs to others.
    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition>;

    /// Up to `limit` events of the stream before `before`, or of its end, that are looked for; newest first. It walks over
    /// [`crate::workspace::audit::WALKED`] events at most, and says where to look on from.
    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage>;

    /// Adds the next events of the caller's workspace, up to `limit` of its stream, to its minutes ([`crate::figures::rollup`]). How many were
    /// looked at: none when there are no more, or somebody else is at it. A store that keeps what named claims gave forgets on the way
    /// those of an hour ago.
    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32>;

    /// Forgets what [`Store::roll_up`] has made of the caller's workspace, which then begins with the first event there is. Who is in the
    /// middle of it is waited for.
    async fn forget_figures(&self, caller: &Caller) -> Result<()>;

    /// How far [`Store::roll_up`] has read the stream of the caller's workspace.
    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition>;

    /// Everything that ever happened in the caller's workspace, kind by kind, as far as [`Store::roll_up`] has read. It only grows, until it is
    /// forgotten.
    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>>;

    /// The minutes of the caller's workspace from `since` on and before `before`, in their order, kind by kind; a minute in which
    /// nothing happened is left out. Refused to a caller who is narrowed to projects: they are of all of them.
    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>>;

    /// The present, by the clock the rules are given.
    async fn now(&self) -> Result<Timestamp>;

    /// How it is; `thorough` also looks for what takes longer. Damage is looked for as far as a store does so while others use it, and
    /// [`Health::not_checked`] says what that leaves out.
    async fn health(&self, thorough: bool) -> Result<Health>;

    /// What may be watched of the store itself; a few figures that cost little. What cannot be asked within two seconds is left out.
    async fn metrics(&self) -> Result<Vec<Metric>>;

    /// A number that grows when anything may have changed. Read it before looking, then wait with [`Store::changed`]: no
    /// change in between is missed.
    fn generation(&self) -> u64;

    /// Waits until the generation is past `seen`, or for `longest`. A hint: it may end early, and what other processes change
    /// may be noticed late, within half a second.
    async fn changed(&self, seen: u64, longest: Duration);
}
