//! A store in memory, a worker over it, and what a test asks of both.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use sprongus_conformance::Model;
use sprongus_core::error::Result;
use sprongus_core::event::Event;
use sprongus_core::ids::RunId;
use sprongus_core::json::Json;
use sprongus_core::names::WorkspaceId;
use sprongus_core::run::{NewRun, Run};
use sprongus_core::runs::{Caller, Runs, RunsExt};
use sprongus_core::service::RunsService;
use sprongus_core::state::State;
use sprongus_core::step::{Step, StepStatus};
use sprongus_core::time::SystemClock;
use sprongus_worker::{Declaration, Shutdown, Summary, Worker, WorkerOptions};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Longer than anything here takes, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(30);

pub struct Scene {
    pub runs: Arc<dyn Runs>,
    pub folder: TempDir,
    pub options: WorkerOptions,
    pub shutdown: Shutdown,
    worker: Option<JoinHandle<Result<Summary>>>,
}

impl Scene {
    pub fn new() -> Self {
        let service = RunsService::new(Arc::new(Model::new(Arc::new(SystemClock))));
        let runs = service.for_caller(Caller::new(WorkspaceId::local(), "test"));
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("scratch");
        let options = WorkerOptions { concurrency: 4, scratch, ..WorkerOptions::default() };
        Self { runs, folder, options, shutdown: Shutdown::new(), worker: None }
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

    /// Lets the worker drain, and gives its summary.
    pub async fn end(mut self) -> Summary {
        self.shutdown.drain();
        self.ended().await
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

    pub async fn get(&self, id: RunId) -> Run {
        self.runs.get(id).await.unwrap()
    }

    /// Waits until the run is as wanted.
    pub async fn until(&self, id: RunId, wanted: impl Fn(&Run) -> bool) -> Run {
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

    pub async fn until_state(&self, id: RunId, state: State) -> Run {
        self.until(id, |run| run.state == state).await
    }

    /// The run's log, line by line.
    pub async fn log(&self, id: RunId) -> Vec<String> {
        let lines = self.runs.logs(id, 0, 1_000_000).await.unwrap();
        lines.into_iter().map(|line| line.line.text).collect()
    }

    pub async fn steps(&self, id: RunId) -> Vec<Step> {
        self.runs.steps(id).await.unwrap()
    }

    /// Attempt, name and status of each step.
    pub async fn told_steps(&self, id: RunId) -> Vec<(u32, String, StepStatus)> {
        self.steps(id).await.into_iter().map(|step| (step.attempt, step.name, step.status)).collect()
    }

    pub async fn events(&self, id: RunId) -> Vec<Event> {
        self.runs.events(id, 0, 1_000).await.unwrap()
    }

    pub async fn event(&self, id: RunId, kind: &str) -> Option<Event> {
        self.events(id).await.into_iter().find(|event| event.kind.to_string() == kind)
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
