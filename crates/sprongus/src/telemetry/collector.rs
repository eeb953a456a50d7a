//! The way to a collector. It is the exporter's own thread that waits for it, so one that is slow or away holds nobody up: what does not
//! get there in time is dropped, and a warning says so now and then.

use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::blocking::Client;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use sprongus_core::{Error, Result};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a collector that stays away is not spoken of again.
const SILENCE: Duration = Duration::from_secs(600);

/// The most that is read of an answer.
const MOST: u64 = 64 * 1024;

#[derive(Debug)]
pub struct Collector {
    client: Client,
    warned: Mutex<Option<Instant>>,
}

impl Collector {
    /// Where it is comes with each call.
    ///
    /// # Errors
    /// `internal` when there can be no client.
    pub fn new() -> Result<Self> {
        let failed = || Error::internal("cannot set up the collector client");
        // It has a runtime of its own, which must not begin within another.
        let client = std::thread::spawn(client).join().map_err(|_| failed())??;
        Ok(Self { client, warned: Mutex::new(None) })
    }

    fn send(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, String> {
        let (parts, body) = request.into_parts();
        let asked =
            self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        // Neither its address nor its answer is repeated: either may hold what nobody should read.
        let answer = asked.send().map_err(|error| why(&error).to_owned())?;
        let mut made = Response::builder().status(answer.status());
        if let Some(headers) = made.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut text = Vec::new();
        answer.take(MOST).read_to_end(&mut text).map_err(|_| "its response was cut off".to_owned())?;
        made.body(text.into()).map_err(|_| "its response is invalid".to_owned())
    }

    fn log_change(&self, failure: Option<&str>) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None if warned.take().is_some() => tracing::info!("the collector accepts traces again"),
            None => {}
            Some(_) if warned.is_some_and(|at| at.elapsed() < SILENCE) => {}
            Some(failure) => {
                tracing::warn!(failure, "the collector does not accept traces; dropping spans");
                *warned = Some(Instant::now());
            }
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, HttpError> {
        let answer = self.send(request);
        match &answer {
            Ok(response) if response.status().is_success() => self.log_change(None),
            Ok(response) => {
                self.log_change(Some(&format!("it responds with {}", response.status().as_u16())))
            }
            Err(failure) => self.log_change(Some(failure)),
        }
        Ok(answer?)
    }
}

fn why(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "it does not respond"
    } else if error.is_connect() {
        "cannot reach it"
    } else {
        "it closed the connection"
    }
}

fn client() -> Result<Client> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::internal(format!("cannot set up the collector client: {error}"))
    };
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()
        .map_err(|error| failed(&error))
}
