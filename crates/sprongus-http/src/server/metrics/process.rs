//! Metrics that parts of this process report of themselves.

use std::fmt::Result;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use sprongus_core::figures::metric::{Metric, SIZES, Series, Sizes, Value};

/// Metrics as they were reported at this scrape.
#[derive(Debug)]
pub struct ProcessMetrics(pub Vec<Metric>);

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result {
        for Metric { name, help, series } in &self.0 {
            let Some(first) = series.first() else { continue };
            let mut metric = super::family(&mut encoder, name, help, None, kind(&first.value))?;
            for Series { labels, value } in series {
                if labels.is_empty() {
                    write(&mut metric, value)?;
                } else {
                    write(&mut metric.encode_family(labels)?, value)?;
                }
            }
        }
        Ok(())
    }
}

fn kind(value: &Value) -> MetricType {
    match value {
        Value::Now(_) => MetricType::Gauge,
        Value::Sum(_) => MetricType::Counter,
        Value::Sizes(_) => MetricType::Histogram,
    }
}

fn write(metric: &mut MetricEncoder<'_>, value: &Value) -> Result {
    match value {
        Value::Now(value) => metric.encode_gauge(value),
        Value::Sum(sum) => metric.encode_counter::<NoLabelSet, _, u64>(sum, None),
        Value::Sizes(Sizes { groups, sum }) => {
            let bounds = SIZES.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
            let groups: Vec<(f64, u64)> = bounds.zip(groups.iter().copied()).collect();
            let count = groups.iter().map(|(_, count)| count).sum();
            metric.encode_histogram::<NoLabelSet>(*sum as f64, count, &groups, None)
        }
    }
}
