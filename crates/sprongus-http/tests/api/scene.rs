//! A server on a file of its own, on a port of its own, and tokens for it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sprongus_conformance::{MemoryBlobs, Model, TurnedClock};
use sprongus_core::run::artifact::{Blobs, MAX_ARTIFACT_BYTES};
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope};
use sprongus_core::{Caller, RunsService};
use sprongus_http::server::{Options, Server, serve};
use sprongus_sqlite::Sqlite;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::raw::{self, Reply};

/// How long to wait for what must happen, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The header of a lease token.
pub const LEASE_TOKEN: &str = "Sprongus-Lease-Token";

pub struct Scene {
    pub address: SocketAddr,
    pub service: RunsService,
    /// A token for everything in the workspace `default`.
    pub all: String,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
    folder: TempDir,
    /// The store and its clock, where they are in memory.
    in_memory: Option<(Arc<Model>, TurnedClock)>,
    /// The lease token that each run's last claim gave.
    leases: Mutex<HashMap<String, String>>,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(Options { rate_limit: None, ..Options::default() }).await
    }

    pub async fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store =
            Sqlite::open(&folder.path().join("runs.db"), sprongus_sqlite::Options::default()).unwrap();
        Self::of(keeping_in_memory(Arc::new(store)), options, folder).await
    }

    /// On a store that needs no file.
    pub async fn on(store: Arc<dyn Store>) -> Self {
        let options = Options { rate_limit: None, ..Options::default() };
        Self::of(keeping_in_memory(store), options, tempfile::tempdir().unwrap()).await
    }

    /// On a store in memory, whose clock the test turns and which knows how many requests wait.
    pub async fn in_memory() -> Self {
        let options = Options { rate_limit: None, ..Options::default() };
        Self::keeping(Arc::new(MemoryBlobs::default()), MAX_ARTIFACT_BYTES, options).await
    }

    /// The same, which keeps artifacts in `blobs`.
    pub async fn keeping(blobs: Arc<dyn Blobs>, max_bytes: u64, options: Options) -> Self {
        let clock = TurnedClock::new();
        let store = Arc::new(Model::new(Arc::new(clock.clone())));
        let service = RunsService::new(store.clone()).with_blobs(blobs, max_bytes);
        let mut scene = Self::of(service, options, tempfile::tempdir().unwrap()).await;
        scene.in_memory = Some((store, clock));
        scene
    }

    /// Turns the clock of the store in memory.
    pub fn turn(&self, later: Duration) {
        self.in_memory.as_ref().expect("a store in memory").1.turn(later);
    }

    /// Waits until so many requests wait for the store in memory to change.
    pub async fn until_waiting(&self, requests: usize) {
        let (store, _) = self.in_memory.as_ref().expect("a store in memory");
        until("requests wait", async || store.waiting() >= requests).await;
    }

    /// Waits until so many connections are open beside the one that asks.
    pub async fn until_connected(&self, others: usize) {
        let line = format!("sprongus_http_connections {}", others + 1);
        until("the connections are open", async || {
            let metrics = self.get("/metrics").await;
            assert_eq!(metrics.status, 200, "{}", metrics.text());
            metrics.text().lines().any(|it| it == line)
        })
        .await;
    }

    /// Waits until no connection is left but the one that asks: whatever was under way on the others has ended.
    pub async fn until_alone(&self) {
        self.until_connected(0).await;
    }

    async fn of(service: RunsService, options: Options, folder: TempDir) -> Self {
        let (address, stop, serving) = start(&service, options, "127.0.0.1:0").await;
        let mut scene = Self {
            address,
            service,
            all: String::new(),
            stop: Some(stop),
            serving: Some(serving),
            folder,
            in_memory: None,
            leases: Mutex::default(),
        };
        scene.all = scene.token("default", "all", &Scope::ALL).await;
        scene
    }

    /// Another server on the same database.
    pub async fn beside(&self) -> SocketAddr {
        let options = Options { rate_limit: None, ..Options::default() };
        let store =
            Sqlite::open(&self.folder.path().join("runs.db"), sprongus_sqlite::Options::default()).unwrap();
        let (address, stop, _) = start(&RunsService::new(Arc::new(store)), options, "127.0.0.1:0").await;
        // It lives as long as the test.
        std::mem::forget(stop);
        address
    }

    /// Another server of the same service.
    pub async fn at(&self, at: &str, options: Options) -> SocketAddr {
        let (address, stop, _) = start(&self.service, options, at).await;
        std::mem::forget(stop);
        address
    }

    /// A listener for metrics alone, of another server of the same service.
    pub async fn metrics(&self) -> SocketAddr {
        let bind = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (listener, metrics) = (bind().await, bind().await);
        let address = metrics.local_addr().unwrap();
        let server = Server::new(self.service.clone(), Options::default()).metrics_at(metrics);
        tokio::spawn(serve(server, listener, std::future::pending()));
        address
    }

    pub async fn token(&self, workspace: &str, name: &str, scopes: &[Scope]) -> String {
        self.narrowed(workspace, name, scopes, None).await
    }

    pub async fn narrowed(
        &self,
        workspace: &str,
        name: &str,
        scopes: &[Scope],
        projects: Option<&[&str]>,
    ) -> String {
        let workspace: WorkspaceId = workspace.parse().unwrap();
        let caller = Caller::new(workspace.clone(), "tester");
        self.service.store().create_workspace(&caller, &workspace).await.unwrap();
        let admin = self.service.admin(caller);
        let projects = projects.map(|ids| ids.iter().map(|id| id.parse().unwrap()).collect());
        let new = NewToken { name: name.to_owned(), scopes: scopes.to_vec(), projects, expires_in: None };
        admin.create_token(new).await.unwrap().secret.expose().to_owned()
    }

    /// Asks with a token, and a body if there is one.
    pub async fn ask(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
        self.ask_with(token, method, path, &[], body).await
    }

    pub async fn ask_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let bearer = format!("Bearer {token}");
        let mut all = vec![("Authorization", bearer.as_str())];
        all.extend_from_slice(headers);
        let lease = self.lease_in(path);
        if path.contains("?workerId=") && headers.iter().all(|(name, _)| *name != LEASE_TOKEN) {
            all.push((LEASE_TOKEN, &lease));
        }
        let body = body.map(|body| self.with_leases(path, body).to_string()).unwrap_or_default();
        if !body.is_empty() {
            all.push(("Content-Type", "application/json"));
        }
        let reply = raw::bytes(self.address, &raw::request(method, path, &all, body.as_bytes())).await;
        if path.ends_with("runs:claim") && reply.status == 200 {
            self.learn(&reply.json());
        }
        reply
    }

    /// The lease token of the run that a path names; nothing where none was told.
    pub fn lease_in(&self, path: &str) -> String {
        let leases = self.leases.lock().unwrap();
        let named = leases.iter().find(|(id, _)| path.contains(id.as_str()));
        named.map(|(_, token)| token.clone()).unwrap_or_default()
    }

    /// A body with the lease tokens of the runs it reports on, where it says nothing else.
    fn with_leases(&self, path: &str, mut body: Value) -> Value {
        let reports = body.get("epoch").is_some() && body.get("workerId").is_some();
        if let Some(body) = body.as_object_mut().filter(|_| reports) {
            body.entry("leaseToken").or_insert_with(|| self.lease_in(path).into());
        }
        for list in ["runs", "reports"] {
            for item in body.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                let id = item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                if let Some(item) = item.as_object_mut().filter(|item| item.contains_key("epoch")) {
                    item.entry("leaseToken").or_insert_with(|| self.lease_in(&id).into());
                }
            }
        }
        body
    }

    fn learn(&self, claimed: &Value) {
        for run in claimed["data"].as_array().into_iter().flatten() {
            let (id, token) = (run["id"].as_str().unwrap(), run["lease"]["token"].as_str().unwrap());
            self.leases.lock().unwrap().insert(id.to_owned(), token.to_owned());
        }
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask(&self.all, "POST", path, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask(&self.all, "GET", path, None).await
    }

    /// A queued run.
    pub async fn enqueue(&self, kind: &str) -> String {
        let run = self.post("/v1/runs", json!({"kind": kind})).await.is(201);
        run["id"].as_str().unwrap().to_owned()
    }

    /// A run that worker `w` holds under epoch 1.
    pub async fn held(&self, kind: &str) -> String {
        let id = self.enqueue(kind).await;
        let claimed =
            self.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1, "kinds": [kind]})).await.is(200);
        assert_eq!(claimed["data"][0]["id"], id);
        id
    }

    /// Tells the server to stop, and waits until it has.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap().await.unwrap().unwrap();
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        let options = Options { rate_limit: None, ..Options::default() };
        let (address, stop, serving) = start(&self.service, options, &self.address.to_string()).await;
        assert_eq!(address, self.address);
        (self.stop, self.serving) = (Some(stop), Some(serving));
    }
}

/// The runs of a store, with artifacts in memory.
fn keeping_in_memory(store: Arc<dyn Store>) -> RunsService {
    RunsService::new(store).with_blobs(Arc::new(MemoryBlobs::default()), MAX_ARTIFACT_BYTES)
}

async fn start(
    service: &RunsService,
    options: Options,
    at: &str,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<std::io::Result<()>>) {
    let listener = TcpListener::bind(at).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = Server::new(service.clone(), options);
    let serving = tokio::spawn(serve(server, listener, async move {
        let _ = stopped.await;
    }));
    (address, stop, serving)
}

/// Waits until something has become true.
pub async fn until(what: &str, is_true: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true().await {
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Plays a test.
pub fn play<Played: Future<Output = ()>>(test: impl FnOnce() -> Played) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(test());
}
