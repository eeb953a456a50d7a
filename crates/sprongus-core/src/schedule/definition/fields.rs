//! The fields of a definition, one by one. What is wrong with any is remembered, so that one answer names all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Timing, field};
use crate::calendar::missed::{Missed, MissedPolicy};
use crate::calendar::{Cron, Dst, Recurrence};
use crate::error::{Error, FieldError, Result};
use crate::json::Json;
use crate::run::NewRun;
use crate::values::duration::parse_duration;
use crate::values::text::excerpt;
use crate::values::time::Timestamp;

const KNOWN: [&str; 20] = [
    "kind",
    "input",
    "projectId",
    "agentTaskId",
    "priority",
    "maxAttempts",
    "tags",
    "cron",
    "every",
    "timeZone",
    "dst",
    "missed",
    "missedAfter",
    "maxMissed",
    "within",
    "overlap",
    "jitter",
    "startAt",
    "endAt",
    "paused",
];

const DST: [(&str, Dst); 2] = [("once", Dst::Once), ("literal", Dst::Literal)];
const MISSED: [(&str, MissedPolicy); 3] =
    [("skip", MissedPolicy::Skip), ("last", MissedPolicy::Last), ("all", MissedPolicy::All)];

/// The most missed ticks that have runs.
const MOST_MISSED: u32 = 10_000;

pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
    faults: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self> {
        let Some(object) = value.as_object() else {
            return Err(Error::validation("a schedule must be an object"));
        };
        let known: BTreeSet<&str> = KNOWN.into_iter().collect();
        let unknown = object.keys().filter(|name| !known.contains(name.as_str()));
        let faults = unknown
            .map(|name| field(&excerpt(name, 64), format!("unknown field: {}", excerpt(name, 64))))
            .collect();
        Ok(Self { object, faults })
    }

    pub(super) fn fault(&mut self, name: &str, message: String) {
        self.faults.push(field(name, message));
    }

    /// The timing, unless something was wrong.
    pub(super) fn finish(self, timing: Option<Timing>) -> Result<Timing> {
        match timing {
            Some(timing) if self.faults.is_empty() => Ok(timing),
            Some(_) | None => Err(Error::invalid_fields(self.faults)),
        }
    }

    fn given(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        let value = self.given(name)?;
        if value.as_str().is_none() {
            self.fault(name, format!("{name} must be text"));
        }
        value.as_str()
    }

    fn number(&mut self, name: &str) -> Option<u32> {
        let value = self.given(name)?;
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.fault(name, format!("{name} must be a whole number, 0 or more"));
        }
        number
    }

    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        let value = self.given(name)?;
        if value.as_bool().is_none() {
            self.fault(name, format!("{name} must be true or false"));
        }
        value.as_bool()
    }

    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        match parse_duration(self.text(name)?) {
            Ok(duration) => Some(duration),
            Err(fault) => {
                self.fault(name, fault.to_string());
                None
            }
        }
    }

    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        match self.text(name)?.parse() {
            Ok(time) => Some(time),
            Err(error) => {
                let error: Error = error;
                self.fault(name, format!("{}; {}", error.message(), error.hint()));
                None
            }
        }
    }

    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let given = self.text(name)?;
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, meant)| *meant);
        if found.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(name, format!("{name} must be one of {}: {}", all.join(", "), excerpt(given, 64)));
        }
        found
    }

    /// What is enqueued. Its own rules are [`crate::rules::enqueue::prepare`]'s.
    pub(super) fn run(&mut self) -> NewRun {
        let kind = self.text("kind");
        if kind.is_none() && self.given("kind").is_none() {
            self.fault("kind", "a schedule needs a kind".to_owned());
        }
        let input = self.given("input").map(|input| Json::from_value(input.clone()));
        let tags = self.tags();
        NewRun {
            kind: kind.unwrap_or_default().to_owned(),
            input,
            project_id: self.text("projectId").map(str::to_owned),
            agent_task_id: self.text("agentTaskId").map(str::to_owned),
            priority: self.number("priority"),
            max_attempts: self.number("maxAttempts"),
            tags,
            ..NewRun::default()
        }
    }

    fn tags(&mut self) -> BTreeMap<String, String> {
        let Some(given) = self.given("tags") else { return BTreeMap::new() };
        let pairs = given.as_object().and_then(|pairs| {
            pairs.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
        });
        if pairs.is_none() {
            self.fault("tags", "tags must be an object of texts".to_owned());
        }
        pairs.unwrap_or_default()
    }

    pub(super) fn timing(&mut self) -> Option<Timing> {
        let cron = self.text("cron");
        let every = self.duration("every");
        let dst = self.word("dst", &DST);
        let time_zone = self.text("timeZone");
        match (self.given("cron").is_some(), self.given("every").is_some()) {
            (true, true) => {
                self.fault("every", "use either cron or every".to_owned());
                None
            }
            (false, false) => {
                self.fault("cron", "a schedule needs cron or every".to_owned());
                None
            }
            (true, false) => {
                let cron = match Cron::parse(cron?) {
                    Ok(cron) => Box::new(cron),
                    Err(fault) => {
                        self.fault("cron", fault.to_string());
                        return None;
                    }
                };
                let time_zone = time_zone.unwrap_or("UTC").to_owned();
                Some(Timing::Cron { cron, time_zone, dst: dst.unwrap_or_default() })
            }
            (false, true) => {
                for name in ["timeZone", "dst"] {
                    if self.given(name).is_some() {
                        self.fault(name, format!("{name} belongs to cron; every counts real time"));
                    }
                }
                let every = every?;
                if every < Recurrence::SHORTEST {
                    self.fault("every", "every must be 1s or more".to_owned());
                    return None;
                }
                Some(Timing::Every(every))
            }
        }
    }

    pub(super) fn missed(&mut self) -> Missed {
        let default = Missed::default();
        let after = self.duration("missedAfter").unwrap_or(default.after);
        if after < Duration::from_secs(1) {
            self.fault("missedAfter", "missedAfter must be 1s or more".to_owned());
        }
        let max = self.number("maxMissed").unwrap_or(default.max);
        if max == 0 || max > MOST_MISSED {
            self.fault("maxMissed", format!("maxMissed must be 1 to {MOST_MISSED}: {max}"));
        }
        let within = self.duration("within");
        let policy = self.word("missed", &MISSED).unwrap_or_default();
        Missed { policy, after, max, within }
    }
}
