//! One call: what is asked, how long for, and how often.
//!
//! A call is repeated as long as a repeat is safe and may help: its failure says whether (see [`super::failure`]). Repeats come
//! after jittered pauses that double, or when the server says. What streams is repeated until its first byte is there; the rest of it
//! is for [`super::transfer`].

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sprongus_core::{Error, Result};

use super::RunsClient;
use super::failure::{self, CallError, Failure, Fate};
use super::limits::ANSWER;
use crate::wire::REPLAYED_HEADER;

/// The most bytes of an answer where nothing else is said.
const LARGEST: usize = 64 << 20;

/// The most bytes that one more run adds to an answer: its input, its result, and what stands around them.
const LARGEST_RUN: usize = 3 << 20;

/// The shortest and the longest pause before a repeat.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A request, and how it may be repeated.
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    header: Option<(HeaderName, String)>,
    body: Option<Vec<u8>>,
    wait: Duration,
    largest: usize,
    is_repeatable: bool,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            header: None,
            body: None,
            wait: Duration::ZERO,
            largest: LARGEST,
            is_repeatable: true,
        }
    }

    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

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

    /// Says how something is, with a body that is given apart, and is there once.
    pub fn put_stream(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path).once()
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

    /// With a header of its own.
    pub fn saying_in(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
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

/// A response with a status of success.
pub struct Reply {
    body: Vec<u8>,
    is_json: bool,
    host: String,
    /// The answer was given before.
    pub is_replay: bool,
}

impl Reply {
    /// Refuses the page of somebody on the way, which may well have the status of an answer.
    pub fn is_of_a_server(&self) -> Result<()> {
        if self.is_json || self.body.is_empty() {
            return Ok(());
        }
        Err(failure::no_server(&self.host, "it did not respond with JSON"))
    }

    /// The body's JSON.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        self.is_of_a_server()?;
        // What serde says quotes the value it met, which belongs in no log.
        serde_json::from_slice(&self.body).map_err(|fault| {
            let position =
                format!("{:?} error at line {} column {}", fault.classify(), fault.line(), fault.column());
            Error::internal(format!("cannot understand the response from {}", self.host))
                .with_hint("compare `sprongus --version` on both sides: the server may be newer")
                .with_source(position)
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
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        self.send(&call).await.map_err(Error::from)?.read()
    }

    /// Asks what is answered with nothing but yes.
    pub(super) async fn tell(&self, call: Call) -> Result<()> {
        self.send(&call).await.map_err(Error::from)?.is_of_a_server()
    }

    /// Asks until there is an answer, or no repeat is left that is safe and may help.
    pub(super) async fn send(&self, call: &Call) -> Result<Reply, CallError> {
        self.repeat(call, || self.send_once(call)).await
    }

    /// The same for an answer that streams: it is there when its head is, and none of it is read.
    pub(super) async fn open(&self, call: &Call) -> Result<Response> {
        Ok(self.repeat(call, || self.open_once(call)).await?)
    }

    async fn repeat<T, F>(&self, call: &Call, once: impl Fn() -> F) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut first_failure = None;
        let mut is_doubtful = false;
        for tries in 0.. {
            let failure = match once().await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let may_repeat = match failure.fate {
                Fate::Final => false,
                Fate::NotDone => true,
                Fate::Doubtful => call.is_repeatable,
            };
            is_doubtful |= failure.fate == Fate::Doubtful;
            let since = first_failure.get_or_insert_with(Instant::now).elapsed();
            let pause = failure.after.unwrap_or_else(|| pause(tries));
            if !may_repeat || since.saturating_add(pause) > failure.patience {
                return Err(failure.into_error(call.is_repeatable, is_doubtful));
            }
            tracing::debug!(path = call.path, error = ?failure.error, ?pause, "a request failed and is being repeated");
            tokio::time::sleep(pause).await;
        }
        Err(Error::internal("a request was repeated too often").into())
    }

    /// What is asked, for one try.
    pub(super) fn request(&self, http: &reqwest::Client, call: &Call) -> Result<RequestBuilder> {
        let url = self.inner.address.route(&call.path, &call.query)?;
        let request = http.request(call.method.clone(), url);
        Ok(match &call.header {
            Some((name, value)) => request.header(name, value),
            None => request,
        })
    }

    async fn send_once(&self, call: &Call) -> Result<Reply, Failure> {
        let host = self.host();
        let mut request = self.request(&self.inner.http, call).map_err(Failure::of_ours)?;
        request = request.timeout(ANSWER.saturating_add(call.wait));
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = request.send().await.map_err(|error| failure::of_connection(host, error))?;
        self.read(response, call.largest).await
    }

    async fn open_once(&self, call: &Call) -> Result<Response, Failure> {
        let host = self.host();
        let request = self.request(&self.inner.transfers, call).map_err(Failure::of_ours)?;
        let answering = async {
            let response = request.send().await.map_err(|error| failure::of_connection(host, error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            Err(self.refusal(response).await)
        };
        tokio::time::timeout(ANSWER, answering).await.unwrap_or_else(|_| Err(failure::too_late(host, ANSWER)))
    }

    /// Reads an answer that is not large.
    pub(super) async fn answered(&self, response: Response) -> Result<Reply, Failure> {
        self.read(response, LARGEST).await
    }

    async fn read(&self, response: Response, largest: usize) -> Result<Reply, Failure> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let host = self.host().to_owned();
        let headers = response.headers();
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
        let is_replay = headers.contains_key(REPLAYED_HEADER);
        let body = read(&host, response, largest).await?;
        Ok(Reply { body, is_json, host, is_replay })
    }

    /// Reads an answer that is none.
    async fn refusal(&self, response: Response) -> Failure {
        let status = response.status().as_u16();
        let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
        let after = after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        match read(self.host(), response, LARGEST).await {
            Ok(body) => failure::of_answer(self.host(), status, after, &body),
            Err(failure) => failure,
        }
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
