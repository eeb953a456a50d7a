//! What a schedule is to do, as people write it: in JSON over HTTP, in `sprongus.toml`, or by options of a command. All three come
//! through [`Definition::read`], so each refuses the same.

mod fields;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::calendar::missed::{Missed, MissedPolicy};
use crate::calendar::{Cron, Dst, Recurrence, Zones};
use crate::error::{Error, FieldError, Result};
use crate::json::Json;
use crate::rules::enqueue::prepare;
use crate::run::{Due, NewRun};
use crate::values::duration::format_duration;
use crate::values::time::Timestamp;
use fields::Fields;

/// What happens at a tick while a run of the schedule is live (queued or running).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Another run is made.
    Allow,
    /// The tick is skipped.
    #[default]
    Skip,
    /// One tick waits until no run is live; the others are skipped.
    QueueOne,
    /// Up to [`super::MAX_WAITING`] ticks wait, and have their runs one after another.
    QueueAll,
    /// The live runs are canceled; the newest tick has its run when the last of them is gone.
    CancelRunning,
}

/// When a schedule has its ticks.
#[derive(Clone, Debug, PartialEq)]
pub enum Timing {
    /// By a cron expression, read in a time zone.
    Cron {
        /// The expression.
        cron: Box<Cron>,
        /// The IANA name of the zone.
        time_zone: String,
        /// What it means where clocks change.
        dst: Dst,
    },
    /// By an interval of 1 s or more, in whole milliseconds.
    Every(Duration),
}

/// What a schedule is to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// What is enqueued, as an enqueue has it. Its `due` is left alone: the tick decides.
    pub run: NewRun,
    /// When.
    pub timing: Timing,
    /// What becomes of ticks that were missed.
    pub missed: Missed,
    /// What happens while a run of it is live.
    pub overlap: Overlap,
    /// The most by which a run is due later than its tick, in whole milliseconds.
    pub jitter: Duration,
    /// No tick before this; the first tick of an interval.
    pub start_at: Option<Timestamp>,
    /// No tick at this time or later.
    pub end_at: Option<Timestamp>,
    /// Whether its ticks are skipped until it is resumed.
    pub paused: bool,
}

impl Definition {
    /// Reads a definition, an object with the fields of the contract.
    ///
    /// # Errors
    /// `validation` with every bad field named; `payload_too_large` and `secret_in_input` as an enqueue.
    pub fn read(value: &Value) -> Result<Self> {
        let mut fields = Fields::of(value)?;
        let run = fields.run();
        let timing = fields.timing();
        let missed = fields.missed();
        let overlap = fields.word("overlap", &Overlap::NAMES).unwrap_or_default();
        let jitter = fields.duration("jitter").unwrap_or_default();
        let (start_at, end_at) = (fields.time("startAt"), fields.time("endAt"));
        if let (Some(start), Some(end)) = (start_at, end_at)
            && end <= start
        {
            fields.fault("endAt", format!("endAt must be later than startAt: {end}"));
        }
        if jitter > MAX_JITTER {
            fields.fault("jitter", "jitter must be at most 24h".to_owned());
        }
        let paused = fields.flag("paused").unwrap_or_default();
        let timing = fields.finish(timing)?;
        // What an enqueue would refuse is refused here, when somebody is there to read it.
        prepare(&run, None)?;
        Ok(Self { run, timing, missed, overlap, jitter, start_at, end_at, paused })
    }

    /// What a store kept.
    ///
    /// # Errors
    /// `internal` where the text is not one that this or an earlier version wrote.
    pub fn kept(text: &Json) -> Result<Self> {
        Self::read(&text.to_value())
            .map_err(|error| Error::internal("a schedule is damaged").with_source(error))
    }

    /// What a store keeps, and people see: every field, defaults included, with sorted names.
    pub fn to_json(&self) -> Json {
        Json::from_value(serde_json::to_value(self).unwrap_or_default())
    }

    /// When its ticks are, without those before `made_at`; the first of an interval without a start is one interval later.
    ///
    /// # Errors
    /// `validation` where its time zone is unknown.
    pub fn recurrence(&self, made_at: Timestamp, zones: &dyn Zones) -> Result<Recurrence> {
        let recurrence = match &self.timing {
            Timing::Cron { cron, time_zone, dst } => {
                Recurrence::cron((**cron).clone(), zones.zone(time_zone)?, *dst).starting_at(made_at)
            }
            Timing::Every(interval) => {
                let first = self.start_at.unwrap_or_else(|| made_at.plus(*interval));
                Recurrence::every(first, *interval)?.starting_at(made_at)
            }
        };
        let recurrence = match self.start_at {
            Some(start) => recurrence.starting_at(start.max(made_at)),
            None => recurrence,
        };
        Ok(match self.end_at {
            Some(end) => recurrence.ending_at(end),
            None => recurrence,
        })
    }

    /// Whether `other` has the same ticks.
    pub fn has_ticks_of(&self, other: &Self) -> bool {
        self.timing == other.timing && self.start_at == other.start_at && self.end_at == other.end_at
    }

    /// The time zone of a cron expression.
    pub fn time_zone(&self) -> Option<&str> {
        match &self.timing {
            Timing::Cron { time_zone, .. } => Some(time_zone),
            Timing::Every(_) => None,
        }
    }
}

/// The longest jitter.
pub const MAX_JITTER: Duration = Duration::from_secs(24 * 3_600);

impl Overlap {
    const NAMES: [(&'static str, Self); 5] = [
        ("allow", Self::Allow),
        ("skip", Self::Skip),
        ("queue_one", Self::QueueOne),
        ("queue_all", Self::QueueAll),
        ("cancel_running", Self::CancelRunning),
    ];
}

/// Every field, defaults included; durations as people write them.
impl Serialize for Definition {
    fn serialize<S: Serializer>(&self, out: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a> {
            kind: &'a str,
            input: Option<&'a Json>,
            project_id: Option<&'a str>,
            agent_task_id: Option<&'a str>,
            priority: Option<u32>,
            max_attempts: Option<u32>,
            tags: &'a BTreeMap<String, String>,
            cron: Option<String>,
            every: Option<String>,
            time_zone: Option<&'a str>,
            dst: Option<Dst>,
            missed: MissedPolicy,
            missed_after: String,
            max_missed: u32,
            within: Option<String>,
            overlap: Overlap,
            jitter: String,
            start_at: Option<Timestamp>,
            end_at: Option<Timestamp>,
            paused: bool,
        }
        let (cron, every, time_zone, dst) = match &self.timing {
            Timing::Cron { cron, time_zone, dst } => {
                (Some(cron.to_string()), None, Some(time_zone.as_str()), Some(*dst))
            }
            Timing::Every(interval) => (None, Some(format_duration(*interval)), None, None),
        };
        let written = Written {
            kind: &self.run.kind,
            input: self.run.input.as_ref(),
            project_id: self.run.project_id.as_deref(),
            agent_task_id: self.run.agent_task_id.as_deref(),
            priority: self.run.priority,
            max_attempts: self.run.max_attempts,
            tags: &self.run.tags,
            cron,
            every,
            time_zone,
            dst,
            missed: self.missed.policy,
            missed_after: format_duration(self.missed.after),
            max_missed: self.missed.max,
            within: self.missed.within.map(format_duration),
            overlap: self.overlap,
            jitter: format_duration(self.jitter),
            start_at: self.start_at,
            end_at: self.end_at,
            paused: self.paused,
        };
        written.serialize(out)
    }
}

/// Due at the tick.
pub(crate) fn at(run: &NewRun, due: Timestamp) -> NewRun {
    NewRun { due: Due::At(due), ..run.clone() }
}

fn field(name: &str, message: String) -> FieldError {
    FieldError { pointer: format!("/{name}"), message }
}
