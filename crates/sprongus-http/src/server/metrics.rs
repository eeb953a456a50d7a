//! What a Prometheus server scrapes. What concerns runs comes from the database, so every server of one tells the same; what concerns
//! requests and connections is this process's own.

mod requests;
mod runs;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use sprongus_core::names::WorkspaceId;
use sprongus_core::rules::SYSTEM;
use sprongus_core::store::Gauge;
use sprongus_core::{Caller, Error, Result, RunsService};

pub(super) use requests::{Requests, shown};
use runs::{OfRuns, Tenant};

/// How old figures may be that somebody else's scrape has just asked for.
const FRESH: Duration = Duration::from_secs(5);

/// The media type of what is answered.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is kept between scrapes.
#[derive(Default)]
pub(super) struct Metrics {
    pub(super) requests: Requests,
    tenants: Mutex<HashMap<WorkspaceId, (Instant, Arc<Tenant>)>>,
}

impl Metrics {
    /// Everything, of these workspaces.
    pub(super) async fn text(&self, service: &RunsService, workspaces: Vec<WorkspaceId>) -> Result<String> {
        let mut tenants = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            tenants.push(self.tenant(service, workspace).await?);
        }
        let gauges = service.store().gauges().await?;
        let mut registry = Registry::with_prefix("sprongus");
        self.requests.register(&mut registry);
        registry.register_collector(Box::new(OfRuns(tenants)));
        registry.register_collector(Box::new(OfStore(gauges)));
        let mut text = String::new();
        encode(&mut text, &registry)
            .map_err(|error| Error::internal("cannot write metrics").with_source(error))?;
        Ok(text)
    }

    async fn tenant(&self, service: &RunsService, workspace: WorkspaceId) -> Result<Arc<Tenant>> {
        let known = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).get(&workspace).cloned();
        if let Some((_, tenant)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(tenant);
        }
        let caller = Caller::new(workspace.clone(), SYSTEM);
        let stats = service.for_caller(caller.clone()).stats().await?;
        let totals = service.store().totals(&caller).await?;
        let tenant = Arc::new(Tenant { workspace: workspace.clone(), stats, totals });
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, (at, _)| at.elapsed() < FRESH);
        tenants.insert(workspace, (Instant::now(), Arc::clone(&tenant)));
        Ok(tenant)
    }
}

/// What the store tells of itself.
#[derive(Debug)]
struct OfStore(Vec<Gauge>);

impl Collector for OfStore {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for Gauge { name, help, value } in &self.0 {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)?;
        }
        Ok(())
    }
}

/// A metric of several series.
fn family<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    unit: Option<&'a Unit>,
    kind: MetricType,
) -> std::result::Result<MetricEncoder<'a>, std::fmt::Error> {
    encoder.encode_descriptor(name, help, unit, kind)
}
