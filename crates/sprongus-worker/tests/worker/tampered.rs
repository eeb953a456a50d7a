//! Runs over a line that can be cut: calls of a chosen sort fail as if the store could not be reached, or are carried out and
//! their answers lost; and kept work directories come back as a test wants them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use sprongus_core::error::{Error, ErrorCode, Result};
use sprongus_core::run::artifact::{Artifact, ArtifactName, ByteRange, ByteStream, Download};
use sprongus_core::run::event::Event;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::list::{ListFilter, Page};
use sprongus_core::run::retention::{PruneMode, Pruned, Retention};
use sprongus_core::run::step::{LogLine, NumberedLine, Step, StepReport};
use sprongus_core::run::view::{ClaimedView, NewsView, RunView};
use sprongus_core::run::waiting::OpenGate;
use sprongus_core::run::{Answer, Beat, ClaimRequest, Enqueued, Hold, NewRun, Report};
use sprongus_core::runs::Runs;
use sprongus_core::store::Batch;
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::values::names::{Kind, ProjectId, WorkerId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{
    AgentTask, KindSetting, NewAgentTask, Project, Stats, Worker, WorkerInfo,
};

use crate::scene::eventually;

/// A sort of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Heartbeat,
    Finish,
    Claim,
    Wait,
    KeepWorkdir,
    DropWorkdir,
    PutArtifact,
    Record,
    Cleaned,
}

pub struct Tampered {
    inner: Arc<dyn Runs>,
    cut: Mutex<HashMap<Call, ErrorCode>>,
    /// Runs whose reports are refused for nothing of their own.
    stumbles: Mutex<HashSet<RunId>>,
    lost: Mutex<HashMap<Call, u32>>,
    /// What is given for a kept work directory, one after the other, instead of what is kept.
    given: Mutex<Vec<Vec<io::Result<Bytes>>>>,
    /// How many calls of a sort were refused.
    refused: Mutex<HashMap<Call, usize>>,
    /// Whether a claim that may wait is never answered.
    is_silent: AtomicBool,
    /// Claims under way.
    claims: AtomicUsize,
    pub waits: AtomicUsize,
    pub keeps: AtomicUsize,
    pub beats: AtomicUsize,
    pub finished: AtomicUsize,
}

impl Tampered {
    pub fn new(inner: Arc<dyn Runs>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            cut: Mutex::default(),
            stumbles: Mutex::default(),
            lost: Mutex::default(),
            given: Mutex::default(),
            refused: Mutex::default(),
            is_silent: AtomicBool::new(false),
            claims: AtomicUsize::new(0),
            waits: AtomicUsize::new(0),
            keeps: AtomicUsize::new(0),
            beats: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
        })
    }

    pub fn cut(&self, call: Call) {
        self.refuse(call, ErrorCode::Unavailable);
    }

    /// Refuses calls of this sort with this code until it is mended.
    pub fn refuse(&self, call: Call, code: ErrorCode) {
        self.cut.lock().unwrap().insert(call, code);
    }

    /// A call that reports this run is refused as a whole, as by a fault of the server's.
    pub fn stumble_over(&self, id: RunId) {
        self.stumbles.lock().unwrap().insert(id);
    }

    pub fn mend(&self, call: Call) {
        self.cut.lock().unwrap().remove(&call);
    }

    /// The next so many answers of this sort do not arrive.
    pub fn lose(&self, call: Call, answers: u32) {
        self.lost.lock().unwrap().insert(call, answers);
    }

    /// Gives these pieces for the next kept work directory that is asked for.
    pub fn give(&self, pieces: Vec<io::Result<Bytes>>) {
        self.given.lock().unwrap().insert(0, pieces);
    }

    /// From now on no claim is answered that may wait for work.
    pub fn silence_claims(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// Waits until so many calls of this sort were refused.
    pub async fn until_refused(&self, call: Call, times: usize) {
        let what = format!("{call:?} is tried {times} times");
        eventually(&what, || self.refused.lock().unwrap().get(&call).is_some_and(|count| *count >= times))
            .await;
    }

    /// Waits until the worker waits for work.
    pub async fn until_claiming(&self) {
        eventually("a claim is under way", || self.claims.load(Ordering::SeqCst) > 0).await;
    }

    /// Waits until no claim is under way.
    pub async fn until_no_claim(&self) {
        eventually("no claim is under way", || self.claims.load(Ordering::SeqCst) == 0).await;
    }

    fn arrives<T>(&self, call: Call, answer: Result<T>) -> Result<T> {
        let mut lost = self.lost.lock().unwrap();
        let left = lost.entry(call).or_default();
        if *left > 0 {
            *left -= 1;
            return Err(Error::new(ErrorCode::Unavailable, "the answer is lost"));
        }
        answer
    }

    fn pass(&self, call: Call) -> Result<()> {
        match self.cut.lock().unwrap().get(&call) {
            Some(code) => {
                *self.refused.lock().unwrap().entry(call).or_default() += 1;
                Err(Error::new(*code, "refused by the test"))
            }
            None => Ok(()),
        }
    }
}

/// Counts a call until it has an answer or is given up.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Bytes as they come.
struct Pieces(std::vec::IntoIter<io::Result<Bytes>>);

impl Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next())
    }
}

#[async_trait]
impl Runs for Tampered {
    async fn enqueue(&self, runs: Vec<NewRun>, batch: Batch) -> Result<Vec<Result<Enqueued>>> {
        self.inner.enqueue(runs, batch).await
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Vec<ClaimedView>> {
        self.pass(Call::Claim)?;
        let _under_way = UnderWay::new(&self.claims);
        if self.is_silent.load(Ordering::SeqCst) && !request.wait.is_zero() {
            std::future::pending::<()>().await;
        }
        self.inner.claim(request).await
    }

    async fn heartbeat(&self, holds: Vec<Hold>, lease: Option<Duration>) -> Result<Vec<Result<Beat>>> {
        self.pass(Call::Heartbeat)?;
        self.beats.fetch_add(1, Ordering::SeqCst);
        self.inner.heartbeat(holds, lease).await
    }

    async fn finish(&self, worker: &WorkerId, reports: Vec<Report>) -> Result<Vec<Result<RunView>>> {
        self.pass(Call::Finish)?;
        if reports.iter().any(|report| self.stumbles.lock().unwrap().contains(&report.id)) {
            return Err(Error::internal("a statement was refused"));
        }
        self.finished.fetch_add(1, Ordering::SeqCst);
        self.inner.finish(worker, reports).await
    }

    async fn wait(&self, hold: &Hold, step_id: StepId, timeout: Option<Duration>) -> Result<RunView> {
        self.pass(Call::Wait)?;
        self.waits.fetch_add(1, Ordering::SeqCst);
        let answer = self.inner.wait(hold, step_id, timeout).await;
        self.arrives(Call::Wait, answer)
    }

    async fn put_artifact(
        &self,
        hold: &Hold,
        name: &ArtifactName,
        content_type: &str,
        body: ByteStream,
    ) -> Result<Artifact> {
        self.pass(Call::PutArtifact)?;
        self.inner.put_artifact(hold, name, content_type, body).await
    }

    async fn keep_workdir(&self, hold: &Hold, body: ByteStream) -> Result<()> {
        self.keeps.fetch_add(1, Ordering::SeqCst);
        self.pass(Call::KeepWorkdir)?;
        let answer = self.inner.keep_workdir(hold, body).await;
        self.arrives(Call::KeepWorkdir, answer)
    }

    async fn workdir(&self, hold: &Hold) -> Result<Option<ByteStream>> {
        let given = self.given.lock().unwrap().pop();
        match given {
            Some(pieces) => Ok(Some(Box::pin(Pieces(pieces.into_iter())))),
            None => self.inner.workdir(hold).await,
        }
    }

    async fn drop_workdir(&self, hold: &Hold) -> Result<()> {
        let answer = self.inner.drop_workdir(hold).await;
        self.arrives(Call::DropWorkdir, answer)
    }

    async fn progress(&self, hold: &Hold, percent: u32, message: Option<String>) -> Result<RunView> {
        self.inner.progress(hold, percent, message).await
    }

    async fn record(&self, hold: &Hold, steps: Vec<StepReport>, lines: Vec<LogLine>) -> Result<()> {
        self.pass(Call::Record)?;
        self.inner.record(hold, steps, lines).await
    }

    async fn cleaned(&self, hold: &Hold, gone_at: Timestamp) -> Result<RunView> {
        self.pass(Call::Cleaned)?;
        self.inner.cleaned(hold, gone_at).await
    }

    async fn cancel(&self, id: RunId) -> Result<RunView> {
        self.inner.cancel(id).await
    }

    async fn retry(&self, id: RunId, if_epoch: Option<u64>) -> Result<RunView> {
        self.inner.retry(id, if_epoch).await
    }

    async fn answer(
        &self,
        id: RunId,
        step_id: Option<StepId>,
        answer: Answer,
        comment: Option<String>,
    ) -> Result<RunView> {
        self.inner.answer(id, step_id, answer, comment).await
    }

    async fn get(&self, id: RunId) -> Result<RunView> {
        self.inner.get(id).await
    }

    async fn find_by_key(&self, key: &str) -> Result<Option<RunView>> {
        self.inner.find_by_key(key).await
    }

    async fn list(&self, filter: &ListFilter) -> Result<Page<RunView>> {
        self.inner.list(filter).await
    }

    async fn gates(&self, filter: &ListFilter) -> Result<Page<OpenGate>> {
        self.inner.gates(filter).await
    }

    async fn steps(&self, id: RunId) -> Result<Vec<Step>> {
        self.inner.steps(id).await
    }

    async fn events(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<Event>> {
        self.inner.events(id, after, limit).await
    }

    async fn logs(&self, id: RunId, after: u64, limit: u32) -> Result<Vec<NumberedLine>> {
        self.inner.logs(id, after, limit).await
    }

    async fn artifacts(&self, id: RunId) -> Result<Vec<Artifact>> {
        self.inner.artifacts(id).await
    }

    async fn artifact(&self, id: RunId, name: &ArtifactName, range: Option<ByteRange>) -> Result<Download> {
        self.inner.artifact(id, name, range).await
    }

    async fn follow(&self, id: RunId, read: ReadSoFar, wait: Duration) -> Result<NewsView> {
        self.inner.follow(id, read, wait).await
    }

    async fn stats(&self) -> Result<Stats> {
        self.inner.stats().await
    }

    async fn prune(&self, retention: &Retention, mode: PruneMode) -> Result<Pruned> {
        self.inner.prune(retention, mode).await
    }

    async fn see_worker(&self, worker: &WorkerInfo) -> Result<bool> {
        self.inner.see_worker(worker).await
    }

    async fn forget_worker(&self, worker: &WorkerId) -> Result<()> {
        self.inner.forget_worker(worker).await
    }

    async fn workers(&self) -> Result<Vec<Worker>> {
        self.inner.workers().await
    }

    async fn drain_worker(&self, worker: &WorkerId) -> Result<()> {
        self.inner.drain_worker(worker).await
    }

    async fn kinds(&self) -> Result<Vec<KindSetting>> {
        self.inner.kinds().await
    }

    async fn pause_kind(&self, kind: &Kind, paused: bool) -> Result<KindSetting> {
        self.inner.pause_kind(kind, paused).await
    }

    async fn projects(&self) -> Result<Vec<Project>> {
        self.inner.projects().await
    }

    async fn create_project(&self, id: &ProjectId) -> Result<Project> {
        self.inner.create_project(id).await
    }

    async fn agent_tasks(&self) -> Result<Vec<AgentTask>> {
        self.inner.agent_tasks().await
    }

    async fn create_agent_task(&self, task: NewAgentTask) -> Result<AgentTask> {
        self.inner.create_agent_task(task).await
    }
}
