//! The way to a provider's server: TLS, proxies, and the key that goes nowhere else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::retry;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use super::AskFailure;
use crate::declaration::{Dialect, ProviderDeclaration};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

const USER_AGENT: &str = concat!("sprongus/", env!("CARGO_PKG_VERSION"));

/// A provider that can be asked.
pub(crate) struct Connection {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) authorization: Option<HeaderValue>,
    /// The longest silence.
    pub(super) idle: Duration,
    pub(super) max_retries: u32,
    pub(super) dialect: Dialect,
}

/// Without the key.
impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Connection {
    /// Makes ready to ask `provider` with its resolved key; nothing is sent.
    ///
    /// # Errors
    /// What is wrong with this machine or the key, without the key.
    pub(crate) fn new(provider: &ProviderDeclaration, key: Option<&str>) -> Result<Self, AskFailure> {
        let address = format!("{}/chat/completions", provider.base_url.trim_end_matches('/'));
        let url = Url::parse(&address)
            .map_err(|error| AskFailure::lasting(format!("base_url is not a URL: {error}")))?;
        let authorization = key.map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| {
                AskFailure::lasting("the api_key contains a character that is not allowed in a header")
            })?;
            value.set_sensitive(true);
            Ok(value)
        });
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(&url)?)
            .user_agent(USER_AGENT)
            // A redirect would carry prompt and key to a server that nobody named.
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(CONNECT);
        let builder = if is_loopback(&url) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| AskFailure {
            error: format!("cannot set up the HTTP client: {}", error.without_url()),
            retryable: true,
        })?;
        let (idle, max_retries, dialect) = (provider.timeout, provider.max_retries, provider.dialect);
        Ok(Self { client, url, authorization: authorization.transpose()?, idle, max_retries, dialect })
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// TLS with the system's authorities, or those of `SSL_CERT_FILE`. Without TLS none are looked for: a machine may have none.
fn tls(url: &Url) -> Result<ClientConfig, AskFailure> {
    let mut authorities = RootCertStore::empty();
    if url.scheme() == "https" {
        let found = rustls_native_certs::load_native_certs();
        let (trusted, _) = authorities.add_parsable_certificates(found.certs);
        if trusted == 0 {
            let error = "no trusted certificate authorities: install ca-certificates, or set SSL_CERT_FILE";
            return Err(AskFailure { error: error.to_owned(), retryable: true });
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| AskFailure::lasting(format!("cannot set up TLS: {error}")))?;
    Ok(config.with_root_certificates(authorities).with_no_client_auth())
}
