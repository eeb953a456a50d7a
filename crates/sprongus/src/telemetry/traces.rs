//! Traces for a collector that speaks OTLP over HTTP, with protobuf. The variables of OpenTelemetry say where it is and what this process
//! is called; where none is named nothing is started. Only spans go out, and no events: what is logged stays here.

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::Url;
use sprongus_core::{Error, Result};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use super::collector::Collector;
use super::masked::Masked;

/// By which a collector is named; the first goes for traces alone.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// What this process is called where nobody says otherwise.
const NAME: &str = "sprongus";

/// How long what is left may take at the end.
const LAST: Duration = Duration::from_secs(3);

/// The spans on their way.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts to send spans, if a collector is named.
    ///
    /// # Errors
    /// `validation` for an address that is none.
    pub fn start() -> Result<Option<Self>> {
        let named = |name| Some((name, std::env::var_os(name).filter(|value| !value.is_empty())?));
        let Some((variable, address)) = ENDPOINTS.into_iter().find_map(named) else { return Ok(None) };
        // The address may hold a password, so it is not repeated.
        let refused = || {
            Error::validation(format!("not a collector URL: {variable}")).with_hint(
                "set it to the URL of an OTLP collector's HTTP port, such as http://localhost:4318, or unset it",
            )
        };
        let address = address.to_str().and_then(|text| Url::parse(text).ok());
        address.filter(|address| matches!(address.scheme(), "http" | "https")).ok_or_else(refused)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new()?)
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|_| refused())?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(Masked(exporter))
            .build();
        Ok(Some(Self(provider)))
    }

    /// Takes this program's spans.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let spans = tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(NAME))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false);
        let is_ours = |metadata: &tracing::Metadata<'_>| {
            metadata.is_span() && metadata.target().starts_with("sprongus")
        };
        Layer::with_filter(spans, filter_fn(is_ours))
    }

    /// Sends what is left.
    pub async fn stop(self) {
        let stopping = move || self.0.shutdown_with_timeout(LAST);
        // A collector that is away has been told of already.
        let _ = tokio::task::spawn_blocking(stopping).await;
    }
}

/// What this process is.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let found = Resource::builder().with_attribute(version.clone()).build();
    let name = found.get(&Key::from_static_str("service.name"));
    if name.is_none_or(|name| name.as_str().starts_with("unknown_service")) {
        return Resource::builder().with_attribute(version).with_service_name(NAME).build();
    }
    found
}
