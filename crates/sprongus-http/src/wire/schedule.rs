//! Schedules: what is asked, and what is known of one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sprongus_core::calendar::Dst;
use sprongus_core::calendar::missed::MissedPolicy;
use sprongus_core::schedule::record::Skipping;
use sprongus_core::schedule::{Definition, Overlap, ScheduleState, ScheduleView};
use sprongus_core::values::names::{ScheduleId, WorkspaceId};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::setting::ManagedBy;
use sprongus_core::{Error, Result};

/// What a schedule is to do. Exactly one of `cron` and `every` is required.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ScheduleRequest))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", expect(dead_code, reason = "describes what is read by the core"))]
pub struct ScheduleRequestBody {
    /// Id, for a new schedule: lower-case letters, digits and hyphens. In the path of a PUT instead.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, example = "nightly"))]
    id: Option<ScheduleId>,
    /// Kind of its runs.
    #[cfg_attr(feature = "server", schema(example = "report.build"))]
    kind: String,
    /// Input of its runs: any JSON.
    #[cfg_attr(feature = "server", schema(value_type = Option<Value>))]
    input: Option<Value>,
    /// Project of its runs.
    project_id: Option<String>,
    /// Agent task of its runs.
    agent_task_id: Option<String>,
    /// Priority of its runs.
    #[cfg_attr(feature = "server", schema(minimum = 0, maximum = 100))]
    priority: Option<u32>,
    /// Maximum number of attempts of a run.
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 100))]
    max_attempts: Option<u32>,
    /// Tags of its runs.
    #[cfg_attr(feature = "server", schema(value_type = Option<BTreeMap<String, String>>))]
    tags: Option<BTreeMap<String, String>>,
    /// Cron expression of five fields, or six with seconds first.
    #[cfg_attr(feature = "server", schema(example = "30 2 * * MON-FRI"))]
    cron: Option<String>,
    /// Interval of 1 s or more, such as `15m`, counted from `startAt`.
    every: Option<String>,
    /// IANA time zone of `cron`; default: UTC.
    #[cfg_attr(feature = "server", schema(example = "Europe/Berlin"))]
    time_zone: Option<String>,
    /// Times that a clock change skips or repeats: `once` or `literal`; default: `once`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    dst: Option<String>,
    /// Ticks that were missed: `skip`, `last` or `all`; default: `last`.
    missed: Option<String>,
    /// A tick is missed when it is looked at this much later; default: `1m`.
    missed_after: Option<String>,
    /// With `all`: at most this many runs; default: 100.
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 10000))]
    max_missed: Option<u32>,
    /// With `all`: no tick older than this.
    within: Option<String>,
    /// A tick while a run is live: `allow`, `skip`, `queue_one`, `queue_all` or `cancel_running`; default: `skip`.
    overlap: Option<String>,
    /// Each run is due up to this much later than its tick; default: `0s`.
    jitter: Option<String>,
    /// No tick before this time.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    start_at: Option<Timestamp>,
    /// No tick at this time or later.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    end_at: Option<Timestamp>,
    /// Whether its ticks are skipped.
    paused: Option<bool>,
}

/// A schedule: how far it has got, and what it is to do.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Schedule))]
#[serde(rename_all = "camelCase")]
pub struct ScheduleBody {
    /// Id.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "nightly"))]
    pub id: ScheduleId,
    /// The workspace it belongs to.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub workspace_id: WorkspaceId,
    /// `active`, `paused`, `ended` or `broken`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub state: ScheduleState,
    /// The next tick; null where there are no more, and while it is paused or broken.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub next_tick: Option<Timestamp>,
    /// The newest tick that had a run.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub last_tick: Option<Timestamp>,
    /// When it is looked at again; null for never. It is late when this is past.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub due_at: Option<Timestamp>,
    /// Ticks that wait until no run of it is live, oldest first.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub waiting_ticks: Vec<Timestamp>,
    /// Ticks that are skipped now because a run of it is live.
    pub skipping: Option<SkippingBody>,
    /// How many of its ticks were skipped and told in events, by reason: `missed`, `overlap`, `paused` or `ended`.
    pub skipped_ticks: BTreeMap<String, u64>,
    /// Why it is broken.
    pub error: Option<String>,
    /// Number of its definitions, from 1.
    pub revision: u32,
    /// Who owns it: `file` or `api`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub managed_by: ManagedBy,
    /// Whether a file created it and somebody has changed it since.
    pub drifted: bool,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When its definition last changed.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
    /// Kind of its runs.
    pub kind: String,
    /// Input of its runs: any JSON.
    #[cfg_attr(feature = "server", schema(value_type = Value))]
    pub input: Option<Value>,
    /// Project of its runs.
    pub project_id: Option<String>,
    /// Agent task of its runs.
    pub agent_task_id: Option<String>,
    /// Priority of its runs; null for the default.
    pub priority: Option<u32>,
    /// Maximum number of attempts of a run; null for the default.
    pub max_attempts: Option<u32>,
    /// Tags of its runs.
    pub tags: BTreeMap<String, String>,
    /// Cron expression, in canonical form.
    pub cron: Option<String>,
    /// Interval.
    pub every: Option<String>,
    /// Time zone of `cron`.
    pub time_zone: Option<String>,
    /// Times that a clock change skips or repeats: `once` or `literal`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub dst: Option<Dst>,
    /// Ticks that were missed: `skip`, `last` or `all`.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub missed: MissedPolicy,
    /// A tick is missed when it is looked at this much later.
    pub missed_after: String,
    /// With `all`: at most this many runs.
    pub max_missed: u32,
    /// With `all`: no tick older than this.
    pub within: Option<String>,
    /// A tick while a run is live.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub overlap: Overlap,
    /// Each run is due up to this much later than its tick.
    pub jitter: String,
    /// No tick before this time.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub start_at: Option<Timestamp>,
    /// No tick at this time or later.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub end_at: Option<Timestamp>,
    /// Whether its ticks are skipped.
    pub paused: bool,
}

impl ScheduleBody {
    /// What people see of it.
    ///
    /// # Errors
    /// `internal`: what the server sent is no schedule that this version knows.
    pub fn into_view(self) -> Result<ScheduleView> {
        let definition = json!({
            "kind": self.kind, "input": self.input, "projectId": self.project_id, "agentTaskId": self.agent_task_id,
            "priority": self.priority, "maxAttempts": self.max_attempts, "tags": self.tags, "cron": self.cron,
            "every": self.every, "timeZone": self.time_zone, "dst": self.dst, "missed": self.missed,
            "missedAfter": self.missed_after, "maxMissed": self.max_missed, "within": self.within,
            "overlap": self.overlap, "jitter": self.jitter, "startAt": self.start_at, "endAt": self.end_at,
            "paused": self.paused,
        });
        let definition = Definition::read(&definition).map_err(|error| {
            Error::internal("the server sent a schedule that is not one").with_source(error)
        })?;
        Ok(ScheduleView {
            id: self.id,
            workspace_id: self.workspace_id,
            state: self.state,
            next_tick: self.next_tick,
            last_tick: self.last_tick,
            due_at: self.due_at,
            waiting_ticks: self.waiting_ticks,
            skipping: self.skipping.map(SkippingBody::into_skipping),
            skipped_ticks: self.skipped_ticks,
            error: self.error,
            revision: self.revision,
            managed_by: self.managed_by,
            drifted: self.drifted,
            created_at: self.created_at,
            updated_at: self.updated_at,
            definition,
        })
    }
}

/// Ticks that are skipped one after another because a run is live.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Skipping))]
#[serde(rename_all = "camelCase")]
pub struct SkippingBody {
    /// How many are in no event yet.
    count: u64,
    /// The first of those.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    from: Timestamp,
    /// The last of those.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    to: Timestamp,
    /// When the last event was written.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    noted_at: Timestamp,
}

impl SkippingBody {
    fn into_skipping(self) -> Skipping {
        let Self { count, from, to, noted_at } = self;
        Skipping { count, from, to, noted_at }
    }
}

/// The next tick of a schedule.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = NextTick))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", expect(dead_code, reason = "describes what is printed"))]
pub struct NextTickBody {
    /// The tick.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    at: Timestamp,
    /// What a clock in the schedule's zone shows then; null for an interval.
    local: Option<String>,
    /// When its run is due: the tick and its jitter.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    due_at: Timestamp,
}

/// A cron expression to explain.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = PreviewRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PreviewBody {
    /// Cron expression.
    #[cfg_attr(feature = "server", schema(example = "30 2 * * MON-FRI"))]
    pub cron: String,
    /// IANA time zone; default: UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// `once` or `literal`; default: `once`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dst: Option<String>,
    /// Ticks after this time; default: now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    pub from: Option<Timestamp>,
    /// How many ticks; default: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1, maximum = 1000))]
    pub n: Option<u32>,
}

/// What a cron expression means.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Preview))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", expect(dead_code, reason = "describes what is printed"))]
pub struct PreviewedBody {
    /// The expression, in canonical form.
    cron: String,
    /// The expression in words.
    words: String,
    /// The time zone.
    time_zone: String,
    /// What the next clock change does to it; null where the clock is never set again.
    clock_change: Option<String>,
    /// The next ticks.
    ticks: Vec<NextTickBody>,
}

/// Past ticks that are to have runs.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = BackfillRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackfillBody {
    /// First tick, inclusive.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub from: Timestamp,
    /// End, exclusive; not in the future.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    pub to: Timestamp,
    /// Whether nothing is enqueued; default: false.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a backfill did, or would do.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Backfill))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", expect(dead_code, reason = "describes what is printed"))]
pub struct BackfilledBody {
    /// Ticks that have a run now.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    ticks: Vec<Timestamp>,
    /// Ticks whose run was kept already.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    kept: Vec<Timestamp>,
}

/// Settings as a file has them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ApplyRequest))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyBody {
    /// Schedules by id, each as in `PUT /v1/schedules/{id}`.
    #[cfg_attr(feature = "server", schema(value_type = BTreeMap<String, Value>))]
    pub schedules: Map<String, Value>,
    /// Whether schedules that a file created and this one does not have are deleted; default: false.
    #[serde(default)]
    pub prune: bool,
    /// Whether nothing is changed; default: false.
    #[serde(default)]
    pub dry_run: bool,
}

/// One difference between a file and the settings.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = Difference))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", expect(dead_code, reason = "describes what is printed"))]
pub struct DifferenceBody {
    /// `added`, `changed` or `deleted`.
    kind: String,
    /// Family of the setting, such as `schedule`.
    family: String,
    /// Id of the setting.
    id: String,
    /// The fields that differ.
    fields: Vec<FieldDifferenceBody>,
}

/// One field that differs.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = FieldDifference))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "server", expect(dead_code, reason = "describes what is printed"))]
pub struct FieldDifferenceBody {
    /// Name of the field.
    name: String,
    /// Its value before, as JSON text.
    before: String,
    /// Its value afterwards, as JSON text.
    after: String,
}
