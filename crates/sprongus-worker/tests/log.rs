//! What a worker writes into its own log: the fields an operator searches by, and nothing of what a run is about. A test
//! binary of its own, for the subscriber is the process's.
#![expect(clippy::unwrap_used, reason = "a test panics when a promise is broken")]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sprongus_conformance::Model;
use sprongus_core::run::NewRun;
use sprongus_core::runs::{Caller, RunsExt as _};
use sprongus_core::service::RunsService;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::SystemClock;
use sprongus_worker::{Declaration, HandlerError, RunContext, Shutdown, Worker, WorkerOptions};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_and_ends_are_logged_with_their_fields_and_without_their_contents() {
    let captured = Captured::default();
    let sink = captured.clone();
    tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || sink.clone())
        .init();

    let folder = tempfile::tempdir().unwrap();
    let service = RunsService::new(Arc::new(Model::new(Arc::new(SystemClock))));
    let runs = service.for_caller(Caller::new(WorkspaceId::local(), "test"));
    let secrets = folder.path().join(".sprongus/secrets");
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("planted"), "planted-secret-value").unwrap();
    let toml = r#"
        [kinds.declared]
        max_attempts = 1
        command = ["sh", "-c", 'cat; echo planted-output jane@example.org >&2; exit 1']
        secrets = ["file/planted"]
        env = { KEY = "{{ input.key }}" }
    "#;
    let declaration = Declaration::parse(toml, &folder.path().join("sprongus.toml")).unwrap();
    let options = WorkerOptions { scratch: folder.path().join("scratch"), ..WorkerOptions::default() };
    let worker = Worker::new(Arc::clone(&runs), options).declared(declaration).kind(
        "handler",
        |ctx: RunContext, input: Value| async move {
            ctx.log("planted-line jane@example.org");
            tokio::time::sleep(Duration::from_millis(20)).await;
            if input["fails"] == true {
                return Err(HandlerError::permanent("planted-error jane@example.org"));
            }
            Ok("planted-result")
        },
    );
    let shutdown = Shutdown::new();
    let worker = tokio::spawn(worker.run(shutdown.clone()));
    let mail = "planted-input jane@example.org";
    let mut ids = Vec::new();
    for (kind, input) in [
        ("handler", json!({"mail": mail})),
        ("handler", json!({"mail": mail, "fails": true})),
        ("declared", json!({"mail": mail, "key": "secret://file/planted"})),
    ] {
        let run = NewRun { max_attempts: Some(1), ..NewRun::new(kind, input.into()) };
        ids.push(runs.enqueue_one(run).await.unwrap().run.id);
    }
    for id in &ids {
        while !runs.get(*id).await.unwrap().state.is_final() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    shutdown.drain();
    let summary = worker.await.unwrap().unwrap();
    assert_eq!((summary.succeeded, summary.failed), (1, 2));

    let log = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    for planted in ["planted-", "jane@example.org"] {
        assert!(!log.contains(planted), "{planted} is in the log:\n{log}");
    }
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (id, outcome) in ids.iter().zip(["succeeded", "failed", "failed"]) {
        let fields = |message: &str| {
            let about = |line: &&Value| {
                line["fields"]["run"] == id.to_string() && line["fields"]["message"] == message
            };
            let found: Vec<&Value> = lines.iter().filter(about).map(|line| &line["fields"]).collect();
            assert_eq!(found.len(), 1, "one line {message:?} of {id}");
            found[0].clone()
        };
        let (started, ended) = (fields("run started"), fields("run ended"));
        for fields in [&started, &ended] {
            assert_eq!((&fields["attempt"], &fields["epoch"]), (&json!(1), &json!(1)));
            assert!(fields["kind"].is_string() && fields["worker"].is_string());
        }
        assert_eq!(ended["outcome"], outcome);
        assert!(ended["elapsed_ms"].is_u64());
    }
}
