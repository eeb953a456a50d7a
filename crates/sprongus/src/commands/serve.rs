//! `serve`: the runs over HTTP, until a signal.

mod first_token;

use std::net::SocketAddr;
use std::time::Duration;

use sprongus::housekeeping::Housekeeping;
use sprongus_core::values::names::{Kind, WorkerId};
use sprongus_core::{Error, ErrorCode, Result};
use sprongus_http::server::{Options, PublicUrl, RateLimit, Server};
use sprongus_worker::declaration::{Declaration, RateLimitDeclaration};
use tokio::net::TcpListener;

use crate::app::App;
use crate::cli::times;
use crate::commands::apply;
use crate::connect::{Access, Wish};
use crate::exit::Exit;
use crate::exit::failure::Outcome;
use crate::telemetry::Telemetry;
use crate::version;
use crate::work::{self, Wishes};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The first start on a database without tokens creates one and prints where it is stored. SIGTERM, SIGHUP, SIGQUIT or Ctrl-C stops the server once requests in progress are answered."
)]
pub struct Args {
    /// Address to listen on; if other machines can reach it, put TLS in front
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    pub listen: String,
    /// Also serve /metrics on this address, without a token; a port alone means 127.0.0.1
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<String>,
    /// Public URL of this server behind a proxy, such as https://runs.example
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Also run a worker for the kinds declared in sprongus.toml
    #[arg(long)]
    pub with_worker: bool,
    /// With --with-worker: maximum number of runs to execute at once
    #[arg(long, value_name = "N", requires = "with_worker", value_parser = clap::value_parser!(u32).range(1..=i64::from(sprongus_worker::MAX_CONCURRENCY)))]
    pub concurrency: Option<u32>,
    /// With --with-worker: only serve these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',', requires = "with_worker")]
    pub kinds: Vec<Kind>,
    /// With --with-worker: how long a run is held without a heartbeat, 1s to 1h (default: 30s)
    #[arg(long, value_name = "DURATION", requires = "with_worker", value_parser = times::span)]
    pub lease: Option<Duration>,
    /// Grace period after the first signal (default: 10s for requests, 30s for runs)
    #[arg(long, value_name = "DURATION", value_parser = times::span)]
    pub grace: Option<Duration>,
    /// Do not LISTEN on Postgres, for poolers in transaction mode; new runs are then found by polling every second
    #[arg(long)]
    pub no_listen: bool,
}

pub async fn run(args: Args, app: &App) -> Outcome {
    let declaration = app.declaration()?;
    let crew = if args.with_worker { Some(work::declared(declaration.as_ref(), &args.kinds)?) } else { None };
    if let Some(lease) = args.lease {
        sprongus_core::rules::claim::check_lease_duration(lease)?;
    }
    let public_url = args.public_url.as_deref().map(public_url).transpose()?;
    let wish = Wish { no_listen: args.no_listen, ..app.wish() };
    let connection = app.connect_by(&wish, Access::Serving).await?;
    let telemetry = Telemetry::start(&app.screen)?;
    let listener = listen(&args.listen, "--listen").await?;
    let address = listener.local_addr().map_err(|error| cannot_listen(&args.listen, "--listen", &error))?;
    app.warn(&connection.place);
    apply::at_start(app, &connection.place, declaration.as_ref(), connection.schedules.as_ref()).await?;
    let scraped = match &args.metrics_listen {
        Some(text) => Some(listen_for_metrics(app, text).await?),
        None => None,
    };
    let url = format!("http://{address}");
    let service = connection.service()?.0.clone();
    let retention =
        declaration.as_ref().map(|declaration| declaration.retention.or_default()).unwrap_or_default();
    let housekeeping = Housekeeping::start(service.clone(), retention);
    first_token::offer(app, &service, &connection.place, &url, address.ip().is_loopback()).await?;
    if !address.ip().is_loopback() {
        app.screen.note_now(
            "other machines can reach this address; without TLS in front, tokens and runs are sent unencrypted",
        );
    }
    let dashboard = public_url.as_ref().map_or_else(|| url.clone(), ToString::to_string);
    app.screen.note_now(&format!("dashboard {dashboard}/login"));
    let shutdown = work::on_signals()?;
    // As the first process of a container it gets the orphans of what others start there.
    sprongus_worker::orphans::adopt_orphans();
    let mut options = options(declaration.as_ref());
    options.grace = args.grace.unwrap_or(options.grace);
    options.public_url = public_url;
    let figures = housekeeping.figures();
    let mut server = Server::new(service, options)
        .with_metrics(move || figures.metrics().into_iter().chain([version::metric()]).collect());
    if let Some(listener) = scraped {
        server = server.metrics_at(listener);
    }
    app.screen.answer(
        &serde_json::json!({"url": url, "database": connection.place.to_string()}),
        &url,
        || format!("{url} serves {}; press Ctrl-C to stop\n", connection.place),
    )?;
    let stopping = shutdown.clone();
    let serving =
        tokio::spawn(sprongus_http::server::serve(
            server,
            listener,
            async move { stopping.requested().await },
        ));
    let worked = match crew {
        None => Ok(()),
        Some(()) => {
            let declaration = declaration.ok_or_else(|| Error::internal("a worker without kinds"))?;
            let wishes = Wishes {
                concurrency: args.concurrency,
                kinds: args.kinds,
                lease: args.lease,
                grace: args.grace,
                is_remote: false,
            };
            let ready = |id: &WorkerId| app.screen.note_now(&format!("worker {id} executes its kinds"));
            let summary = work::until(connection.runs, declaration, wishes, shutdown.clone(), ready).await;
            // A worker that somebody drained leaves the server be.
            summary.map(|_| ())
        }
    };
    let broken = |error| Error::internal("the server stopped unexpectedly").with_source(error);
    if worked.is_err() {
        shutdown.now();
    }
    let served = serving.await.map_err(broken);
    telemetry.stop().await;
    let served = served?;
    worked?;
    served.map_err(|error| cannot_listen(&args.listen, "--listen", &error))?;
    if let Some(signal) = shutdown.signal() {
        app.screen.note_now(&format!("stopped by {signal}"));
    }
    Ok(Exit::Done)
}

fn options(declaration: Option<&Declaration>) -> Options {
    let mut options = Options::default();
    match declaration.and_then(|declaration| declaration.server.rate_limit) {
        None => {}
        Some(RateLimitDeclaration::Off) => options.rate_limit = None,
        Some(RateLimitDeclaration::On { per_second, burst }) => {
            options.rate_limit = Some(RateLimit { per_second, burst });
        }
    }
    options
}

/// What people type into a browser. It is not repeated when it is none: it may hold a password.
fn public_url(text: &str) -> Result<PublicUrl> {
    let hint = "use a scheme and a host, such as https://runs.example";
    text.parse().map_err(|_| Error::validation("--public-url: not a server URL").with_hint(hint))
}

/// A listener for `/metrics` alone. It asks nobody for a token, so it is on loopback unless an address says otherwise.
async fn listen_for_metrics(app: &App, text: &str) -> Result<TcpListener> {
    let option = "--metrics-listen";
    let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = if is_port { format!("127.0.0.1:{text}") } else { text.to_owned() };
    let listener = listen(&whole, option).await?;
    let address = listener.local_addr().map_err(|error| cannot_listen(&whole, option, &error))?;
    app.screen.note_now(&format!("metrics http://{address}/metrics, without a token"));
    if !address.ip().is_loopback() {
        app.screen.note_now("other machines can read them, including the names of workspaces and kinds");
    }
    Ok(listener)
}

async fn listen(text: &str, option: &str) -> Result<TcpListener> {
    let addresses = tokio::net::lookup_host(text).await.map_err(|error| {
        let name = sprongus_core::values::text::excerpt(text, 64);
        Error::validation(format!("{option}: not an address: {name}"))
            .with_hint("use HOST:PORT, such as 127.0.0.1:3000")
            .with_source(error)
    })?;
    let addresses: Vec<SocketAddr> = addresses.collect();
    TcpListener::bind(addresses.as_slice()).await.map_err(|error| cannot_listen(text, option, &error))
}

fn cannot_listen(text: &str, option: &str, error: &std::io::Error) -> Error {
    let name = sprongus_core::values::text::excerpt(text, 64);
    Error::new(ErrorCode::Unavailable, format!("cannot listen on {name}: {error}"))
        .with_hint(format!("another program may be using that port; choose another with {option}"))
}
