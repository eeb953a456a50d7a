//! One call: what is asked, how long for, and how often.
//!
//! A call is repeated as long as a repeat is safe and may help: its failure says whether (see [`super::failure`]). Repeats come
//! after jittered pauses that double, or when the server says.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::{Error, Result};

use super::RunsClient;
use super::failure::{self, Failure, Fate, Refused};
use crate::wire::REPLAYED_HEADER;

/// How long an answer may take, beyond a wait that was asked for.
pub const ANSWER: Duration = Duration::from_secs(30);

/// The most bytes of an answer where nothing else is said.
const LARGEST: usize = 64 << 20;

/// The most bytes that one more run adds to an answer: its input, its result, and what stands around them.
const LARGEST_RUN: usize = 3 << 20;

/// The shortest and the longest pause before a repeat.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What is asked.
pub struct Ask {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    wait: Duration,
    largest: usize,
    is_repeatable: bool,
}

impl Ask {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            wait: Duration::ZERO,
            largest: LARGEST,
            is_repeatable: true,
        }
    }

    /// Looks.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Takes away.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Does something, with a body of JSON.
    pub fn post<T: Serialize + ?Sized>(path: impl Into<String>, body: &T) -> Result<Self> {
        Self::new(Method::POST, path).saying(body)
    }

    /// Says how something is, with a body of JSON.
    pub fn put<T: Serialize + ?Sized>(path: impl Into<String>, body: &T) -> Result<Self> {
        Self::new(Method::PUT, path).saying(body)
    }

    fn saying<T: Serialize + ?Sized>(self, body: &T) -> Result<Self> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::internal("a request cannot be written").with_source(error))?;
        Ok(Self { body: Some(body), ..self })
    }

    /// With a pair in its query.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    /// Answered later, because the server is asked to wait, or has much to do.
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Answered with up to so many runs.
    pub fn expecting(self, runs: usize) -> Self {
        Self { largest: LARGEST.saturating_add(runs.saturating_mul(LARGEST_RUN)), ..self }
    }

    /// Never done twice: repeated only if it certainly was not done.
    pub fn once(self) -> Self {
        Self { is_repeatable: false, ..self }
    }

    /// How many bytes the body has.
    pub fn size(&self) -> usize {
        self.body.as_ref().map_or(0, Vec::len)
    }
}

/// What was answered.
pub struct Reply {
    body: Vec<u8>,
    is_json: bool,
    host: String,
    /// The answer was given before.
    pub is_replay: bool,
}

impl Reply {
    /// Refuses the page of somebody on the way, which may well have the status of an answer.
    fn is_of_a_server(&self) -> Result<()> {
        if self.is_json || self.body.is_empty() {
            return Ok(());
        }
        Err(failure::no_server(&self.host, "it answered with something else than JSON"))
    }

    /// The answer's JSON.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.is_of_a_server()?;
        // What serde says quotes the value it met, which belongs in no log.
        serde_json::from_slice(&self.body).map_err(|fault| {
            let place =
                format!("{:?} fault in line {} column {}", fault.classify(), fault.line(), fault.column());
            Error::internal(format!("the answer of {} cannot be understood", self.host))
                .with_hint("compare `sprongus --version` here and there: the server may be a newer one")
                .with_source(place)
        })
    }
}

/// The pause before the repeat after so many others: doubled each time, jittered.
fn pause(tries: u32) -> Duration {
    let longest = PAUSES.0.saturating_mul(1 << tries.min(10)).min(PAUSES.1);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

impl RunsClient {
    /// Asks, and reads the answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, ask: Ask) -> Result<T> {
        self.send(&ask).await.map_err(Error::from)?.read()
    }

    /// Asks what is answered with nothing but yes.
    pub(super) async fn tell(&self, ask: Ask) -> Result<()> {
        self.send(&ask).await.map_err(Error::from)?.is_of_a_server()
    }

    /// Asks until there is an answer, or no repeat is left that is safe and may help.
    pub(super) async fn send(&self, ask: &Ask) -> Result<Reply, Refused> {
        let mut first_failure = None;
        let mut is_doubtful = false;
        for tries in 0.. {
            let failure = match self.send_once(ask).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let may_repeat = match failure.fate {
                Fate::Final => false,
                Fate::NotDone => true,
                Fate::Doubtful => ask.is_repeatable,
            };
            is_doubtful |= failure.fate == Fate::Doubtful;
            let since = first_failure.get_or_insert_with(Instant::now).elapsed();
            let pause = failure.after.unwrap_or_else(|| pause(tries));
            if !may_repeat || since.saturating_add(pause) > failure.patience {
                return Err(failure.into_refused(ask.is_repeatable, is_doubtful));
            }
            tracing::debug!(path = ask.path, error = ?failure.error, ?pause, "a call failed, it is repeated");
            tokio::time::sleep(pause).await;
        }
        Err(Error::internal("a call was repeated too often").into())
    }

    async fn send_once(&self, ask: &Ask) -> Result<Reply, Failure> {
        let host = self.host();
        let url = self.inner.address.route(&ask.path, &ask.query).map_err(Failure::of_ours)?;
        let mut request =
            self.inner.http.request(ask.method.clone(), url).timeout(ANSWER.saturating_add(ask.wait));
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await.map_err(|error| failure::of_connection(host, error))?;
        let (status, headers) = (response.status(), response.headers());
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_json = text(CONTENT_TYPE.as_str()).is_some_and(|kind| kind.starts_with("application/json"));
        let after =
            text(RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let is_replay = headers.contains_key(REPLAYED_HEADER);
        let body = read(host, response, ask.largest).await?;
        if status.is_success() {
            return Ok(Reply { body, is_json, host: host.to_owned(), is_replay });
        }
        Err(failure::of_answer(host, status.as_u16(), after, &body))
    }
}

async fn read(host: &str, mut response: Response, largest: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| failure::of_connection(host, error))? {
        if body.len() + part.len() > largest {
            return Err(failure::too_large(host, largest));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
