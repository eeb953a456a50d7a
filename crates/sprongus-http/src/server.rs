//! A service's runs behind HTTP. The API is translation only: parse, ask [`sprongus_core::Runs`], print.
//!
//! `accept.rs` takes connections in, with limits on their number and their patience. `router.rs` has every route of the API on one page;
//! `routes/` has a file for each subject. `access/` says who may ask for what and how much, `request/` reads what is asked, `response.rs`
//! prints what is answered and how an error looks; `streaming/` is for those who follow, `claim_queue.rs` for those who wait for work.
//! `dashboard.rs` is the same for people.
//!
//! Left to others: TLS (put a proxy in front), and what a rate is counted for beyond this process.

mod accept;
mod access;
mod claim_queue;
mod context;
mod dashboard;
mod metrics;
pub mod openapi;
mod request;
mod response;
mod router;
mod routes;
mod streaming;

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::RunsService;
use sprongus_core::figures::metric::Metric;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

pub use accept::serve;
pub use access::hosts::PublicUrl;
pub use access::rate::RateLimit;

use access::auth::Tokens;
use access::hosts::Hosts;
use access::rate::Rates;
use access::waiting_limit::WaitingLimit;
use claim_queue::ClaimQueues;
use metrics::Metrics;
use streaming::feed::Feed;

/// How a server behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many enqueues, cancels and retries a token may ask for; none means any number.
    pub rate_limit: Option<RateLimit>,
    /// Connections at once; more wait until one is closed.
    pub connections: usize,
    /// How long a client may take to send a request's head, and again its body; a body that is kept as a file may take as long as it
    /// wants, but no pause in it may be longer.
    pub patience: Duration,
    /// How long a write may wait for a client that does not read; then its connection is closed.
    pub write_timeout: Duration,
    /// How long requests under way may take after the server was told to stop.
    pub grace: Duration,
    /// The URL by which clients reach it through a proxy. A server on loopback answers to this host too.
    pub public_url: Option<PublicUrl>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rate_limit: Some(RateLimit::default()),
            connections: 4_096,
            patience: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            public_url: None,
        }
    }
}

/// What every request is given.
pub(crate) struct Shared {
    service: RunsService,
    options: Options,
    tokens: Tokens,
    rates: Rates,
    claim_queues: ClaimQueues,
    /// Requests that wait for work or news, or follow a stream.
    waiting_limit: Arc<WaitingLimit>,
    feed: Arc<Feed>,
    metrics: Metrics,
    dashboard: dashboard::DashboardState,
    stopping: watch::Receiver<bool>,
}

/// The server of a service's runs.
pub struct Server {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    metrics: Option<TcpListener>,
}

impl Server {
    /// A server that does not listen yet.
    pub fn new(service: RunsService, options: Options) -> Self {
        let (stop, stopping) = watch::channel(false);
        let shared = Shared {
            tokens: Tokens::new(Arc::clone(service.store())),
            rates: Rates::new(options.rate_limit),
            claim_queues: ClaimQueues::default(),
            waiting_limit: WaitingLimit::new(options.connections, (options.connections / 4).max(1)),
            feed: Feed::new(Arc::clone(service.store())),
            metrics: Metrics::default(),
            dashboard: dashboard::DashboardState::new(Arc::clone(service.store())),
            service,
            options,
            stopping,
        };
        Self { shared: Arc::new(shared), stop, metrics: None }
    }

    /// Has a listener of its own answer `/metrics` and nothing else, to whoever reaches it: it asks for no token.
    #[must_use]
    pub fn metrics_at(mut self, listener: TcpListener) -> Self {
        self.metrics = Some(listener);
        self
    }

    /// Adds further metrics of this process to `/metrics`; `source` is called at each scrape, and must not block.
    #[must_use]
    pub fn with_metrics(self, source: impl Fn() -> Vec<Metric> + Send + Sync + 'static) -> Self {
        self.shared.metrics.add(Box::new(source));
        self
    }
}

/// Asks a server's routes without a socket: what is left then is our own code.
#[derive(Clone)]
pub struct Asking(axum::Router);

impl Server {
    /// The server's routes, to be asked without a socket.
    pub fn asker(&self) -> Asking {
        Asking(router::router(Arc::clone(&self.shared), Hosts::any()))
    }
}

impl Asking {
    /// Posts JSON, reads the whole answer, and gives its status; 0 when there is none.
    pub async fn post(&self, path: &str, token: &str, body: String) -> u16 {
        let request = axum::http::Request::post(path)
            .header(axum::http::header::HOST, "localhost")
            .header(axum::http::header::AUTHORIZATION, format!("Bearer {token}"))
            .header(axum::http::header::CONTENT_TYPE, "application/json")
            .body(axum::body::Body::from(body));
        let Ok(request) = request else { return 0 };
        let Ok(response) = self.0.clone().oneshot(request).await;
        let status = response.status().as_u16();
        match http_body_util::BodyExt::collect(response.into_body()).await {
            Ok(_) => status,
            Err(_) => 0,
        }
    }
}
