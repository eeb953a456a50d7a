//! The schedules of workspaces as metrics: how many there are, how many are late, and the ticks that were skipped.

use std::fmt::Result;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use sprongus_core::rules::schedule::SkipReason;
use sprongus_core::schedule::ScheduleState;

use super::family;
use super::tenant::Tenant;

/// Those of all that are shown.
#[derive(Debug)]
pub struct OfSchedules(pub Vec<Arc<Tenant>>);

impl Collector for OfSchedules {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result {
        let mut metric = family(&mut encoder, "schedules", "Schedules, by state", None, MetricType::Gauge)?;
        for tenant in &self.0 {
            for state in ScheduleState::ALL {
                let labels = [("workspace", tenant.workspace.as_str()), ("state", state.as_str())];
                let count = tenant.schedules.states.get(state.as_str()).copied().unwrap_or_default();
                metric.encode_family(&labels)?.encode_gauge(&(count as f64))?;
            }
        }
        let help = "Schedules that have been due for more than 60 s: no worker or server looks at them";
        let mut metric = family(&mut encoder, "schedules_late", help, None, MetricType::Gauge)?;
        for tenant in &self.0 {
            let labels = [("workspace", tenant.workspace.as_str())];
            metric.encode_family(&labels)?.encode_gauge(&(tenant.schedules.late as f64))?;
        }
        let help = "Skipped ticks of the schedules that exist, by reason; those of a deleted schedule are no longer counted";
        let mut metric = family(&mut encoder, "schedule_ticks_skipped", help, None, MetricType::Counter)?;
        for tenant in &self.0 {
            for reason in SkipReason::ALL {
                let labels = [("workspace", tenant.workspace.as_str()), ("reason", reason.as_str())];
                let count = tenant.schedules.skipped_ticks.get(reason.as_str()).copied().unwrap_or_default();
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
            }
        }
        Ok(())
    }
}
