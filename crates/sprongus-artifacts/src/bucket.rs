//! Artifacts in a bucket of an S3-compatible store: S3 itself, MinIO, Garage, Ceph, R2.
//!
//! Server and credentials come from those `AWS_*` variables that [`settings`] names.

mod connection;
mod settings;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use sprongus_core::run::artifact::{Blobs, ByteStream};
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result};
use tokio::sync::OnceCell;

use crate::fault::{self, Doing};
use crate::{key, upload};
use connection::{Connector, is_allowed};

/// Repeats of a request to a server that does not answer, or answers with an error of its own.
const RETRIES: usize = 4;

/// How long they go on.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bucket, and what every key in it begins with.
pub struct Bucket {
    name: String,
    prefix: String,
    /// What the environment says, or what is wrong with it.
    settings: Result<AmazonS3Builder>,
    store: OnceCell<AmazonS3>,
}

impl Bucket {
    /// The bucket on the server, and with the credentials, that the environment names.
    pub fn from_environment(name: &str, prefix: &str) -> Self {
        Self::on(environment(), name, prefix)
    }

    fn on(settings: Result<AmazonS3Builder>, name: &str, prefix: &str) -> Self {
        let (name, prefix) = (name.to_owned(), prefix.to_owned());
        Self { name, prefix, settings, store: OnceCell::new() }
    }

    /// Whether bytes can be written there and deleted again.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn check(&self) -> Result<()> {
        let probe = self.below(&format!("sprongus-doctor-{}", RunId::new()));
        let store = self.store().await?;
        let failed = |doing| move |error| fault::of_store(doing, &self.place(), &error);
        store.put(&probe, "probe".into()).await.map_err(failed(Doing::Writing))?;
        store.delete(&probe).await.map_err(failed(Doing::Deleting))
    }

    fn below(&self, key: &str) -> Path {
        // Slashes of a prefix separate; `Path::join` would write them out.
        if self.prefix.is_empty() { Path::from(key) } else { Path::from(format!("{}/{key}", self.prefix)) }
    }

    fn path(&self, key: &str) -> Result<Path> {
        key::path(key).map(|path| self.below(path.as_ref()))
    }

    /// The way to the server, made when the first bytes are asked for: reading this machine's authorities takes longer than a command
    /// that touches no artifact.
    async fn store(&self) -> Result<&AmazonS3> {
        self.store.get_or_try_init(|| async { self.connect() }).await
    }

    fn connect(&self) -> Result<AmazonS3> {
        let settings = self
            .settings
            .as_ref()
            .map_err(|error| Error::new(error.code(), error.message()).with_hint(error.hint().to_owned()))?;
        if self.endpoint().is_some_and(|url| url.scheme() == "http") && !self.may_be_plain() {
            return Err(Error::new(
                ErrorCode::Unavailable,
                "cannot store artifacts: the bucket's server is used without TLS",
            )
            .with_hint("use https, or set AWS_ALLOW_HTTP=true if the network is trusted"));
        }
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
        let settings = settings.clone().with_bucket_name(&self.name).with_retry(retry);
        // One deletes at a time, by the request that every server for S3 knows.
        let settings = settings.with_disable_bulk_delete(true).with_http_connector(Connector);
        settings.build().map_err(|error| {
            let message = "cannot store artifacts: the bucket's server or credentials are not set correctly";
            Error::new(ErrorCode::Unavailable, message)
                .with_hint("check AWS_ENDPOINT, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
                .with_source(error)
        })
    }

    fn setting(&self, key: &AmazonS3ConfigKey) -> Option<String> {
        self.settings.as_ref().ok()?.get_config_value(key)
    }

    fn may_be_plain(&self) -> bool {
        let key = AmazonS3ConfigKey::Client(object_store::ClientConfigKey::AllowHttp);
        is_allowed(self.setting(&key))
    }

    fn endpoint(&self) -> Option<reqwest::Url> {
        let keys = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint];
        let named = keys.iter().find_map(|key| self.setting(key))?;
        named.parse().ok()
    }
}

/// What the environment says of a bucket's server.
///
/// # Errors
/// `validation`, with the name of the variable that is wrong.
pub fn environment() -> Result<AmazonS3Builder> {
    settings::read(|name| std::env::var(name))
}

#[async_trait]
impl Blobs for Bucket {
    async fn put(&self, key: &str, body: ByteStream) -> Result<()> {
        upload::write(self.store().await?, &self.path(key)?, body, &self.place()).await
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<ByteStream> {
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
        let found = self.store().await?.get_opts(&self.path(key)?, options).await;
        let place = self.place();
        let found = found.map_err(|error| fault::of_store(Doing::Reading, &place, &error))?;
        if found.range != range {
            return Err(fault::unavailable(Doing::Reading, "the object is shorter than it was", &place));
        }
        Ok(found.into_stream().map_err(move |error| fault::of_download(&place, &error)).boxed())
    }

    async fn delete(&self, key: &str) -> Result<()> {
        match self.store().await?.delete(&self.path(key)?).await {
            Ok(()) => Ok(()),
            // S3 does not mind; some of those that speak like it do.
            Err(error) if fault::is_missing(&error) => Ok(()),
            Err(error) => Err(fault::of_store(Doing::Deleting, &self.place(), &error)),
        }
    }

    fn place(&self) -> String {
        let server = self.endpoint().and_then(|url| {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            url.host_str().map(|host| format!(" at {}://{host}{port}", url.scheme()))
        });
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}{}", self.name, self.prefix, server.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
