//! The runs of workspaces as metrics: how many there are of each kind, and everything that ever happened to them.

use std::fmt::Result;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use sprongus_core::directory::{KindStats, Stats};
use sprongus_core::names::WorkspaceId;
use sprongus_core::rollup::{BOUNDS_MS, Counts, Span, Took, Totals};
use std::collections::BTreeMap;

use super::family;

/// The figures of one workspace.
#[derive(Debug)]
pub struct Tenant {
    pub workspace: WorkspaceId,
    pub stats: Stats,
    pub totals: BTreeMap<String, Totals>,
}

/// Those of all that are shown.
#[derive(Debug)]
pub struct OfRuns(pub Vec<Arc<Tenant>>);

/// A figure of a kind.
type Depth = fn(&KindStats) -> f64;
/// One of its counts.
type Count = fn(&Counts) -> u64;
type Labels<'a> = [(&'static str, &'a str); 2];
type Ended<'a> = [(&'static str, &'a str); 3];

/// How many runs there are now.
const DEPTHS: [(&str, &str, Depth); 4] = [
    ("runs_due", "Runs that are due and not claimed", |kind| kind.due as f64),
    ("runs_later", "Runs that are delayed, backing off or waiting at a gate", |kind| kind.later as f64),
    ("runs_running", "Runs that workers hold", |kind| kind.running as f64),
    ("oldest_due_seconds", "How long the run that has been due longest has been so", |kind| {
        kind.oldest_due_ms.map_or(0.0, seconds)
    }),
];

/// What has ever happened.
const HAPPENED: [(&str, &str, Count); 4] = [
    ("runs_enqueued", "Runs that were made", |counts| counts.enqueued),
    ("executions_started", "Executions that were begun", |counts| counts.started),
    ("executions_retried", "Executions that failed, with another to come", |counts| counts.retried),
    ("leases_lost", "Leases that ran out", |counts| counts.lost),
];

/// How runs ended.
const ENDINGS: [(&str, Count); 3] = [
    ("succeeded", |counts| counts.succeeded),
    ("failed", |counts| counts.failed),
    ("canceled", |counts| counts.canceled),
];

/// How long it took.
const SPANS: [(&str, &str, Span); 2] = [
    ("run_wait", "From due to started, of each execution", Span::Wait),
    ("run_execution", "The last execution of each run that succeeded or failed", Span::Execution),
];

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}

impl OfRuns {
    fn kinds(&self) -> impl Iterator<Item = (Labels<'_>, &KindStats)> {
        self.0.iter().flat_map(|tenant| {
            let workspace = tenant.workspace.as_str();
            tenant
                .stats
                .kinds
                .iter()
                .map(move |(kind, stats)| ([("workspace", workspace), ("kind", kind.as_str())], stats))
        })
    }

    fn totals(&self) -> impl Iterator<Item = (Labels<'_>, &Totals)> {
        self.0.iter().flat_map(|tenant| {
            let workspace = tenant.workspace.as_str();
            tenant
                .totals
                .iter()
                .map(move |(kind, totals)| ([("workspace", workspace), ("kind", kind.as_str())], totals))
        })
    }
}

impl Collector for OfRuns {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result {
        for (name, help, value) in DEPTHS {
            let mut metric = family(&mut encoder, name, help, None, MetricType::Gauge)?;
            for (labels, kind) in self.kinds() {
                metric.encode_family(&labels)?.encode_gauge(&value(kind))?;
            }
        }
        for (name, help, value) in HAPPENED {
            let mut metric = family(&mut encoder, name, help, None, MetricType::Counter)?;
            for (labels, totals) in self.totals() {
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value(&totals.counts), None)?;
            }
        }
        let mut metric =
            family(&mut encoder, "runs_ended", "Runs that ended, by how", None, MetricType::Counter)?;
        for ([workspace, kind], totals) in self.totals() {
            for (outcome, value) in ENDINGS {
                let labels: Ended<'_> = [workspace, kind, ("outcome", outcome)];
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value(&totals.counts), None)?;
            }
        }
        for (name, help, span) in SPANS {
            let mut metric = family(&mut encoder, name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            for (labels, totals) in self.totals() {
                let (groups, sum) = histogram(&totals.spans, span);
                metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum.0, sum.1, &groups, None)?;
            }
        }
        let mut metric = family(&mut encoder, "workers", "Workers heard of lately", None, MetricType::Gauge)?;
        for tenant in &self.0 {
            let labels = [("workspace", tenant.workspace.as_str())];
            metric.encode_family(&labels)?.encode_gauge(&(tenant.stats.workers as f64))?;
        }
        Ok(())
    }
}

/// The groups, each with its bound and its own count, and the sum of all in seconds with their number.
fn histogram(spans: &BTreeMap<(Span, usize), Took>, span: Span) -> (Vec<(f64, u64)>, (f64, u64)) {
    let bounds = BOUNDS_MS.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
    let took = |group| spans.get(&(span, group)).copied().unwrap_or_default();
    let groups: Vec<(f64, u64)> =
        bounds.enumerate().map(|(group, bound)| (bound, took(group).count)).collect();
    let all = (0..groups.len()).map(took).fold(Took::default(), Took::plus);
    (groups, (seconds(all.total_ms), all.count))
}
