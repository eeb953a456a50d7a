//! A [`Store`] in Postgres: any number of servers and workers on one database.
//!
//! Each verb stands in the file of its name. The hot ones (enqueue, claim, heartbeat, success) are one statement for a whole batch,
//! which carries its guard in SQL; whatever is not the usual case is read under its lock, put before the core's rule and written
//! back (`writing.rs`). Callers of one process share transactions (`gather.rs`). Every transaction names its workspace to the
//! policies of row-level security, and every statement names it again. What is left to others: what a caller may do, by
//! project, is checked here; by scope, where tokens are known.

mod artifact;
mod audit;
mod claim;
mod command;
mod directory;
mod enqueue;
mod enqueue_in;
mod expire;
mod fault;
mod finish;
mod gather;
mod health;
mod heartbeat;
mod inspect;
mod list;
mod load;
mod migrate;
mod open;
mod operator;
#[cfg(test)]
mod plans;
mod prune;
mod read;
mod recent;
mod record;
mod repeat;
mod rollup;
mod rows;
pub mod scratch;
mod session;
mod sign_in;
mod stats;
mod stream;
mod tls;
mod token;
mod values;
mod waiting;
mod wake;
mod write_set;
mod youth;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sprongus_core::Result;
use sprongus_core::figures::metric::{Metric, SizeCounter};
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
use tokio_postgres::Config;

pub use enqueue_in::enqueue_in;
pub use inspect::{Snapshot, inspect, program_environment, snapshot};
pub use migrate::{Migration, latest as latest_schema};
pub use open::{Durability, Options, check_url, place};

use claim::Marks;
use finish::Told;
use gather::Gather;
use repeat::{Repeatable, look, repeat};
use session::{Database, in_time};
use wake::Wake;
use youth::Youth;

/// Who waits for work looks at most so often, however much happens.
const LOOKS_APART: Duration = Duration::from_millis(4);

/// How long figures may be waited for that only the server knows.
const METRICS_WAIT: Duration = Duration::from_secs(2);

/// A database of runs on a server.
pub struct Postgres {
    database: Database,
    config: Config,
    schema: String,
    wake: Arc<Wake>,
    marks: Marks,
    youth: Youth,
    batches: Arc<SizeCounter>,
    enqueues: Gather<enqueue::Asked, Result<Inserted>>,
    finishes: Gather<Told, Result<Applied>>,
}

impl Postgres {
    /// Connects, and looks whether the server may be trusted with runs. Migrates nothing.
    ///
    /// # Errors
    /// `validation` for a URL that cannot be read; `unauthenticated`, `forbidden`, `not_found` or `unavailable` when the server, the
    /// role or the database is not there for us, or promises less than [`Durability`] asks; `schema_mismatch` when the schema is
    /// missing, older or newer than this program.
    pub async fn connect(url: &str, options: Options) -> Result<Self> {
        let config = open::config(url, &options.schema)?;
        let working = open::working(&config, &options.schema);
        let client = migrate::connect(&working).await?;
        in_time(open::check(&client, &options)).await?;
        drop(client);
        let wake = Wake::new(options.listen.then(|| config.clone()));
        let database = Database::new(&working, options.pool_size, options.clock, Arc::clone(&wake))?;
        let (enqueuing, finishing) = (database.clone(), database.clone());
        let batches: Arc<SizeCounter> = Arc::default();
        let enqueues = Gather::start(Arc::clone(&batches), move |caller, asked: Vec<enqueue::Asked>| {
            let database = enqueuing.clone();
            Box::pin(async move {
                repeat(Repeatable::Yes, |is_repeat| enqueue::each(&database, &caller, &asked, is_repeat))
                    .await
            })
        });
        let finishes = Gather::start(Arc::clone(&batches), move |caller, told: Vec<Told>| {
            let database = finishing.clone();
            Box::pin(async move { repeat(Repeatable::Yes, |_| finish::run(&database, &caller, &told)).await })
        });
        let (schema, marks, youth) = (options.schema, Marks::default(), Youth::default());
        Ok(Self { database, config, schema, wake, marks, youth, batches, enqueues, finishes })
    }
}

/// The migrations a database lacks, without applying them.
///
/// # Errors
/// As [`Postgres::connect`].
pub async fn pending(url: &str, options: &Options) -> Result<Vec<Migration>> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    in_time(migrate::check_server(&client)).await?;
    Ok(migrate::after(in_time(migrate::version(&client, &options.schema)).await?, &options.schema))
}

/// Brings the database up to this program's schema, and grants `role` what a server needs; answers what was applied.
///
/// # Errors
/// As [`Postgres::connect`]; `not_found` or `forbidden` for a role that does not exist or bypasses row-level security.
pub async fn migrate(url: &str, options: &Options, role: Option<&str>) -> Result<Vec<Migration>> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    Ok(migrate::migrate(&client, &options.schema, migrate::latest(), role).await?)
}

/// Brings the database up to an earlier schema, as an earlier program left it: what an upgrade is tried on.
///
/// # Errors
/// As [`Postgres::connect`].
pub async fn migrate_to(url: &str, options: &Options, number: u32) -> Result<()> {
    let client = migrate::connect(&open::config(url, &options.schema)?).await?;
    migrate::migrate(&client, &options.schema, number, None).await?;
    Ok(())
}

#[async_trait]
impl Store for Postgres {
    async fn enqueue(
        &self,
        caller: &Caller,
        requests: Vec<Prepared>,
        batch: Batch,
    ) -> Result<Vec<Result<Inserted>>> {
        if requests.iter().any(|request| request.priority > 0) {
            self.marks.forget(caller);
        }
        let asked: Vec<enqueue::Asked> =
            requests.into_iter().map(|request| (caller.actor.clone(), request)).collect();
        match batch {
            Batch::EachAlone => self.enqueues.put(caller, asked).await,
            Batch::AllOrNothing => {
                repeat(Repeatable::Yes, |_| enqueue::whole(&self.database, caller, &asked)).await
            }
        }
    }

    async fn claim(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
    ) -> Result<ClaimAnswer> {
        let answer = claim::safely(&self.database, &self.marks, caller, request, token).await?;
        self.youth.took(&self.database, answer.claimed.len());
        Ok(answer)
    }

    async fn claim_after(
        &self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        seen: u64,
        longest: Duration,
    ) -> Result<ClaimAnswer> {
        let began = tokio::time::Instant::now();
        self.changed(seen, longest).await;
        tokio::time::sleep_until(began + LOOKS_APART.min(longest)).await;
        self.claim(caller, request, token).await
    }

    async fn heartbeat(
        &self,
        caller: &Caller,
        holds: Vec<Hold>,
        lease: Option<Duration>,
    ) -> Result<Vec<Result<Beat>>> {
        repeat(Repeatable::Yes, |_| heartbeat::run(&self.database, caller, &holds, lease)).await
    }

    async fn finish(
        &self,
        caller: &Caller,
        worker: &WorkerId,
        reports: Vec<DrawnReport>,
    ) -> Result<Vec<Result<Applied>>> {
        self.marks.forget_released(caller, &reports);
        let told = reports.into_iter();
        let told = told.map(|report| Told { actor: caller.actor.clone(), worker: worker.clone(), report });
        self.finishes.put(caller, told.collect()).await
    }

    async fn apply(&self, caller: &Caller, id: RunId, command: RunCommand) -> Result<Applied> {
        self.marks.forget(caller);
        repeat(command::repeatable(&command), |is_repeat| {
            command::run(&self.database, caller, id, &command, is_repeat)
        })
        .await
    }

    async fn decide(&self, caller: &Caller, ids: &[RunId], rule: Rule) -> Result<WriteSet> {
        self.marks.forget(caller);
        repeat(Repeatable::No, |_| command::decide(&self.database, caller, ids, &rule)).await
    }

    async fn record(
        &self,
        caller: &Caller,
        hold: &Hold,
        steps: Vec<StepReport>,
        lines: Vec<LogLine>,
    ) -> Result<Vec<Event>> {
        let record = |is_repeat| record::run(&self.database, caller, hold, &steps, lines.clone(), is_repeat);
        repeat(Repeatable::Yes, record).await
    }

    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()> {
        look(|| artifact::expect(&self.database, location, due)).await
    }

    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile> {
        look(|| artifact::put(&self.database, caller, hold, &file)).await
    }

    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()> {
        look(|| artifact::drop_file(&self.database, caller, hold, name)).await
    }

    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>> {
        look(|| artifact::unwanted(&self.database, limit)).await
    }

    async fn forget_blobs(&self, locations: &[String]) -> Result<()> {
        look(|| artifact::forget(&self.database, locations)).await
    }

    async fn expire(&self, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
        repeat(Repeatable::Yes, |_| expire::run(&self.database, caller, limit)).await
    }

    async fn get(&self, caller: &Caller, id: RunId) -> Result<Run> {
        look(|| read::get(&self.database, caller, id)).await
    }

    async fn find_by_key(&self, caller: &Caller, key: &str) -> Result<Option<Run>> {
        look(|| read::find_by_key(&self.database, caller, key)).await
    }

    async fn list(&self, caller: &Caller, filter: &ListFilter) -> Result<Page<Run>> {
        look(|| list::list(&self.database, caller, filter)).await
    }

    async fn steps(&self, caller: &Caller, id: RunId) -> Result<Vec<Step>> {
        look(|| read::steps(&self.database, caller, id)).await
    }

    async fn events(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        look(|| read::events(&self.database, caller, id, after, limit)).await
    }

    async fn logs(&self, caller: &Caller, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        look(|| read::logs(&self.database, caller, id, after, limit)).await
    }

    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>> {
        look(|| artifact::artifacts(&self.database, caller, id)).await
    }

    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile> {
        look(|| artifact::file(&self.database, caller, id, name)).await
    }

    async fn news(&self, caller: &Caller, id: RunId, so_far: ReadSoFar) -> Result<News> {
        look(|| read::news(&self.database, caller, id, so_far)).await
    }

    async fn stats(&self, caller: &Caller) -> Result<Stats> {
        look(|| stats::stats(&self.database, caller)).await
    }

    async fn prune(
        &self,
        caller: &Caller,
        retention: &Retention,
        limit: u32,
        dry_run: bool,
    ) -> Result<Pruned> {
        look(|| prune::run(&self.database, caller, retention, limit, dry_run)).await
    }

    async fn see_worker(&self, caller: &Caller, worker: &WorkerInfo) -> Result<bool> {
        look(|| directory::see_worker(&self.database, caller, worker)).await
    }

    async fn forget_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        look(|| directory::forget_worker(&self.database, caller, worker)).await
    }

    async fn workers(&self, caller: &Caller) -> Result<Vec<Worker>> {
        look(|| directory::workers(&self.database, caller)).await
    }

    async fn held(&self, caller: &Caller) -> Result<BTreeMap<WorkerId, u64>> {
        look(|| waiting::held(&self.database, caller)).await
    }

    async fn ahead(&self, caller: &Caller, run: &Run) -> Result<u64> {
        look(|| waiting::ahead(&self.database, caller, run)).await
    }

    async fn drain_worker(&self, caller: &Caller, worker: &WorkerId) -> Result<()> {
        look(|| directory::drain_worker(&self.database, caller, worker)).await
    }

    async fn kinds(&self, caller: &Caller) -> Result<Vec<KindSetting>> {
        look(|| directory::kinds(&self.database, caller)).await
    }

    async fn pause_kind(&self, caller: &Caller, kind: &Kind, paused: bool) -> Result<KindSetting> {
        look(|| directory::pause_kind(&self.database, caller, kind, paused)).await
    }

    async fn projects(&self, caller: &Caller) -> Result<Vec<Project>> {
        look(|| directory::projects(&self.database, caller)).await
    }

    async fn create_project(&self, caller: &Caller, id: &ProjectId) -> Result<Project> {
        look(|| directory::create_project(&self.database, caller, id)).await
    }

    async fn agent_tasks(&self, caller: &Caller) -> Result<Vec<AgentTask>> {
        look(|| directory::agent_tasks(&self.database, caller)).await
    }

    async fn create_agent_task(&self, caller: &Caller, task: &NewAgentTask) -> Result<AgentTask> {
        look(|| directory::create_agent_task(&self.database, caller, task)).await
    }

    async fn workspaces(&self) -> Result<Vec<Workspace>> {
        look(|| directory::workspaces(&self.database)).await
    }

    async fn create_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<Workspace> {
        look(|| directory::create_workspace(&self.database, caller, id)).await
    }

    async fn delete_workspace(&self, caller: &Caller, id: &WorkspaceId) -> Result<()> {
        repeat(Repeatable::No, |_| directory::delete_workspace(&self.database, caller, id)).await
    }

    async fn tokens(&self, caller: &Caller) -> Result<Vec<Token>> {
        look(|| token::tokens(&self.database, caller)).await
    }

    async fn create_token(
        &self,
        caller: &Caller,
        id: TokenId,
        token: &NewToken,
        hash: &str,
    ) -> Result<Token> {
        look(|| token::create_token(&self.database, caller, id, token, hash)).await
    }

    async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<Token> {
        look(|| token::revoke_token(&self.database, caller, id)).await
    }

    async fn token_by_hash(&self, hash: &str) -> Result<Option<Token>> {
        look(|| token::token_by_hash(&self.database, hash)).await
    }

    async fn use_token(&self, token: &Token) -> Result<()> {
        look(|| token::use_token(&self.database, token)).await
    }

    async fn operator_events(&self, caller: &Caller, filter: &OperatorFilter) -> Result<Page<OperatorEvent>> {
        look(|| operator::events(&self.database, caller, filter)).await
    }

    async fn stream(&self, caller: &Caller, after: StreamPosition, limit: u32) -> Result<Vec<Streamed>> {
        look(|| stream::stream(&self.database, caller, after, limit)).await
    }

    async fn stream_end(&self, caller: &Caller) -> Result<StreamPosition> {
        look(|| stream::stream_end(&self.database, caller)).await
    }

    async fn audit(
        &self,
        caller: &Caller,
        before: Option<StreamPosition>,
        filter: &AuditFilter,
        limit: NonZeroU32,
    ) -> Result<AuditPage> {
        look(|| audit::audit(&self.database, caller, before, filter, limit)).await
    }

    async fn roll_up(&self, caller: &Caller, limit: u32) -> Result<u32> {
        look(|| rollup::roll_up(&self.database, caller, limit)).await
    }

    async fn forget_figures(&self, caller: &Caller) -> Result<()> {
        look(|| rollup::forget(&self.database, caller)).await
    }

    async fn rolled_up_to(&self, caller: &Caller) -> Result<StreamPosition> {
        look(|| rollup::read_to(&self.database, caller)).await
    }

    async fn totals(&self, caller: &Caller) -> Result<BTreeMap<String, Totals>> {
        look(|| rollup::totals(&self.database, caller)).await
    }

    async fn minutes(&self, caller: &Caller, since: Timestamp, before: Timestamp) -> Result<Vec<Minute>> {
        look(|| rollup::minutes(&self.database, caller, since, before)).await
    }

    async fn now(&self) -> Result<Timestamp> {
        look(|| directory::now(&self.database)).await
    }

    async fn health(&self, thorough: bool) -> Result<Health> {
        health::of_all(&self.database, &self.config, &self.schema, thorough).await
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        let mut metrics = health::own_metrics(&self.database, self.batches.read());
        // When no connection is to be had is when the others are wanted most.
        let asked = tokio::time::timeout(METRICS_WAIT, look(|| health::snapshots(&self.database))).await;
        metrics.extend(asked.ok().and_then(Result::ok).unwrap_or_default());
        Ok(metrics)
    }

    fn generation(&self) -> u64 {
        self.wake.generation()
    }

    async fn changed(&self, seen: u64, longest: Duration) {
        self.wake.changed(seen, longest).await;
    }
}
