//! How a call can fail, what the caller gets, and what a repeat would do.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use sprongus_core::values::text::printable;
use sprongus_core::{Error, ErrorCode};

use super::limits::{ANSWER, CONNECT};
use crate::problem::{ItemProblem, Problem, code_of_status};

/// How long repeats go on.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long they do where nothing listens: a server that is restarted is back in that time, or it is not there.
const PATIENCE_WITH_NOBODY: Duration = Duration::from_secs(1);

/// How long they do where the server asks to wait for its rate.
const PATIENCE_WITH_RATE: Duration = Duration::from_secs(30);

/// What became of the call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was refused for good: a repeat would be, too.
    Final,
    /// It was not done: a repeat may be.
    NotDone,
    /// Nobody knows whether it was done.
    Doubtful,
}

/// A call that failed once.
pub struct Failure {
    /// The error for the caller, should the call be given up.
    pub error: Error,
    pub fate: Fate,
    /// `Retry-After`, where the server sent it.
    pub after: Option<Duration>,
    /// How long repeats go on, from the first failure.
    pub patience: Duration,
    items: Vec<ItemProblem>,
}

/// A call that was given up.
pub struct CallError {
    /// The error for the caller, should the call be given up.
    pub error: Error,
    /// What is wrong with which item, where a batch was to be made whole.
    pub items: Vec<ItemProblem>,
    /// An earlier try of it may have been done.
    pub is_repeat: bool,
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self { error, items: Vec::new(), is_repeat: false }
    }
}

impl From<CallError> for Error {
    fn from(refused: CallError) -> Self {
        refused.error
    }
}

impl Failure {
    fn new(error: Error, fate: Fate) -> Self {
        Self { error, fate, after: None, patience: PATIENCE, items: Vec::new() }
    }

    /// Before anything was sent.
    pub fn of_ours(error: Error) -> Self {
        Self::new(error, Fate::Final)
    }

    /// The end of the repeats.
    pub fn into_error(self, is_repeatable: bool, is_repeat: bool) -> CallError {
        let error = match self.fate {
            Fate::Doubtful if !is_repeatable => {
                self.error.with_hint("it may have been done; check before you repeat it")
            }
            Fate::Doubtful | Fate::NotDone | Fate::Final => self.error,
        };
        CallError { error, items: self.items, is_repeat }
    }
}

fn unavailable(message: String) -> Error {
    Error::new(ErrorCode::Unavailable, message)
}

/// There is an answer, but not one of ours.
pub fn no_server(host: &str, but: &str) -> Error {
    unavailable(format!("no sprongus server at {host}: {but}"))
        .with_hint("check the URL: use that of `sprongus serve`, with the proxy's path if there is one")
}

/// An answer larger than is kept.
pub fn too_large(host: &str, largest: usize) -> Failure {
    let message = format!("the response from {host} is over {} MiB", largest >> 20);
    let error = Error::new(ErrorCode::PayloadTooLarge, message).with_hint("request less at once");
    Failure::new(error, Fate::Final)
}

/// No response in time; never repeated.
pub fn too_late(host: &str, within: Duration) -> Failure {
    // Who is that slow will not be quicker for being asked twice.
    let message = format!("no response from {host} within {} s", within.as_secs());
    Failure { patience: Duration::ZERO, ..Failure::new(unavailable(message), Fate::Doubtful) }
}

/// No connection, or one that broke.
pub fn of_connection(host: &str, error: reqwest::Error) -> Failure {
    // The URL holds ids at most, but is noise in a message that names the host.
    let error = error.without_url();
    if error.is_builder() {
        return Failure::of_ours(Error::internal("cannot send a request").with_source(error));
    }
    if error.is_connect() {
        return of_no_connection(host, error);
    }
    if error.is_timeout() {
        return too_late(host, ANSWER);
    }
    let message = format!("the connection to {host} was lost before it responded");
    Failure::new(unavailable(message).with_source(error), Fate::Doubtful)
}

fn of_no_connection(host: &str, error: reqwest::Error) -> Failure {
    let running = "check that `sprongus serve` is running there, or use another server with `--remote URL` or SPRONGUS_API_URL";
    let refused = chain(&error).any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionRefused)
    });
    let certificate =
        chain(&error).find_map(|cause| cause.downcast_ref::<rustls::Error>()).map(ToString::to_string);
    if let Some(fault) = certificate {
        let tls = unavailable(format!("TLS failed with {host}: {fault}")).with_hint(
            "check the URL; set SSL_CERT_FILE for certificate authorities that the system does not know",
        );
        return Failure::new(tls.with_source(error), Fate::Final);
    }
    let (unconnected, patience) = if refused {
        (unavailable(format!("no server is listening at {host}")).with_hint(running), PATIENCE_WITH_NOBODY)
    } else if error.is_dns() {
        (unavailable(format!("no such host: {host}")).with_hint("check the URL"), PATIENCE_WITH_NOBODY)
    } else if error.is_timeout() {
        let message = format!("cannot connect to {host} within {} s", CONNECT.as_secs());
        (unavailable(message).with_hint(running), PATIENCE)
    } else {
        (unavailable(format!("no connection to {host}")).with_hint(running), PATIENCE)
    };
    Failure { patience, ..Failure::new(unconnected.with_source(error), Fate::NotDone) }
}

/// The causes of an error, those included that an [`io::Error`] keeps inside.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| {
        let cause: &'a (dyn StdError + 'static) = *cause;
        let inside = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inside {
            Some(inside) => Some(inside as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}

/// An answer that is a refusal: a problem document of ours, or whatever somebody on the way has to say. The text of the latter is
/// not repeated; nobody knows what is in it.
pub fn of_answer(host: &str, status: u16, after: Option<Duration>, body: &[u8]) -> Failure {
    let failure = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => of_problem(problem),
        Err(_) => of_stranger(host, status),
    };
    let patience = if status == 429 { PATIENCE_WITH_RATE } else { failure.patience };
    Failure { after, patience, ..failure }
}

fn of_problem(mut problem: Problem) -> Failure {
    let (status, items) = (problem.status, std::mem::take(&mut problem.items));
    for text in [&mut problem.detail, &mut problem.hint] {
        *text = printable(text).into_owned();
    }
    let error = problem.into_error();
    let fate = match status {
        408 | 429 | 503 if error.retryable() => Fate::NotDone,
        502 | 504 => Fate::Doubtful,
        _ => Fate::Final,
    };
    Failure { items, ..Failure::new(error, fate) }
}

fn of_stranger(host: &str, status: u16) -> Failure {
    let said = format!("{host} responded with status {status}");
    match status {
        300..=399 => {
            let error = no_server(host, "it redirects, and the token is not sent to another server");
            Failure::new(error, Fate::Final)
        }
        404 => Failure::new(no_server(host, "it answered 404, not as a sprongus server does"), Fate::Final),
        429 => Failure::new(Error::new(ErrorCode::RateLimited, said), Fate::NotDone),
        408 | 502..=504 => Failure::new(unavailable(said), Fate::Doubtful),
        _ => {
            let hint = "this is not a sprongus response: check the proxy in front of the server";
            Failure::new(Error::new(code_of_status(status), said).with_hint(hint), Fate::Final)
        }
    }
}
