//! Connections to the server: TLS, proxies, and what every request says.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::retry;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use sprongus_core::workspace::token::TokenSecret;
use sprongus_core::{Error, ErrorCode, Result};

use super::Options;
use super::address::Address;
use super::limits::{CONNECT, TRANSFER_IDLE};
use crate::wire::WORKSPACE_HEADER;

/// How often an idle connection is probed, so that one whose other end is gone is noticed while a claim waits on it.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long an idle connection is kept: less than servers and proxies keep theirs, so that a call seldom meets one that is being
/// closed, whose outcome nobody would know.
const IDLE: Duration = Duration::from_secs(15);

/// How long what was sent may stay without a sign that it arrived.
const UNHEARD: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("sprongus/", env!("CARGO_PKG_VERSION"));

/// What makes connections to a server.
pub struct Connections {
    /// For what is asked and answered at once.
    pub calls: reqwest::Client,
    /// For files: a server whose disk is slow takes nothing for a while, and lives.
    pub transfers: reqwest::Client,
}

/// What makes connections to `address`.
///
/// # Errors
/// `unavailable` when this machine trusts no authority and the server is spoken to over TLS.
pub fn build(address: &Address, token: &TokenSecret, options: &Options) -> Result<Connections> {
    let (tls, headers) = (tls(address)?, headers(token, options)?);
    let client = |unheard| client(address, tls.clone(), headers.clone(), options, unheard);
    Ok(Connections { calls: client(UNHEARD)?, transfers: client(TRANSFER_IDLE)? })
}

fn client(
    address: &Address,
    tls: ClientConfig,
    headers: HeaderMap,
    options: &Options,
    unheard: Duration,
) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .default_headers(headers)
        .user_agent(options.user_agent.as_deref().unwrap_or(USER_AGENT))
        // A token goes to the server that was named and to no other.
        .redirect(Policy::none())
        .retry(retry::never())
        .referer(false)
        .tcp_keepalive(KEEPALIVE)
        .pool_idle_timeout(IDLE)
        .connect_timeout(CONNECT);
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(unheard);
    let builder = if address.is_loopback() { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| Error::internal("cannot set up the HTTP client").with_source(error))
}

fn headers(token: &TokenSecret, options: &Options) -> Result<HeaderMap> {
    let value = |name: &str, text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Error::validation(format!("cannot be sent as a header: {name}")))
    };
    let mut headers = HeaderMap::new();
    let mut bearer = value("the token", &format!("Bearer {}", token.expose()))?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    if let Some(workspace) = &options.workspace {
        headers
            .insert(HeaderName::from_static(WORKSPACE_HEADER), value("the workspace", workspace.as_str())?);
    }
    if let Some(trace) = &options.traceparent {
        headers.insert(HeaderName::from_static("traceparent"), value("the traceparent", trace)?);
    }
    Ok(headers)
}

/// TLS with the system's authorities, or those of `SSL_CERT_FILE`. Without TLS none are looked for: a machine may have none.
fn tls(address: &Address) -> Result<ClientConfig> {
    let mut authorities = RootCertStore::empty();
    if address.is_tls() {
        let found = rustls_native_certs::load_native_certs();
        let (trusted, _) = authorities.add_parsable_certificates(found.certs);
        if trusted == 0 {
            let message =
                format!("no trusted certificate authorities, so cannot connect to {}", address.host());
            return Err(Error::new(ErrorCode::Unavailable, message)
                .with_hint("install ca-certificates, or set SSL_CERT_FILE"));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("cannot set up TLS").with_source(error))?;
    Ok(config.with_root_certificates(authorities).with_no_client_auth())
}
