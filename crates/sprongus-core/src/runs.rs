//! Everything anyone may ask. The command line, the worker and the API handlers know this trait alone; it is implemented
//! over a store ([`crate::service::RunsService`]) and, for another machine's server, over HTTP.
//!
//! The batch is the primitive; what is said of one run at a time stands on it in [`RunsExt`].

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Error, Result};
use crate::json::Json;
use crate::run::artifact::{Artifact, ArtifactName, ByteRange, ByteStream, Download};
use crate::run::event::Event;
use crate::run::follow::ReadSoFar;
use crate::run::list::{ListFilter, Page};
use crate::run::retention::{PruneMode, Pruned, Retention};
use crate::run::step::{LogLine, NumberedLine, Step, StepReport};
use crate::run::view::{ClaimedView, NewsView, RunView};
use crate::run::waiting::OpenGate;
use crate::run::{Answer, Beat, ClaimRequest, Enqueued, Hold, NewRun, Outcome, Report};
use crate::store::Batch;
use crate::values::ids::{RunId, StepId};
use crate::values::names::{Kind, ProjectId, WorkerId};
use crate::values::time::Timestamp;
use crate::workspace::directory::{AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo};

pub use crate::workspace::caller::Caller;

/// Everything anyone may ask of the runs of one workspace.
#[async_trait]
pub trait Runs: Send + Sync + 'static {
    /// Makes runs, or finds those that the same keys and requests had made. One answer an item, in order; with
    /// [`Batch::AllOrNothing`] the first refusal leaves nothing behind.
    async fn enqueue(&self, runs: Vec<NewRun>, batch: Batch) -> Result<Vec<Result<Enqueued>>>;

    /// Takes due runs, waiting for some as long as the request says.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<ClaimedView>>;

    /// Lengthens leases; with `lease`, to that length from now on. One answer an item, in order.
    async fn heartbeat(&self, holds: Vec<Hold>, lease: Option<Duration>) -> Result<Vec<Result<Beat>>>;

    /// Ends executions. One answer an item, in order.
    async fn finish(&self, worker: &WorkerId, reports: Vec<Report>) -> Result<Vec<Result<RunView>>>;

    /// Lets go of a run until somebody answers at a step.
    async fn wait(&self, hold: &Hold, step_id: StepId, timeout: Option<Duration>) -> Result<RunView>;

    /// Tells how far a run is.
    async fn progress(&self, hold: &Hold, percent: u32, message: Option<String>) -> Result<RunView>;

    /// Records steps and log lines.
    async fn record(&self, hold: &Hold, steps: Vec<StepReport>, lines: Vec<LogLine>) -> Result<()>;

    /// Keeps a file of the run, in place of the one of the same name. The bytes are read as they are written, once; a caller that
    /// repeats the call after `unavailable` brings them again.
    async fn put_artifact(
        &self,
        hold: &Hold,
        name: &ArtifactName,
        content_type: &str,
        body: ByteStream,
    ) -> Result<Artifact>;

    /// Keeps the work directory of a run that is about to wait at a gate, as one file.
    async fn keep_workdir(&self, hold: &Hold, body: ByteStream) -> Result<()>;

    /// The work directory that was kept, if one was.
    async fn workdir(&self, hold: &Hold) -> Result<Option<ByteStream>>;

    /// Lets go of the kept work directory: it is in place again, or not needed any more.
    async fn drop_workdir(&self, hold: &Hold) -> Result<()>;

    /// Tells that an ended run's CLEANUP is done and since when its process is gone.
    async fn cleaned(&self, hold: &Hold, gone_at: Timestamp) -> Result<RunView>;

    /// Calls a run off.
    async fn cancel(&self, id: RunId) -> Result<RunView>;

    /// Gives a failed or canceled run another budget of attempts.
    async fn retry(&self, id: RunId, if_epoch: Option<u64>) -> Result<RunView>;

    /// Answers a waiting gate.
    async fn answer(
        &self,
        id: RunId,
        step_id: Option<StepId>,
        answer: Answer,
        comment: Option<String>,
    ) -> Result<RunView>;

    /// One run, and what it waits for.
    async fn get(&self, id: RunId) -> Result<RunView>;

    /// The run of an idempotency key.
    async fn find_by_key(&self, key: &str) -> Result<Option<RunView>>;

    /// A page of runs, and what each waits for.
    async fn list(&self, filter: &ListFilter) -> Result<Page<RunView>>;

    /// A page of the gates that wait for an approval, of the runs that `filter` lets through.
    async fn gates(&self, filter: &ListFilter) -> Result<Page<OpenGate>>;

    /// A run's steps, by attempt and ordinal.
    async fn steps(&self, id: RunId) -> Result<Vec<Step>>;

    /// Up to `limit` of a run's events after `after`.
    async fn events(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>>;

    /// Up to about `limit` of a run's log lines after `after`.
    async fn logs(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>>;

    /// A run's artifacts, by name.
    async fn artifacts(&self, id: RunId) -> Result<Vec<Artifact>>;

    /// Reads an artifact, or a part of it; a range that means no byte of it is `validation`.
    async fn artifact(&self, id: RunId, name: &ArtifactName, range: Option<ByteRange>) -> Result<Download>;

    /// What is new of a run; waits up to `wait` for something to be.
    async fn follow(&self, id: RunId, read: ReadSoFar, wait: Duration) -> Result<NewsView>;

    /// Counts by kind and state, ages, and the percentiles of the last hour.
    async fn stats(&self) -> Result<Stats>;

    /// Takes what retention lets go, or counts it. In [`PruneMode::Checked`] it is `conflict` when there is something to take and the
    /// clock may be wrong.
    async fn prune(&self, retention: &Retention, mode: PruneMode) -> Result<Pruned>;

    /// A worker's word that it lives; answers whether it should stop claiming.
    async fn see_worker(&self, worker: &WorkerInfo) -> Result<bool>;

    /// A worker's word that it has stopped.
    async fn forget_worker(&self, worker: &WorkerId) -> Result<()>;

    /// The workers that live.
    async fn workers(&self) -> Result<Vec<Worker>>;

    /// Tells a worker to stop claiming.
    async fn drain_worker(&self, worker: &WorkerId) -> Result<()>;

    /// The kinds somebody paused or resumed.
    async fn kinds(&self) -> Result<Vec<KindSetting>>;

    /// Pauses a kind, or resumes it.
    async fn pause_kind(&self, kind: &Kind, paused: bool) -> Result<KindSetting>;

    /// All projects of the workspace; to a caller who is narrowed to projects, those alone.
    async fn projects(&self) -> Result<Vec<Project>>;

    /// Makes a project; the same again is no error.
    async fn create_project(&self, id: &ProjectId) -> Result<Project>;

    /// The agent tasks, newest first, 100 at most; to a caller who is narrowed to projects those of his projects alone.
    async fn agent_tasks(&self) -> Result<Vec<AgentTask>>;

    /// Makes an agent task; the same again is no error. A caller who is narrowed to one project makes it there, one who is narrowed to
    /// several has to name one. An id that belongs to what the caller may not see is `conflict`.
    async fn create_agent_task(&self, task: NewAgentTask) -> Result<AgentTask>;
}

/// One run at a time, on top of the batches.
#[async_trait]
pub trait RunsExt: Runs {
    /// Makes one run, or finds the one made before.
    async fn enqueue_one(&self, run: NewRun) -> Result<Enqueued> {
        only(self.enqueue(vec![run], Batch::EachAlone).await?)
    }

    /// Takes up to `limit` due runs of any kind.
    async fn claim_next(&self, worker: &WorkerId, limit: u32) -> Result<Vec<ClaimedView>> {
        self.claim(ClaimRequest::new(worker.clone(), limit)).await
    }

    /// Ends an execution with a result.
    async fn succeed(
        &self,
        hold: &Hold,
        result: Option<Json>,
        output_ref: Option<String>,
    ) -> Result<RunView> {
        self.finish_one(hold, Outcome::Succeed { result, output_ref }).await
    }

    /// Ends an execution with an error; the backoff is the default one.
    async fn fail(&self, hold: &Hold, error: &str, retryable: bool) -> Result<RunView> {
        self.finish_one(hold, Outcome::Fail { error: error.to_owned(), retryable, retry_in: None }).await
    }

    /// Gives a run back untouched.
    async fn release(&self, hold: &Hold) -> Result<RunView> {
        self.finish_one(hold, Outcome::Release).await
    }

    /// Ends one execution.
    async fn finish_one(&self, hold: &Hold, outcome: Outcome) -> Result<RunView> {
        only(self.finish(&hold.worker_id, vec![hold.report(outcome)]).await?)
    }

    /// The run of `key`: made by `factory` if there is none, which is not called again once there is. When two make it at
    /// once, one is made, and both get it.
    ///
    /// # Errors
    /// As an enqueue; `idempotency_key_reused` when two factories disagree.
    async fn ensure_idempotent<F, M>(&self, key: &str, factory: F) -> Result<Enqueued>
    where
        F: FnOnce() -> M + Send,
        M: Future<Output = Result<NewRun>> + Send,
    {
        if let Some(run) = self.find_by_key(key).await? {
            return Ok(Enqueued { run, outcome: crate::run::Enqueue::Existing });
        }
        let run = NewRun { idempotency_key: Some(key.to_owned()), ..factory().await? };
        self.enqueue_one(run).await
    }
}

impl<R: Runs + ?Sized> RunsExt for R {}

/// The one answer to a batch of one.
fn only<T>(answers: Vec<Result<T>>) -> Result<T> {
    answers.into_iter().next().unwrap_or_else(|| Err(Error::internal("a batch of one had no answer")))
}
