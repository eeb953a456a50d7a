//! Connections to a bucket's server. `object_store` would let the process choose how TLS is done, which panics where nobody has
//! chosen; and it would look for authorities where no TLS is asked for, on machines that have none.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientConfigKey, ClientOptions, Error, Result};
use reqwest::redirect::Policy;
use reqwest::retry;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// How long an answer, or the next piece of one, may take: a part of 8 MiB goes up in that time at half a megabit a second.
const ANSWER: Duration = Duration::from_secs(120);

const USER_AGENT: &str = concat!("sprongus/", env!("CARGO_PKG_VERSION"));

/// Makes them.
#[derive(Debug)]
pub struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        let may_be_plain = is_allowed(options.get_config_value(&ClientConfigKey::AllowHttp));
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(may_be_plain)?)
            .https_only(!may_be_plain)
            .user_agent(USER_AGENT)
            // A request is signed for one server.
            .redirect(Policy::none())
            // `object_store` repeats by itself.
            .retry(retry::never())
            .connect_timeout(CONNECT)
            .read_timeout(ANSWER);
        builder.build().map(HttpClient::new).map_err(refused)
    }
}

/// Whether a setting says yes, in the words that `object_store` takes for one.
pub fn is_allowed(value: Option<String>) -> bool {
    let yes = ["1", "true", "on", "yes", "y"];
    value.is_some_and(|value| yes.iter().any(|yes| value.eq_ignore_ascii_case(yes)))
}

/// TLS with the system's authorities, or those of `SSL_CERT_FILE`.
fn tls(may_be_plain: bool) -> Result<ClientConfig> {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (trusted, _) = authorities.add_parsable_certificates(found.certs);
    if trusted == 0 && !may_be_plain {
        return Err(refused("no trusted certificate authorities: install ca-certificates"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(refused)?;
    Ok(config.with_root_certificates(authorities).with_no_client_auth())
}

fn refused(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::Generic { store: "S3", source: source.into() }
}
