//! The last thing that sees a span before it leaves: masks what looks like a secret or an e-mail address in its name and its fields. A
//! kind, a worker's name or a workspace is what somebody made up.

use std::borrow::Cow;
use std::time::Duration;

use opentelemetry::Value;
use opentelemetry::trace::Status;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use sprongus_core::redact::redact;

/// Masks what goes to another exporter.
#[derive(Debug)]
pub struct Masked<E>(pub E);

impl<E: SpanExporter> SpanExporter for Masked<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(mask);
        self.0.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

fn mask(span: &mut SpanData) {
    if let Cow::Owned(name) = redact(&span.name) {
        span.name = name.into();
    }
    for attribute in &mut span.attributes {
        if let Value::String(text) = &attribute.value
            && let Cow::Owned(text) = redact(text.as_str())
        {
            attribute.value = Value::String(text.into());
        }
    }
    if let Status::Error { description } = &mut span.status
        && let Cow::Owned(text) = redact(description)
    {
        *description = text.into();
    }
}
