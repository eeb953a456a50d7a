//! What happened, minute by minute and kind by kind: what charts are drawn from, so that nobody counts runs.
//!
//! A store makes it of its stream of events, a page at a time, and keeps with it how far it has read, in the same transaction: so every
//! event counts once, however many processes read at once and whenever they die. What writes events pays nothing for it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorCode, Result};
use crate::figures::recent::{self, Recent};
use crate::run::event::{Event, EventType};
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

/// How long minutes are kept: a week, and the day that is charted beside it.
pub const KEPT: Duration = Duration::from_secs(8 * 24 * 3_600);

/// The bounds of the groups that waits and executions are sorted into, in milliseconds, each with those up to it; what takes longer is in
/// a last group without a bound.
pub const BOUNDS_MS: [u64; 13] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 60_000, 600_000, 3_600_000];

/// What is sorted by how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Time from due to started, for each attempt.
    Wait,
    /// The execution of each run that succeeded, and of each that failed.
    Execution,
}

impl Span {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Wait, Self::Execution];

    /// Its name in a database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Execution => "execution",
        }
    }
}

impl std::str::FromStr for Span {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|span| span.as_str() == text)
            .ok_or_else(|| Error::internal("a span that nobody writes"))
    }
}

/// One group of how long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// How many there were.
    pub count: u64,
    /// How long they took together, in milliseconds.
    pub total_ms: u64,
}

/// Everything that ever happened to the runs of a kind, as far as it has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many events of each sort it had.
    pub counts: Counts,
    /// How long it took, by the group's place among [`BOUNDS_MS`]; a group without any is left out.
    pub spans: BTreeMap<(Span, usize), Took>,
}

/// What a page of events adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// To minutes and kinds.
    pub minutes: BTreeMap<(Timestamp, String), Counts>,
    /// To everything of a kind.
    pub totals: BTreeMap<String, Totals>,
    /// To the last hour.
    pub recent: Recent,
}

/// An event, and of its run what it is added up by.
#[derive(Clone, Copy, Debug)]
pub struct Added<'a> {
    /// The kind of the run it belongs to.
    pub kind: &'a str,
    /// The project; empty for none.
    pub project: &'a str,
    /// The event that is counted.
    pub event: &'a Event,
}

/// What happened to the runs of a kind within a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Runs enqueued; replays do not count.
    pub enqueued: u64,
    /// Executions begun.
    pub started: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed for good.
    pub failed: u64,
    /// Runs called off.
    pub canceled: u64,
    /// Attempts that failed and will be retried.
    pub retried: u64,
    /// Leases that ran out.
    pub lost: u64,
    /// How long the executions of the runs that succeeded took together, in milliseconds.
    pub succeeded_ms: u64,
    /// Tokens that steps gave to models.
    pub tokens_in: u64,
    /// Tokens that models gave back.
    pub tokens_out: u64,
}

/// A minute of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Minute {
    /// Its first instant.
    pub minute: Timestamp,
    /// The kind whose runs are counted.
    pub kind: String,
    /// How many events of each sort it had.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Counts {
    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            enqueued: self.enqueued + other.enqueued,
            started: self.started + other.started,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            canceled: self.canceled + other.canceled,
            retried: self.retried + other.retried,
            lost: self.lost + other.lost,
            succeeded_ms: self.succeeded_ms + other.succeeded_ms,
            tokens_in: self.tokens_in + other.tokens_in,
            tokens_out: self.tokens_out + other.tokens_out,
        }
    }

    /// What an event counts as.
    fn of(event: &Event) -> Self {
        let mut counts = Self::default();
        let read = |name: &str| event.payload.to_value()[name].as_u64().unwrap_or(0);
        match event.kind {
            EventType::Enqueued => counts.enqueued = 1,
            EventType::Started => counts.started = 1,
            EventType::Succeeded => {
                counts.succeeded = 1;
                counts.succeeded_ms = read("elapsedMs");
            }
            EventType::Failed => counts.failed = 1,
            EventType::Canceled => counts.canceled = 1,
            EventType::RetryScheduled => counts.retried = 1,
            EventType::LeaseLost => counts.lost = 1,
            EventType::StepCompleted | EventType::StepFailed => {
                (counts.tokens_in, counts.tokens_out) = (read("tokensIn"), read("tokensOut"));
            }
            EventType::Released
            | EventType::Retried
            | EventType::Waiting
            | EventType::Approved
            | EventType::Rejected
            | EventType::Progressed
            | EventType::Cleaned
            | EventType::StepStarted
            | EventType::StepSkipped => {}
        }
        counts
    }
}

/// Whether the caller may see figures of all projects together.
///
/// # Errors
/// `forbidden` when it is narrowed to some.
pub fn admit(caller: &Caller) -> Result<()> {
    match caller.projects {
        None => Ok(()),
        Some(_) => Err(Error::new(ErrorCode::Forbidden, "figures over time cover all projects")
            .with_hint("use a token that is not restricted to projects")),
    }
}

/// What to add for these events. A minute that is not kept any more is left out of the minutes.
pub fn fold<'a>(events: impl IntoIterator<Item = Added<'a>>, now: Timestamp) -> Sums {
    let (oldest, oldest_recent) = (now.minus(KEPT), now.minus(recent::KEPT).minute());
    let mut sums = Sums::default();
    for Added { kind, project, event } in events {
        sums.recent.add(project, event, oldest_recent);
        let counts = Counts::of(event);
        if counts.is_empty() {
            continue;
        }
        let totals = sums.totals.entry(kind.to_owned()).or_default();
        totals.counts = totals.counts.plus(counts);
        if let Some((span, took)) = span_of(event) {
            let group = BOUNDS_MS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS_MS.len());
            let sum = totals.spans.entry((span, group)).or_default();
            *sum = sum.plus(Took { count: 1, total_ms: took });
        }
        if event.at >= oldest {
            let sum = sums.minutes.entry((event.at.minute(), kind.to_owned())).or_default();
            *sum = sum.plus(counts);
        }
    }
    sums
}

/// How long what ends or begins with an event took; events of older versions do not say how long their run had waited.
fn span_of(event: &Event) -> Option<(Span, u64)> {
    let (span, name) = match event.kind {
        EventType::Started => (Span::Wait, "waitMs"),
        EventType::Succeeded | EventType::Failed => (Span::Execution, "elapsedMs"),
        EventType::Enqueued
        | EventType::Canceled
        | EventType::RetryScheduled
        | EventType::LeaseLost
        | EventType::Released
        | EventType::Retried
        | EventType::Waiting
        | EventType::Approved
        | EventType::Rejected
        | EventType::Progressed
        | EventType::Cleaned
        | EventType::StepStarted
        | EventType::StepCompleted
        | EventType::StepFailed
        | EventType::StepSkipped => return None,
    };
    Some((span, event.payload.to_value()[name].as_u64()?))
}

impl Took {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, total_ms: self.total_ms + other.total_ms }
    }
}

impl Totals {
    /// Adds what a page adds.
    pub fn add(&mut self, other: &Self) {
        self.counts = self.counts.plus(other.counts);
        for (group, took) in &other.spans {
            let sum = self.spans.entry(*group).or_default();
            *sum = sum.plus(*took);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::Json;
    use crate::values::ids::RunId;

    fn event(kind: EventType, at: &str, payload: serde_json::Value) -> Event {
        Event {
            run_id: RunId::new(),
            step_id: None,
            seq: 1,
            kind,
            at: at.parse().unwrap(),
            actor: "tester".to_owned(),
            payload: Json::from_value(payload),
        }
    }

    fn of<'a>(kind: &'a str, event: &'a Event) -> Added<'a> {
        Added { kind, project: "", event }
    }

    #[test]
    fn how_long_it_took_is_sorted_into_groups() {
        let at = "2026-11-26T10:00:00.000Z";
        let events = [
            event(EventType::Started, at, json!({"waitMs": 10})),
            event(EventType::Started, at, json!({"waitMs": 11})),
            event(EventType::Started, at, json!({})),
            event(EventType::Failed, at, json!({"elapsedMs": 4_000_000})),
        ];
        let sums = fold(events.iter().map(|event| of("mail", event)), at.parse().unwrap());
        let spans = &sums.totals["mail"].spans;
        assert_eq!(sums.totals["mail"].counts.started, 3);
        assert_eq!(spans[&(Span::Wait, 0)], Took { count: 1, total_ms: 10 });
        assert_eq!(spans[&(Span::Wait, 1)], Took { count: 1, total_ms: 11 });
        assert_eq!(spans[&(Span::Execution, BOUNDS_MS.len())], Took { count: 1, total_ms: 4_000_000 });
        assert_eq!(spans.len(), 3);
    }

    #[test]
    fn tokens_are_those_of_steps_that_ended_however_they_did() {
        let at = "2026-11-26T10:00:00.000Z";
        let events = [
            event(EventType::StepStarted, at, json!({"tokensIn": 900})),
            event(EventType::StepCompleted, at, json!({"tokensIn": 100, "tokensOut": 7})),
            event(EventType::StepFailed, at, json!({"tokensIn": 20})),
            event(EventType::StepCompleted, at, json!({})),
        ];
        let sums = fold(events.iter().map(|event| of("review", event)), at.parse().unwrap());
        let wanted = Counts { tokens_in: 120, tokens_out: 7, ..Counts::default() };
        assert_eq!(sums.totals["review"].counts, wanted);
        assert_eq!(sums.minutes.values().collect::<Vec<_>>(), [&wanted]);
    }

    #[test]
    fn events_are_added_up_by_minute_and_kind() {
        let now = "2026-11-26T10:05:00.000Z".parse().unwrap();
        let events = [
            ("mail", event(EventType::Enqueued, "2026-11-26T10:00:00.000Z", json!({}))),
            ("mail", event(EventType::Succeeded, "2026-11-26T10:00:59.999Z", json!({"elapsedMs": 30}))),
            ("mail", event(EventType::Succeeded, "2026-11-26T10:01:00.000Z", json!({"elapsedMs": 12}))),
            ("note", event(EventType::LeaseLost, "2026-11-26T10:00:10.000Z", json!({}))),
            ("mail", event(EventType::Enqueued, "2026-11-01T10:00:00.000Z", json!({}))),
        ];
        let sums = fold(events.iter().map(|(kind, event)| of(kind, event)), now);
        assert_eq!(sums.totals["mail"].counts.enqueued, 2, "in all, that of long ago counts");
        let minutes = sums.minutes;
        let at = |minute: &str, kind: &str| minutes[&(minute.parse().unwrap(), kind.to_owned())];
        assert_eq!(minutes.len(), 3, "an event of long ago is left out: {minutes:?}");
        let first = Counts { enqueued: 1, succeeded: 1, succeeded_ms: 30, ..Counts::default() };
        assert_eq!(at("2026-11-26T10:00:00.000Z", "mail"), first);
        assert_eq!(at("2026-11-26T10:01:00.000Z", "mail").succeeded_ms, 12);
        assert_eq!(at("2026-11-26T10:00:00.000Z", "note").lost, 1);
    }
}
