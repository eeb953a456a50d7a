//! The runs of workspaces as metrics: how many there are of each kind and who is there for them, and everything that ever happened.

use std::fmt::Result;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use sprongus_core::figures::rollup::{BOUNDS_MS, Counts, Span, Took};
use std::collections::BTreeMap;

use super::family;
use super::tenant::{OfKind, Tenant};

/// Those of all that are shown.
#[derive(Debug)]
pub struct OfRuns(pub Vec<Arc<Tenant>>);

type Depth = fn(&OfKind) -> f64;
/// A figure of a workspace.
type Crew = fn(&Tenant) -> f64;
type Count = fn(&Counts) -> u64;
type Labels<'a> = [(&'static str, &'a str); 2];
type Ended<'a> = [(&'static str, &'a str); 3];

/// How many runs there are now, and who is there for them.
const DEPTHS: [(&str, &str, Depth); 7] = [
    ("runs_due", "Due runs not yet claimed", |of| of.now.due as f64),
    ("runs_later", "Runs that are delayed or backing off", |of| of.now.later as f64),
    ("runs_waiting", "Runs waiting for approval at a gate", |of| of.now.waiting as f64),
    ("runs_running", "Runs held by workers", |of| of.now.running as f64),
    ("oldest_due_seconds", "Age of the run that has been due longest", |of| {
        of.now.oldest_due_ms.map_or(0.0, seconds)
    }),
    ("kind_workers", "Workers that serve the kind", |of| of.workers as f64),
    ("kind_paused", "Whether the kind is paused", |of| f64::from(u8::from(of.is_paused))),
];

/// Gauges of a workspace: name, help, figure.
const CREWS: [(&str, &str, Crew); 2] = [
    ("workers", "Workers seen recently", |tenant| tenant.workers as f64),
    ("worker_slots", "Runs they can execute at once, draining workers excluded", |tenant| {
        tenant.slots as f64
    }),
];

/// Counters of a kind, which never go down: name, help, figure.
const HAPPENED: [(&str, &str, Count); 4] = [
    ("runs_enqueued", "Runs enqueued", |counts| counts.enqueued),
    ("executions_started", "Attempts started", |counts| counts.started),
    ("executions_retried", "Attempts that failed and will be retried", |counts| counts.retried),
    ("leases_lost", "Leases lost", |counts| counts.lost),
];

/// Series of the counter of ended runs: the label `state`, figure.
const ENDINGS: [(&str, Count); 3] = [
    ("succeeded", |counts| counts.succeeded),
    ("failed", |counts| counts.failed),
    ("canceled", |counts| counts.canceled),
];

/// What models were given and gave back.
const TOKENS: [(&str, Count); 2] = [("in", |counts| counts.tokens_in), ("out", |counts| counts.tokens_out)];

/// Histograms of a kind: name, help, which span.
const SPANS: [(&str, &str, Span); 2] = [
    ("run_wait", "Time from due to started, for each attempt", Span::Wait),
    ("run_execution", "Duration of the last attempt of each run that succeeded or failed", Span::Execution),
];

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1e3
}

impl OfRuns {
    fn kinds(&self) -> impl Iterator<Item = (Labels<'_>, &OfKind)> {
        self.0.iter().flat_map(|tenant| {
            let workspace = tenant.workspace.as_str();
            tenant
                .kinds
                .iter()
                .map(move |(kind, of)| ([("workspace", workspace), ("kind", kind.as_str())], of))
        })
    }
}

impl Collector for OfRuns {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result {
        for (name, help, value) in DEPTHS {
            let mut metric = family(&mut encoder, name, help, None, MetricType::Gauge)?;
            for (labels, of) in self.kinds() {
                metric.encode_family(&labels)?.encode_gauge(&value(of))?;
            }
        }
        for (name, help, value) in HAPPENED {
            let mut metric = family(&mut encoder, name, help, None, MetricType::Counter)?;
            for (labels, of) in self.kinds() {
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value(&of.ever.counts), None)?;
            }
        }
        let mut metric =
            family(&mut encoder, "runs_ended", "Ended runs, by outcome", None, MetricType::Counter)?;
        for ([workspace, kind], of) in self.kinds() {
            for (outcome, value) in ENDINGS {
                let labels: Ended<'_> = [workspace, kind, ("outcome", outcome)];
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value(&of.ever.counts), None)?;
            }
        }
        let help = "Tokens sent to and received from models by steps";
        let mut metric = family(&mut encoder, "tokens", help, None, MetricType::Counter)?;
        for ([workspace, kind], of) in self.kinds() {
            for (direction, value) in TOKENS {
                let labels: [_; 3] = [workspace, kind, ("direction", direction)];
                metric
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, _, u64>(&value(&of.ever.counts), None)?;
            }
        }
        for (name, help, span) in SPANS {
            let mut metric = family(&mut encoder, name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
            for (labels, of) in self.kinds() {
                let (groups, sum) = histogram(&of.ever.spans, span);
                metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum.0, sum.1, &groups, None)?;
            }
        }
        for (name, help, value) in CREWS {
            let mut metric = family(&mut encoder, name, help, None, MetricType::Gauge)?;
            for tenant in &self.0 {
                let labels = [("workspace", tenant.workspace.as_str())];
                metric.encode_family(&labels)?.encode_gauge(&value(tenant))?;
            }
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
