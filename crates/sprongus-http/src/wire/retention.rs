//! Retention: how long ended runs are kept, and what letting go of them took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sprongus_core::run::retention::{KindRetention, PruneMode, Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::values::names::Kind;

use super::millis;

/// Deletes runs that are past their retention period.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Prune))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PruneBody {
    /// How long succeeded runs are kept; default: 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded_ms: Option<u64>,
    /// How long failed and canceled runs are kept; default: 90 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_ms: Option<u64>,
    /// Limits for single kinds, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[cfg_attr(feature = "server", schema(value_type = BTreeMap<String, KindRetentionBody>))]
    pub kinds: BTreeMap<Kind, KindRetentionBody>,
    /// Only count, delete nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Delete even if the clock may be wrong.
    #[serde(default)]
    pub confirm_clock: bool,
}

/// How long ended runs of a kind are kept; omitted values are as for all kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = KindRetention))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindRetentionBody {
    /// How long succeeded runs are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succeeded_ms: Option<u64>,
    /// How long failed and canceled runs are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_ms: Option<u64>,
}

impl PruneBody {
    /// The request for a retention.
    pub fn new(retention: &Retention, mode: PruneMode) -> Self {
        let kinds = retention.kinds.iter().map(|(kind, own)| {
            let (succeeded_ms, failed_ms) = (own.succeeded.map(millis), own.failed.map(millis));
            (kind.clone(), KindRetentionBody { succeeded_ms, failed_ms })
        });
        let kinds = kinds.collect();
        let (succeeded_ms, failed_ms) = (Some(millis(retention.succeeded)), Some(millis(retention.failed)));
        let (dry_run, confirm_clock) = (mode == PruneMode::DryRun, mode == PruneMode::Confirmed);
        Self { succeeded_ms, failed_ms, kinds, dry_run, confirm_clock }
    }

    /// Whether it deletes, and whether the clock is checked first.
    pub fn mode(&self) -> PruneMode {
        match (self.dry_run, self.confirm_clock) {
            (true, _) => PruneMode::DryRun,
            (false, false) => PruneMode::Checked,
            (false, true) => PruneMode::Confirmed,
        }
    }

    /// How long runs are kept, by state and by kind.
    pub fn retention(&self) -> Retention {
        let kept = Retention::default();
        let kinds = self.kinds.iter().map(|(kind, own)| {
            let (succeeded, failed) = (own.succeeded_ms, own.failed_ms);
            let [succeeded, failed] = [succeeded, failed].map(|kept| kept.map(Duration::from_millis));
            (kind.clone(), KindRetention { succeeded, failed })
        });
        Retention {
            succeeded: self.succeeded_ms.map_or(kept.succeeded, Duration::from_millis),
            failed: self.failed_ms.map_or(kept.failed, Duration::from_millis),
            kinds: kinds.collect(),
        }
    }
}

/// What was deleted, or would be.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Pruned))]
pub struct PrunedBody {
    /// Runs by the state they ended in.
    #[cfg_attr(feature = "server", schema(value_type = BTreeMap<String, u64>))]
    pub runs: BTreeMap<State, u64>,
    /// The same, by kind.
    #[cfg_attr(feature = "server", schema(value_type = BTreeMap<String, BTreeMap<String, u64>>))]
    #[serde(default)]
    pub kinds: BTreeMap<String, BTreeMap<State, u64>>,
}

impl From<PrunedBody> for Pruned {
    fn from(body: PrunedBody) -> Self {
        Self { runs: body.runs, kinds: body.kinds }
    }
}
