//! [`Runs`] over HTTP: each method is a route.

use std::time::Duration;

use async_trait::async_trait;

use serde::Serialize;
use sprongus_core::rules::claim::MAX_CLAIM;
use sprongus_core::run::artifact::{Artifact, ArtifactName, ByteRange, ByteStream, Download};
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::list::{ListFilter, Page};
use sprongus_core::run::retention::{PruneMode, Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::run::step::{LogLine, NumberedLine, Step, StepReport};
use sprongus_core::run::view::{ClaimedView, NewsView, RunView};
use sprongus_core::run::waiting::OpenGate;
use sprongus_core::run::{Answer, Beat, ClaimRequest, Enqueued, Hold, NewRun, Report};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::names::{ClaimId, Kind, ProjectId, WorkerId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo,
};
use sprongus_core::{ErrorCode, Result, Runs};

use super::address::segment;
use super::call::Call;
use super::{RunsClient, enqueue, reading, transfer, work};
use crate::wire::directory::{
    AgentTaskBody, KindBody, KindNameBody, NewAgentTaskBody, NewProjectBody, ProjectBody, StatsBody,
    WorkerAnswerBody, WorkerBody, WorkerWordBody,
};
use crate::wire::gate::{ApproveBody, RejectBody, RetryBody};
use crate::wire::report::{ApprovalBody, ClaimBody, CleanedBody, ProgressBody, WaitBody};
use crate::wire::retention::{PruneBody, PrunedBody};
use crate::wire::run::artifact::ArtifactBody;
use crate::wire::run::step::StepBody;
use crate::wire::run::{ClaimedBody, RunBody};
use crate::wire::{Answers, List, millis};

/// How long retention may take: it goes on until nothing is left to take.
const PRUNING: Duration = Duration::from_secs(600);

impl RunsClient {
    /// A verb of one run.
    fn verb<T: Serialize>(id: RunId, verb: &str, body: &T) -> Result<Call> {
        Ok(Call::post(format!("/v1/runs/{id}:{verb}"), body)?.expecting(1))
    }

    async fn the_run(&self, call: Call) -> Result<RunView> {
        Ok(self.call::<RunBody>(call).await?.into_view())
    }

    async fn whole_list<T: serde::de::DeserializeOwned, U: From<T>>(&self, path: &str) -> Result<Vec<U>> {
        let list: List<T> = self.call(Call::get(path)).await?;
        Ok(list.data.into_iter().map(U::from).collect())
    }

    /// The run; none where the token may not read runs.
    async fn run_if_readable(&self, id: RunId) -> Result<Option<RunView>> {
        match self.get(id).await {
            Ok(run) => Ok(Some(run)),
            Err(error) if error.code() == ErrorCode::Forbidden => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl Runs for RunsClient {
    async fn enqueue(&self, runs: Vec<NewRun>, batch: Batch) -> Result<Vec<Result<Enqueued>>> {
        enqueue::enqueue(self, runs, batch).await
    }

    /// Under a name, so that a repeat gives the same runs. Dropped, the connection is closed.
    async fn claim(&self, request: ClaimRequest) -> Result<Vec<ClaimedView>> {
        let (wait, runs) = (request.wait, request.limit.min(MAX_CLAIM) as usize);
        let claim_id = request.claim_id.clone().or_else(|| Some(ClaimId::fresh()));
        let body = ClaimBody::from(ClaimRequest { claim_id, ..request });
        let call = Call::post("/v1/runs:claim", &body)?.waiting(wait).expecting(runs);
        let claimed: Answers<ClaimedBody> = self.call(call).await?;
        Ok(claimed.data.into_iter().map(ClaimedBody::into_claimed).collect())
    }

    async fn heartbeat(&self, holds: Vec<Hold>, lease: Option<Duration>) -> Result<Vec<Result<Beat>>> {
        work::heartbeat(self, holds, lease).await
    }

    async fn finish(&self, worker: &WorkerId, reports: Vec<Report>) -> Result<Vec<Result<RunView>>> {
        work::finish(self, worker, reports).await
    }

    async fn wait(&self, hold: &Hold, step_id: StepId, timeout: Option<Duration>) -> Result<RunView> {
        let approval = ApprovalBody { timeout_ms: timeout.map(millis) };
        let Hold { id, worker_id, epoch, token: lease_token } = hold.clone();
        let body = WaitBody { worker_id, epoch, lease_token, step_id, approval };
        self.the_run(Self::verb(id, "wait", &body)?).await
    }

    /// With a message it is not repeated when its outcome is not known: each is an event of its own.
    async fn progress(&self, hold: &Hold, percent: u32, message: Option<String>) -> Result<RunView> {
        let is_repeatable = message.is_none();
        let Hold { id, worker_id, epoch, token: lease_token } = hold.clone();
        let body = ProgressBody { worker_id, epoch, lease_token, progress: percent, message };
        let call = Self::verb(id, "progress", &body)?;
        self.the_run(if is_repeatable { call } else { call.once() }).await
    }

    async fn record(&self, hold: &Hold, steps: Vec<StepReport>, lines: Vec<LogLine>) -> Result<()> {
        work::record(self, hold, steps, lines).await
    }

    /// Not repeated: the bytes are there once.
    async fn put_artifact(
        &self,
        hold: &Hold,
        name: &ArtifactName,
        content_type: &str,
        body: ByteStream,
    ) -> Result<Artifact> {
        transfer::put_artifact(self, hold, name, content_type, body).await
    }

    /// Not repeated: the bytes are there once.
    async fn keep_workdir(&self, hold: &Hold, body: ByteStream) -> Result<()> {
        transfer::keep_workdir(self, hold, body).await
    }

    async fn workdir(&self, hold: &Hold) -> Result<Option<ByteStream>> {
        transfer::workdir(self, hold).await
    }

    async fn drop_workdir(&self, hold: &Hold) -> Result<()> {
        transfer::drop_workdir(self, hold).await
    }

    async fn cleaned(&self, hold: &Hold, gone_at: Timestamp) -> Result<RunView> {
        let Hold { id, worker_id, epoch, token: lease_token } = hold.clone();
        let body = CleanedBody { worker_id, epoch, lease_token, gone_at };
        self.the_run(Self::verb(id, "cleaned", &body)?).await
    }

    async fn cancel(&self, id: RunId) -> Result<RunView> {
        self.the_run(Self::verb(id, "cancel", &serde_json::Map::new())?).await
    }

    /// Always for an epoch, which a repeat cannot outlive; where the caller names none, for that of now.
    async fn retry(&self, id: RunId, if_epoch: Option<u64>) -> Result<RunView> {
        let if_epoch = match if_epoch {
            Some(epoch) => Some(epoch),
            // One that is queued has nothing to be retried. With its epoch it might be taken for the repeat of a retry.
            None => {
                self.run_if_readable(id).await?.filter(|run| run.state != State::Queued).map(|run| run.epoch)
            }
        };
        let call = Self::verb(id, "retry", &RetryBody { if_epoch })?;
        self.the_run(if if_epoch.is_some() { call } else { call.once() }).await
    }

    /// Always at a step, so that a repeat cannot answer the next gate; where the caller names none, at the one it waits at now.
    async fn answer(
        &self,
        id: RunId,
        step_id: Option<StepId>,
        answer: Answer,
        comment: Option<String>,
    ) -> Result<RunView> {
        let step_id = match step_id {
            Some(step) => Some(step),
            None => self.run_if_readable(id).await?.and_then(|run| Some(run.waiting_for?.step_id)),
        };
        let call = match answer {
            Answer::Approved => Self::verb(id, "approve", &ApproveBody { step_id, comment })?,
            Answer::Rejected => {
                Self::verb(id, "reject", &RejectBody { step_id, reason: comment.unwrap_or_default() })?
            }
        };
        self.the_run(if step_id.is_some() { call } else { call.once() }).await
    }

    async fn get(&self, id: RunId) -> Result<RunView> {
        self.the_run(Call::get(format!("/v1/runs/{id}")).expecting(1)).await
    }

    async fn find_by_key(&self, key: &str) -> Result<Option<RunView>> {
        reading::find_by_key(self, key).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<Page<RunView>> {
        reading::list(self, filter).await
    }

    async fn gates(&self, filter: &ListFilter) -> Result<Page<OpenGate>> {
        reading::gates(self, filter).await
    }

    async fn steps(&self, id: RunId) -> Result<Vec<Step>> {
        let list: List<StepBody> = self.call(Call::get(format!("/v1/runs/{id}/steps"))).await?;
        Ok(list.data.into_iter().map(StepBody::into_step).collect())
    }

    async fn events(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        reading::events(self, id, after, limit).await
    }

    async fn logs(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        reading::logs(self, id, after, limit).await
    }

    async fn artifacts(&self, id: RunId) -> Result<Vec<Artifact>> {
        self.whole_list::<ArtifactBody, _>(&format!("/v1/runs/{id}/artifacts")).await
    }

    async fn artifact(&self, id: RunId, name: &ArtifactName, range: Option<ByteRange>) -> Result<Download> {
        transfer::artifact(self, id, name, range).await
    }

    async fn follow(&self, id: RunId, read: ReadSoFar, wait: Duration) -> Result<NewsView> {
        reading::follow(self, id, read, wait).await
    }

    async fn stats(&self) -> Result<Stats> {
        Ok(self.call::<StatsBody>(Call::get("/v1/stats")).await?.into())
    }

    /// Not repeated when its outcome is not known: a repeat would count what is left.
    async fn prune(&self, retention: &Retention, mode: PruneMode) -> Result<Pruned> {
        let call = Call::post("/v1/runs:prune", &PruneBody::new(retention, mode))?.waiting(PRUNING);
        Ok(self.call::<PrunedBody>(if mode == PruneMode::DryRun { call } else { call.once() }).await?.into())
    }

    async fn see_worker(&self, worker: &WorkerInfo) -> Result<bool> {
        let path = format!("/v1/workers/{}", segment(worker.id.as_str()));
        let answer: WorkerAnswerBody = self.call(Call::put(path, &WorkerWordBody::from(worker))?).await?;
        Ok(answer.drain)
    }

    async fn forget_worker(&self, worker: &WorkerId) -> Result<()> {
        self.tell(Call::delete(format!("/v1/workers/{}", segment(worker.as_str())))).await
    }

    async fn workers(&self) -> Result<Vec<Worker>> {
        self.whole_list::<WorkerBody, _>("/v1/workers").await
    }

    async fn drain_worker(&self, worker: &WorkerId) -> Result<()> {
        let path = format!("/v1/workers/{}:drain", segment(worker.as_str()));
        self.tell(Call::post(path, &serde_json::Map::new())?).await
    }

    async fn kinds(&self) -> Result<Vec<KindSetting>> {
        self.whole_list::<KindBody, _>("/v1/kinds").await
    }

    async fn pause_kind(&self, kind: &Kind, paused: bool) -> Result<KindSetting> {
        let path = if paused { "/v1/kinds:pause" } else { "/v1/kinds:resume" };
        Ok(self.call::<KindBody>(Call::post(path, &KindNameBody { kind: kind.clone() })?).await?.into())
    }

    async fn projects(&self) -> Result<Vec<Project>> {
        self.whole_list::<ProjectBody, _>("/v1/projects").await
    }

    async fn create_project(&self, id: &ProjectId) -> Result<Project> {
        Ok(self
            .call::<ProjectBody>(Call::post("/v1/projects", &NewProjectBody { id: id.clone() })?)
            .await?
            .into())
    }

    async fn agent_tasks(&self) -> Result<Vec<AgentTask>> {
        self.whole_list::<AgentTaskBody, _>("/v1/agent-tasks").await
    }

    async fn create_agent_task(&self, task: NewAgentTask) -> Result<AgentTask> {
        let body = NewAgentTaskBody { id: Some(task.id), title: task.title, project_id: task.project_id };
        Ok(self.call::<AgentTaskBody>(Call::post("/v1/agent-tasks", &body)?).await?.into())
    }
}
