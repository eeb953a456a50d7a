//! A service's runs behind HTTP. The API is translation only: parse, ask [`sprongus_core::Runs`], print.
//!
//! `router.rs` has every route of the API on one page; `routes.rs` has a file for each subject. `auth.rs` says who asks, `body.rs` and `query.rs`
//! read what is asked, `answer.rs` prints what is answered and how a refusal looks. [`accept`] is what stands before all of it:
//! connections, their number and their patience. `dashboard.rs` is the same for people.
//!
//! Left to others: TLS (put a proxy in front), and what a rate is counted for beyond this process.

pub mod accept;
mod answer;
mod auth;
mod body;
mod context;
mod dashboard;
mod feed;
mod hosts;
mod metrics;
pub mod openapi;
mod part;
mod path;
mod places;
mod query;
pub mod rate;
mod router;
mod routes;
mod sse;
mod stall;
mod turnstile;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use sprongus_core::RunsService;
use sprongus_core::figures::metric::Metric;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::ServiceExt;

pub use accept::serve;
pub use hosts::PublicUrl;
pub use rate::RateLimit;

use auth::Tokens;
use feed::Feed;
use hosts::Hosts;
use metrics::Metrics;
use places::Places;
use rate::Rates;
use turnstile::Turnstiles;

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
    /// How long one answer may keep a client waiting that does not read it.
    pub stall: Duration,
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
            stall: Duration::from_secs(30),
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
    turnstiles: Turnstiles,
    /// Places of those who wait or follow.
    places: Arc<Places>,
    feed: Arc<Feed>,
    metrics: Metrics,
    dashboard: dashboard::State,
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
            turnstiles: Turnstiles::default(),
            places: Places::new(options.connections, (options.connections / 4).max(1)),
            feed: Feed::new(Arc::clone(service.store())),
            metrics: Metrics::default(),
            dashboard: dashboard::State::new(Arc::clone(service.store())),
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

    /// Has `/metrics` tell what else in the process is worth watching; `source` is asked at each scrape, and must not wait.
    #[must_use]
    pub fn telling(self, source: impl Fn() -> Vec<Metric> + Send + Sync + 'static) -> Self {
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
