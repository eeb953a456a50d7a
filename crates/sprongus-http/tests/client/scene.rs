//! A server over a store, on a port of its own, and a client with a token for all of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sprongus_conformance::MemoryBlobs;
use sprongus_core::run::artifact::MAX_ARTIFACT_BYTES;
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{NewToken, Scope, TokenSecret};
use sprongus_core::{Caller, RunsService};
use sprongus_http::client::{self, RunsClient};
use sprongus_http::server::{Options, Server, serve};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server. It lives as long as its task, which ends with this.
pub struct Scene {
    pub address: SocketAddr,
    pub token: TokenSecret,
    pub service: RunsService,
    pub blobs: Arc<MemoryBlobs>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Scene {
    pub async fn new(store: Arc<dyn Store>) -> Self {
        let blobs = Arc::new(MemoryBlobs::default());
        let service = RunsService::new(store).with_blobs(blobs.clone(), MAX_ARTIFACT_BYTES);
        let admin = service.admin(Caller::new(WorkspaceId::local(), "setup"));
        let (name, scopes) = ("tester".to_owned(), Scope::ALL.to_vec());
        let new = NewToken { name, scopes, projects: None, expires_in: None };
        let token = admin.create_token(new).await.unwrap().secret;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(service.clone(), Options { rate_limit: None, ..Options::default() });
        let serving = tokio::spawn(serve(server, listener, std::future::pending()));
        Self { address, token, service, blobs, serving }
    }

    /// A client of whatever listens at `address`.
    pub fn client_at(&self, address: SocketAddr) -> RunsClient {
        RunsClient::new(&format!("http://{address}"), &self.token, &client::Options::default()).unwrap()
    }

    pub fn client(&self) -> RunsClient {
        self.client_at(self.address)
    }
}

/// Waits until something has become true.
pub async fn until(what: &str, is_true: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_true().await {
        assert!(Instant::now() < deadline, "not in 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
