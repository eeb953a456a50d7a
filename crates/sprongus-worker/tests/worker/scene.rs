//! A store in memory, a worker over it, and what a test asks of both.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sprongus_conformance::{MemoryBlobs, Model};
use sprongus_core::error::{ErrorCode, Result};
use sprongus_core::json::Json;
use sprongus_core::run::artifact::{Blobs, FileName, MAX_ARTIFACT_BYTES};
use sprongus_core::run::event::Event;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{Step, StepStatus};
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Answer, NewRun};
use sprongus_core::runs::{Caller, Runs, RunsExt};
use sprongus_core::service::RunsService;
use sprongus_core::store::Store;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::SystemClock;
use sprongus_sqlite::{Options, Sqlite};
use sprongus_worker::{Declaration, Shutdown, Summary, Worker, WorkerOptions};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Longer than anything here takes, on a machine that does other things too. What is to be cut off by something else takes longer.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until it is so.
pub async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LIMIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub struct Scene {
    pub runs: Arc<dyn Runs>,
    store: Arc<dyn Store>,
    blobs: Arc<MemoryBlobs>,
    pub folder: TempDir,
    pub options: WorkerOptions,
    pub shutdown: Shutdown,
    worker: Option<JoinHandle<Result<Summary>>>,
}

fn caller() -> Caller {
    Caller::new(WorkspaceId::local(), "test")
}

impl Scene {
    pub fn new() -> Self {
        Self::over(Arc::new(Model::new(Arc::new(SystemClock))), tempfile::tempdir().unwrap())
    }

    /// The same over a store in a file.
    pub fn on_disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("runs.db"), Options::default()).unwrap();
        Self::over(Arc::new(store), folder)
    }

    fn over(store: Arc<dyn Store>, folder: TempDir) -> Self {
        let blobs = Arc::new(MemoryBlobs::default());
        let service = RunsService::new(Arc::clone(&store));
        let service = service.with_blobs(Arc::clone(&blobs) as Arc<dyn Blobs>, MAX_ARTIFACT_BYTES);
        let runs = service.for_caller(caller());
        let scratch = folder.path().join("scratch");
        let options = WorkerOptions { concurrency: 4, scratch, ..WorkerOptions::default() };
        Self { runs, store, blobs, folder, options, shutdown: Shutdown::new(), worker: None }
    }

    /// Takes no larger artifacts from now on.
    pub fn limit_artifacts(&mut self, largest: u64) {
        let service = RunsService::new(Arc::clone(&self.store));
        let service = service.with_blobs(Arc::clone(&self.blobs) as Arc<dyn Blobs>, largest);
        self.runs = service.for_caller(caller());
    }

    pub fn worker(&self) -> Worker {
        self.worker_over(Arc::clone(&self.runs))
    }

    pub fn worker_over(&self, runs: Arc<dyn Runs>) -> Worker {
        Worker::new(runs, self.options.clone())
    }

    pub fn start(&mut self, worker: Worker) {
        self.worker = Some(tokio::spawn(worker.run(self.shutdown.clone())));
    }

    /// Starts a worker for a `sprongus.toml` of this text.
    pub fn declare(&mut self, toml: &str) {
        let worker = self.worker().declared(self.declaration(toml));
        self.start(worker);
    }

    pub fn declaration(&self, toml: &str) -> Declaration {
        Declaration::parse(toml, &self.folder.path().join("sprongus.toml")).unwrap()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until the worker is listed.
    pub async fn until_listed(&self) {
        let started = Instant::now();
        while self.runs.workers().await.unwrap().is_empty() {
            assert!(started.elapsed() < LIMIT, "the worker is not listed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Lets the worker drain, and gives its summary.
    pub async fn end(mut self) -> Summary {
        self.shutdown.drain();
        self.ended().await
    }

    /// Lets the worker drain, and makes ready for another one, elsewhere on the machine.
    pub async fn change_worker(&mut self) -> Summary {
        self.shutdown.drain();
        let summary = self.ended().await;
        self.shutdown = Shutdown::new();
        self.options.scratch = self.folder.path().join("another-scratch");
        summary
    }

    /// The worker is gone, without a word.
    pub fn kill_worker(&mut self) {
        self.worker.take().unwrap().abort();
    }

    /// Waits until the run waits at the step `name`.
    pub async fn until_waiting(&self, id: RunId, name: &str) -> Step {
        let started = Instant::now();
        loop {
            let run = self.until(id, |run| run.waiting_for.is_some() || run.state.is_final()).await;
            let gate = run.waiting_for.unwrap_or_else(|| panic!("ended: {:?}", run.error));
            let steps = self.steps(id).await;
            let step = steps.into_iter().find(|step| step.id == gate.step_id).expect("a step for the gate");
            if step.name == name {
                return step;
            }
            assert!(started.elapsed() < LIMIT, "the run waits at {:?}", step.name);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The bytes of the run's kept work directory, if one is kept.
    pub async fn kept(&self, id: RunId) -> Option<Vec<u8>> {
        let file = match self.store.file(&caller(), id, &FileName::Workdir).await {
            Ok(stored) => stored.file,
            Err(error) if error.code() == ErrorCode::NotFound => return None,
            Err(error) => panic!("{error}"),
        };
        let mut body = self.blobs.get(&file.location, 0..file.size).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| body.as_mut().poll_next(context)).await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        Some(bytes)
    }

    pub async fn approve(&self, id: RunId, comment: &str) {
        let comment = Some(comment.to_owned());
        self.runs.answer(id, None, Answer::Approved, comment).await.unwrap();
    }

    pub async fn ended(&mut self) -> Summary {
        let worker = self.worker.take().unwrap();
        tokio::time::timeout(LIMIT, worker).await.expect("the worker did not end").unwrap().unwrap()
    }

    pub async fn enqueue(&self, kind: &str, input: Value) -> RunId {
        self.enqueue_with(NewRun::new(kind, Json::from_value(input))).await
    }

    pub async fn enqueue_with(&self, run: NewRun) -> RunId {
        self.runs.enqueue_one(run).await.unwrap().run.id
    }

    pub async fn get(&self, id: RunId) -> RunView {
        self.runs.get(id).await.unwrap()
    }

    /// Waits until the run is as wanted.
    pub async fn until(&self, id: RunId, wanted: impl Fn(&RunView) -> bool) -> RunView {
        let started = Instant::now();
        loop {
            let run = self.get(id).await;
            if wanted(&run) {
                return run;
            }
            if started.elapsed() > LIMIT {
                panic!("in vain: {:?}, error {:?}, {:#?}", run.state, run.error, self.log(id).await);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn until_state(&self, id: RunId, state: State) -> RunView {
        self.until(id, |run| run.state == state).await
    }

    /// The run's log, line by line.
    pub async fn log(&self, id: RunId) -> Vec<String> {
        let lines = self.runs.logs(id, 0, 1_000_000).await.unwrap();
        lines.into_iter().map(|line| line.line.text).collect()
    }

    /// Waits until a line of the run's log has this text.
    pub async fn until_log(&self, id: RunId, text: &str) {
        let started = Instant::now();
        while !self.log(id).await.iter().any(|line| line.contains(text)) {
            assert!(started.elapsed() < LIMIT, "{text:?} is not in {:#?}", self.log(id).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn steps(&self, id: RunId) -> Vec<Step> {
        self.runs.steps(id).await.unwrap()
    }

    /// Attempt, name and status of each step.
    pub async fn attempt_steps(&self, id: RunId) -> Vec<(u32, String, StepStatus)> {
        self.steps(id).await.into_iter().map(|step| (step.attempt, step.name, step.status)).collect()
    }

    pub async fn events(&self, id: RunId) -> Vec<Event> {
        self.runs.events(id, 0, 1_000).await.unwrap()
    }

    pub async fn event(&self, id: RunId, kind: &str) -> Option<Event> {
        self.events(id).await.into_iter().find(|event| event.kind.to_string() == kind)
    }

    /// Waits until the run's history has an event of this type.
    pub async fn until_event(&self, id: RunId, kind: &str) -> Event {
        let started = Instant::now();
        loop {
            if let Some(event) = self.event(id, kind).await {
                return event;
            }
            assert!(started.elapsed() < LIMIT, "no {kind} of {id}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a file is there, and gives its text.
    pub async fn file(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        let started = Instant::now();
        loop {
            match std::fs::read_to_string(&path) {
                Ok(text) if text.ends_with('\n') => return text.trim_end().to_owned(),
                _ if started.elapsed() > LIMIT => panic!("{name} is not written"),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

/// Whether a process lives; one that is dead but not reaped does not.
pub fn lives(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.lines().any(|line| line.starts_with("State:") && line.contains('Z')))
}
