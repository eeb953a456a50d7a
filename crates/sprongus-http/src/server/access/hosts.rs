//! The hosts that a server answers to. A web page whose name was made to resolve to this machine (DNS rebinding) has a browser ask a
//! server on loopback as if it were the page's own; the browser names the page's host then, and is refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sprongus_core::{Error, ErrorCode, Result};

use crate::server::response::{ApiError, shown};

/// The URL by which clients reach a server that stands behind a proxy: `http` or `https`, a host, and a port if need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    is_https: bool,
    host: String,
    port: Option<u16>,
}

impl PublicUrl {
    /// Whether browsers reach it over TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether the value of a `Host` header, or what follows `://` in an origin, names this URL's host, whatever the port.
    pub(crate) fn names(&self, authority: &str) -> bool {
        split(authority).is_some_and(|(host, _)| host == self.host)
    }

    /// Whether an origin is this URL's.
    pub(crate) fn is_origin(&self, origin: &str) -> bool {
        origin.parse::<Self>().is_ok_and(|origin| origin.effective() == self.effective())
    }

    fn effective(&self) -> (bool, &str, u16) {
        (self.is_https, &self.host, self.port.unwrap_or(if self.is_https { 443 } else { 80 }))
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}://{}", if self.is_https { "https" } else { "http" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(out, ":{port}"))
    }
}

impl FromStr for PublicUrl {
    type Err = Error;

    /// # Errors
    /// `validation`, without the text: a URL may hold a password.
    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once("://").and_then(|(scheme, rest)| {
            let is_https = match scheme.to_ascii_lowercase().as_str() {
                "https" => true,
                "http" => false,
                _ => return None,
            };
            let (host, port) = split(rest.strip_suffix('/').unwrap_or(rest))?;
            Some(Self { is_https, host, port })
        });
        parsed.ok_or_else(|| {
            Error::validation("not a server URL")
                .with_hint("a public URL is a scheme and a host, such as https://runs.example")
        })
    }
}

/// Host, in lower case, and port of what a `Host` header may hold; none when it is no host.
fn split(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, port) = rest.split_once(']')?;
            inside.parse::<Ipv6Addr>().ok()?;
            (&authority[..inside.len() + 2], port)
        }
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        // RFC 3986 allows a colon without a port.
        Some("") => None,
        Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(digits.parse().ok()?),
        None if port.is_empty() => None,
        Some(_) | None => return None,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_host = host.starts_with('[') || host.bytes().all(is_name);
    (is_host && !host.is_empty()).then(|| (host.to_ascii_lowercase(), port))
}

/// The port that a browser knows the server by, as the `Host` header says it.
pub(crate) fn port(headers: &HeaderMap) -> Option<u16> {
    split(headers.get(header::HOST)?.to_str().ok()?)?.1
}

/// The hosts that a listener answers to; any, unless it listens on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Hosts(Option<Arc<[String]>>);

impl Hosts {
    pub(crate) fn any() -> Self {
        Self(None)
    }

    /// Those of a listener at `address`.
    pub(crate) fn of(address: SocketAddr, public: Option<&PublicUrl>) -> Self {
        let ip = address.ip().to_canonical();
        if !ip.is_loopback() {
            return Self::any();
        }
        let own = [ip, IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let own = own.into_iter().map(|ip| match ip {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        });
        let public = public.map(|url| url.host.clone());
        Self(Some(own.chain(["localhost".to_owned()]).chain(public).collect()))
    }

    fn check(&self, request: &Request) -> Result<()> {
        let malformed = |message: &str| {
            Error::new(ErrorCode::Malformed, message).with_hint("send one Host header with host and port")
        };
        let mut given = request.headers().get_all(header::HOST).iter();
        let named = match (given.next(), given.next()) {
            (Some(host), None) => {
                let host = host.to_str().ok().and_then(split);
                Some(host.ok_or_else(|| malformed("the Host header has no host"))?.0)
            }
            (Some(_), Some(_)) => return Err(malformed("two Host headers")),
            // HTTP/1.0 has none, as the probes of some balancers; no browser speaks it.
            (None, _) if request.version() < Version::HTTP_11 => None,
            (None, _) => return Err(malformed("no Host header")),
        };
        let in_target = request.uri().authority().map(|authority| {
            split(authority.as_str()).ok_or_else(|| malformed("the request target has no host"))
        });
        let in_target = in_target.transpose()?.map(|(host, _)| host);
        let Self(Some(known)) = self else { return Ok(()) };
        for host in named.iter().chain(&in_target) {
            if !known.contains(host) {
                let message = format!("this server does not serve the host {}", shown(host));
                return Err(Error::new(ErrorCode::Misdirected, message));
            }
        }
        Ok(())
    }
}

/// Refuses requests for other hosts, whatever the route.
pub(crate) async fn layer(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match hosts.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => ApiError(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_with_and_without_a_port() {
        for (text, host, port) in [
            ("LocalHost:3000", "localhost", Some(3000)),
            ("127.0.0.1", "127.0.0.1", None),
            ("[::1]:80", "[::1]", Some(80)),
            ("a-b.example:", "a-b.example", None),
        ] {
            assert_eq!(split(text), Some((host.to_owned(), port)), "{text}");
        }
        for bad in ["", ":80", "a b", "a:b", "a:99999", "u@a", "a/b", "[::1", "[x]", "::1", "a,b", "[::1]x"] {
            assert_eq!(split(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_public_url_is_a_scheme_and_a_host() {
        let url: PublicUrl = "HTTPS://Runs.Example:8443/".parse().unwrap();
        assert_eq!(url.to_string(), "https://runs.example:8443");
        assert!(url.names("runs.example") && url.names("runs.example:1") && !url.names("other.example"));
        let url: PublicUrl = "https://runs.example".parse().unwrap();
        assert!(url.is_origin("https://runs.example:443") && !url.is_origin("http://runs.example"));
        for bad in ["runs.example", "ftp://a", "https://", "https://u:p@a", "https://a/b", "https://a?b"] {
            let error = bad.parse::<PublicUrl>().unwrap_err();
            assert_eq!(error.code(), ErrorCode::Validation, "{bad}");
        }
    }
}
