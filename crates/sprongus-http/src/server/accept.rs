//! Connections: taking them in, how many, and how they end. What is asked over one is for the router.

mod write_timeout;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

use super::access::hosts::Hosts;
use super::request::path;
use super::{Server, Shared, router};
use write_timeout::WriteTimeout;

/// The most bytes of a request's head: over it the answer is 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The most headers of a request: over it the answer is 431.
const MAX_HEADERS: usize = 100;

/// Connections at once of a listener that has `/metrics` alone.
const SCRAPERS: usize = 64;

/// How long to wait when the system has no more connections to give.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(100);

/// Serves until `stop` is ready, then lets what is under way end, for as long as the options say.
///
/// # Errors
/// What the system says when it cannot listen any more.
pub async fn serve(server: Server, listener: TcpListener, stop: impl Future<Output = ()>) -> io::Result<()> {
    let Server { shared, stop: stop_waiting, metrics } = server;
    let public = shared.options.public_url.clone();
    let hosts = Hosts::of(listener.local_addr()?, public.as_ref());
    let app = router::router(Arc::clone(&shared), hosts);
    let main = take_in(&shared, app, listener, shared.options.connections);
    let beside = async {
        let Some(listener) = metrics else { return Ok(()) };
        let hosts = Hosts::of(listener.local_addr()?, None);
        take_in(&shared, router::metrics_alone(Arc::clone(&shared), hosts), listener, SCRAPERS).await
    };
    let stopped = async {
        stop.await;
        stop_waiting.send_replace(true);
        Ok(())
    };
    tokio::try_join!(main, beside, stopped).map(|_| ())
}

/// Takes connections in and answers them by `app`, until the server is told to stop.
async fn take_in(shared: &Arc<Shared>, app: Router, listener: TcpListener, most: usize) -> io::Result<()> {
    let options = &shared.options;
    let app = app.map_request(path::split_verb);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.patience)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES);
    let permits = Arc::new(Semaphore::new(most));
    let graceful = GracefulShutdown::new();
    let mut stopping: watch::Receiver<bool> = shared.stopping.clone();
    loop {
        let taken = async {
            // The permit first: connections beyond the limit wait in the system's own queue.
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            _ = stopping.wait_for(|is_stopping| *is_stopping) => break,
            taken = taken => taken,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_connection(&error) => continue,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(OUT_OF_SOCKETS).await;
                continue;
            }
        };
        // Small answers go out at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays slow");
        }
        let io = TokioIo::new(WriteTimeout::new(stream, options.write_timeout));
        let service =
            app.clone().map_request(|request: Request<Incoming>| request.map(axum::body::Body::new));
        let connection = graceful.watch(http.serve_connection(io, TowerToHyperService::new(service)));
        let counted = shared.metrics.connection();
        tokio::spawn(async move {
            let _counted = counted;
            if let Err(error) = connection.await {
                tracing::debug!(?error, "a connection ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    if tokio::time::timeout(options.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests in progress were interrupted");
    }
    Ok(())
}

/// Whether only one connection failed, before it was ours.
fn is_of_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    [ConnectionAborted, ConnectionRefused, ConnectionReset].contains(&error.kind())
}
