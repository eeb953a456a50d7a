//! Where a server is.

use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use sprongus_core::{Error, Result};

/// A server's URL, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The URL without a slash at its end.
    base: String,
    host: String,
    is_tls: bool,
    is_loopback: bool,
}

impl Address {
    /// Reads a URL. No refusal repeats it: a token may stand in it.
    ///
    /// # Errors
    /// `validation`.
    pub fn read(text: &str) -> Result<Self> {
        let refuse = |message: &str| {
            Err(Error::validation(message.to_owned())
                .with_hint("use a URL such as `http://localhost:3000` or `https://sprongus.example.org`"))
        };
        let Ok(url) = Url::parse(text.trim()) else { return refuse("the server address is not a URL") };
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return refuse("the server URL must begin with http:// or https://"),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the server URL must not contain a user or password; pass the token separately");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return refuse("the server URL must not contain a query");
        }
        let Some(host) = url.host_str() else { return refuse("the server URL has no host") };
        let is_loopback = is_loopback(host);
        let host = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), host, is_tls, is_loopback })
    }

    /// The URL of a route, `path` being encoded already.
    pub fn route(&self, path: &str, query: &[(&str, String)]) -> Result<Url> {
        let mut url = Url::parse(&format!("{}{path}", self.base))
            .map_err(|error| Error::internal("a route is no URL").with_source(error))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// The host, and the port where the URL names one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether it is spoken to over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Whether it is this machine, which no proxy leads to.
    pub fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_local_name = host == "localhost" || host.ends_with(".localhost");
    is_local_name || address.is_ok_and(|address| address.is_loopback())
}

/// What needs no escape within a path. A colon does: a verb stands behind one.
pub const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, IN_A_PATH).to_string()
}
