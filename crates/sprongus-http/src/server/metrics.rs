//! What a Prometheus server scrapes. What concerns runs comes from the database, so every server of one tells the same; what concerns
//! requests, connections and house is this process's own, and is told when the database is away too: that is when somebody looks.
//!
//! `tenant.rs` has the figures of a workspace and bounds how many kinds are told apart; `runs.rs` and `schedules.rs` write them, `process.rs` what parts of
//! the process report of themselves; `format.rs` knows the two formats.

mod format;
mod process;
mod requests;
mod runs;
mod schedules;
mod tenant;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use sprongus_core::figures::metric::Metric;
use sprongus_core::rules::SYSTEM;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Error, Result, RunsService};

pub(super) use format::Format;
use process::ProcessMetrics;
pub(super) use requests::{Requests, shown};
use runs::OfRuns;
use schedules::OfSchedules;
use tenant::{Found, Shown, Tenant};

/// How old figures may be that somebody else's scrape has just asked for.
const FRESH: Duration = Duration::from_secs(5);

/// How long the database may take; a Prometheus server gives a scrape ten seconds unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(4);

/// Whose figures are shown.
#[derive(Debug)]
pub(super) enum Visible {
    Everybodys,
    Of(WorkspaceId),
}

/// What else in this process tells figures of itself.
type Source = Box<dyn Fn() -> Vec<Metric> + Send + Sync>;

/// What is kept between scrapes.
#[derive(Default)]
pub(super) struct Metrics {
    pub(super) requests: Requests,
    connections: Gauge,
    sources: Mutex<Vec<Source>>,
    tenants: Mutex<HashMap<WorkspaceId, (Instant, Arc<Tenant>)>>,
    shown: Mutex<Shown>,
}

/// A connection, counted until it is dropped.
pub(super) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Asks `source` at each scrape.
    pub(super) fn add(&self, source: Source) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    /// Counts an open connection, until the value is dropped.
    pub(super) fn connection(&self) -> Counted {
        self.connections.inc();
        Counted(self.connections.clone())
    }

    /// The exposition: what this process knows, and what the database answers within four seconds.
    pub(super) async fn text(
        &self,
        service: &RunsService,
        visible: Visible,
        live_pages: usize,
        format: Format,
    ) -> Result<String> {
        let mut reported =
            vec![Metric::now("live_pages", "Open dashboard pages with live updates", live_pages as f64)];
        for source in self.sources.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            reported.extend(source());
        }
        let asked = tokio::time::timeout(PATIENCE, async {
            let tenants = self.tenants(service, visible).await?;
            Ok::<_, Error>((tenants, service.store().metrics().await?))
        });
        let (tenants, of_store) = match asked.await {
            Ok(Ok(answered)) => answered,
            failed => {
                let error = failed.map_or_else(|_| Some(Error::internal("timed out")), Result::err);
                tracing::debug!(?error, "metrics are served without the database's figures");
                // What it knows without a connection it tells at once.
                let own = tokio::time::timeout(PATIENCE, service.store().metrics()).await;
                reported.extend(own.ok().and_then(Result::ok).unwrap_or_default());
                reported.push(Metric::now("store_answers", ANSWERS, 0.0));
                return self.encoded(Vec::new(), reported, format);
            }
        };
        reported.extend(of_store);
        reported.push(Metric::now("store_answers", ANSWERS, 1.0));
        self.encoded(tenants, reported, format)
    }

    fn encoded(&self, tenants: Vec<Arc<Tenant>>, reported: Vec<Metric>, format: Format) -> Result<String> {
        let mut registry = Registry::with_prefix("sprongus");
        self.requests.register(&mut registry);
        registry.register("http_connections", "Open connections", self.connections.clone());
        registry.register_collector(Box::new(OfSchedules(tenants.clone())));
        registry.register_collector(Box::new(OfRuns(tenants)));
        registry.register_collector(Box::new(ProcessMetrics(reported)));
        let mut text = String::new();
        encode(&mut text, &registry)
            .map_err(|error| Error::internal("cannot write metrics").with_source(error))?;
        Ok(format.of(text))
    }

    async fn tenants(&self, service: &RunsService, visible: Visible) -> Result<Vec<Arc<Tenant>>> {
        let workspaces = match visible {
            Visible::Of(workspace) => vec![workspace],
            Visible::Everybodys => {
                let all: Vec<WorkspaceId> =
                    service.store().workspaces().await?.into_iter().map(|workspace| workspace.id).collect();
                self.shown.lock().unwrap_or_else(PoisonError::into_inner).forget_all_but(&all);
                all
            }
        };
        let mut tenants = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            tenants.push(self.tenant(service, workspace).await?);
        }
        Ok(tenants)
    }

    async fn tenant(&self, service: &RunsService, workspace: WorkspaceId) -> Result<Arc<Tenant>> {
        let known = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).get(&workspace).cloned();
        if let Some((_, tenant)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return Ok(tenant);
        }
        let caller = Caller::new(workspace.clone(), SYSTEM);
        let runs = service.for_caller(caller.clone());
        let found = Found {
            stats: runs.stats().await?,
            totals: service.store().totals(&caller).await?,
            workers: runs.workers().await?,
            settings: runs.kinds().await?,
            schedules: service.store().schedule_figures(&caller).await?,
        };
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let tenant = Arc::new(Tenant::new(workspace.clone(), found, &mut shown));
        drop(shown);
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, (at, _)| at.elapsed() < FRESH);
        tenants.insert(workspace, (Instant::now(), Arc::clone(&tenant)));
        Ok(tenant)
    }
}

const ANSWERS: &str =
    "Whether the database answered this scrape in time; if not, metrics of runs are missing";

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
