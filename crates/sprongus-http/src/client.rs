//! A server's runs, asked over HTTP: the same [`sprongus_core::Runs`] and [`sprongus_core::Admin`] as in process, with the same
//! errors.
//!
//! Every call has a deadline (files have one for each pause in them), and is repeated while that is safe: `call.rs` says how often and how long, `failure.rs` what each way to
//! fail means for a repeat, and the files of the verbs what makes theirs safe. A call that cannot be made safe (log lines, a
//! progress with a message, a token) is repeated only when it certainly was not done; else it is `unavailable`, and the caller
//! decides.
//!
//! Left to others: where the URL and the token come from, and what is done with runs.

mod address;
mod admin;
mod call;
mod connection;
mod enqueue;
mod failure;
mod limits;
mod reading;
mod runs;
mod schedules;
#[cfg(test)]
mod tests;
mod transfer;
mod work;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::Result;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::workspace::token::{Token, TokenSecret};

use crate::wire::health::ReadyBody;
use crate::wire::token::TokenBody;
use address::Address;
use call::Call;
use connection::Connections;

/// How a client presents itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The workspace that is meant; the token's own when absent.
    pub workspace: Option<WorkspaceId>,
    /// What the server's log should call this program; this crate and its version when absent.
    pub user_agent: Option<String>,
    /// The trace that all calls belong to (W3C `traceparent`).
    pub traceparent: Option<String>,
    /// How long [`sprongus_core::Runs::follow`] goes on asking a server that does not answer, as while it is restarted; 5 minutes when
    /// absent. It may answer that much later than its `wait`.
    pub patience: Option<Duration>,
}

/// The runs of a server. Clones share their connections.
#[derive(Clone)]
pub struct RunsClient {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    transfers: reqwest::Client,
    address: Address,
    patience: Duration,
}

/// How long a follower goes on asking where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

impl RunsClient {
    /// The runs of the server at `url`, such as `https://sprongus.example.org` or `http://localhost:3000`, as the owner of
    /// `token` may see and change them. Nothing is sent yet.
    ///
    /// # Errors
    /// `validation` when the URL is none of a server: it needs `http` or `https`, and holds neither a user nor a query.
    pub fn new(url: &str, token: &TokenSecret, options: &Options) -> Result<Self> {
        let address = Address::read(url)?;
        let Connections { calls, transfers } = connection::build(&address, token, options)?;
        let patience = options.patience.unwrap_or(PATIENCE);
        Ok(Self { inner: Arc::new(Inner { http: calls, transfers, address, patience }) })
    }

    /// The server's host, and its port where the URL names one.
    pub fn host(&self) -> &str {
        self.inner.address.host()
    }

    /// What the server knows of the token of this client.
    ///
    /// # Errors
    /// `unauthenticated` when it is not good; `unavailable` when the server cannot be reached.
    pub async fn own_token(&self) -> Result<Token> {
        Ok(self.call::<TokenBody>(Call::get("/v1/token")).await?.into())
    }

    /// What the server says of its database.
    ///
    /// # Errors
    /// `unavailable` when it cannot be reached, or cannot do its work.
    pub async fn ready(&self) -> Result<ReadyBody> {
        self.call(Call::get("/readyz")).await
    }
}

impl fmt::Debug for RunsClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RunsClient({})", self.host())
    }
}
