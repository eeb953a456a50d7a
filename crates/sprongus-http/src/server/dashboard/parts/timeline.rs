//! A run's time as bars: each execution, and the steps within it.

use sprongus_core::run::event::{Event, EventType};
use sprongus_core::run::step::{Step, StepStatus};
use sprongus_core::values::time::Timestamp;

use super::format::span;

/// The width of the whole in units of the drawing.
const WIDTH: u64 = 1_000;

/// An execution or a step, drawn on a line of 1,000 units.
#[derive(Debug, PartialEq, Eq)]
pub struct Bar {
    /// `Attempt 2 on WORKER`, or the name of a step.
    pub label: String,
    /// How it ended, for its colour: a state's name or a step's status.
    pub outcome: &'static str,
    /// How it ended, in words.
    pub ended: &'static str,
    /// Whether it is of a step.
    pub is_step: bool,
    /// Where it begins, 0 to 1,000.
    pub x: u64,
    /// At least 4, so that it can be seen.
    pub width: u64,
    /// In words, such as `1 min 5 s`; until now if it has not ended.
    pub took: String,
    /// When it began, RFC 3339.
    pub exact: String,
    /// Whether it has not ended.
    pub is_open: bool,
}

/// One execution, from a claim to its end.
struct Execution {
    attempt: u64,
    epoch: u64,
    worker: String,
    start: Timestamp,
    end: Option<(Timestamp, &'static str, &'static str)>,
}

/// How an execution ended with this event; none if it did not.
fn ending(kind: EventType) -> Option<(&'static str, &'static str)> {
    match kind {
        EventType::Succeeded => Some(("succeeded", "succeeded")),
        EventType::Failed => Some(("failed", "failed")),
        EventType::Canceled => Some(("canceled", "canceled")),
        EventType::RetryScheduled => Some(("failed", "failed, will be retried")),
        EventType::Released => Some(("canceled", "released")),
        EventType::LeaseLost => Some(("failed", "lease lost")),
        EventType::Waiting => Some(("queued", "waiting at a gate")),
        EventType::Enqueued
        | EventType::Started
        | EventType::Retried
        | EventType::Approved
        | EventType::Rejected
        | EventType::Progressed
        | EventType::Cleaned
        | EventType::StepStarted
        | EventType::StepCompleted
        | EventType::StepFailed
        | EventType::StepSkipped => None,
    }
}

fn executions(events: &[Event]) -> Vec<Execution> {
    let mut found: Vec<Execution> = Vec::new();
    for event in events {
        let open = found.last_mut().filter(|last| last.end.is_none());
        match (ending(event.kind), open) {
            (Some((outcome, ended)), Some(open)) => open.end = Some((event.at, outcome, ended)),
            (Some(_), None) => {}
            (None, _) if event.kind == EventType::Started => {
                let payload = event.payload.to_value();
                found.push(Execution {
                    attempt: payload["attempt"].as_u64().unwrap_or(0),
                    epoch: payload["epoch"].as_u64().unwrap_or(0),
                    worker: payload["workerId"].as_str().unwrap_or_default().to_owned(),
                    start: event.at,
                    end: None,
                });
            }
            (None, _) => {}
        }
    }
    found
}

fn outcome(status: StepStatus) -> &'static str {
    match status {
        StepStatus::Pending => "queued",
        StepStatus::Running => "running",
        StepStatus::Completed => "succeeded",
        StepStatus::Failed => "failed",
        StepStatus::Skipped => "canceled",
    }
}

/// The bars of a run's events, in their order, and its steps.
pub fn bars(events: &[Event], steps: &[Step], now: Timestamp) -> Vec<Bar> {
    let executions = executions(events);
    let Some(first) = executions.first().map(|first| first.start) else { return Vec::new() };
    let ends = executions.iter().map(|one| one.end.map_or(now, |(at, ..)| at));
    let last = ends.chain(steps.iter().filter_map(|step| step.completed_at)).max().unwrap_or(now);
    let whole = u64::try_from(last.since(first).as_millis()).unwrap_or(u64::MAX).max(1);
    let position = |start: Timestamp, end: Timestamp| {
        let along = |time: Timestamp| {
            let millis = u64::try_from(time.since(first).as_millis()).unwrap_or(u64::MAX);
            (millis.saturating_mul(WIDTH) / whole).min(WIDTH)
        };
        // However short, it is seen, and within the drawing.
        let width = (along(end) - along(start).min(along(end))).max(4);
        (along(start).min(WIDTH - width.min(WIDTH)), width.min(WIDTH))
    };
    let mut bars = Vec::new();
    for one in &executions {
        let (end, outcome_of_it, ended) = one.end.unwrap_or((now, "running", "running"));
        let (x, width) = position(one.start, end);
        bars.push(Bar {
            label: format!("Attempt {} on {}", one.attempt, one.worker),
            outcome: outcome_of_it,
            ended,
            is_step: false,
            x,
            width,
            took: span(end.since(one.start)),
            exact: one.start.to_string(),
            is_open: one.end.is_none(),
        });
        for step in steps.iter().filter(|step| step.epoch == one.epoch) {
            let Some(start) = step.started_at else { continue };
            let end = step.completed_at.unwrap_or(end);
            let (x, width) = position(start, end);
            bars.push(Bar {
                label: step.name.clone(),
                outcome: outcome(step.status),
                ended: step.status.as_str(),
                is_step: true,
                x,
                width,
                took: span(end.since(start)),
                exact: start.to_string(),
                is_open: !step.status.is_final(),
            });
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sprongus_core::json::Json;
    use sprongus_core::values::ids::RunId;

    use super::*;

    fn event(seq: u64, kind: EventType, second: i64, payload: serde_json::Value) -> Event {
        Event {
            run_id: RunId::from_bits(1),
            step_id: None,
            seq,
            kind,
            at: Timestamp::from_millis(second * 1_000),
            actor: "tester".to_owned(),
            payload: Json::from_value(payload),
        }
    }

    #[test]
    fn every_execution_is_a_bar_of_its_length() {
        let started = |attempt| json!({"attempt": attempt, "epoch": attempt, "workerId": "w"});
        let events = [
            event(1, EventType::Enqueued, 0, json!({})),
            event(2, EventType::Started, 100, started(1)),
            event(3, EventType::RetryScheduled, 150, json!({})),
            event(4, EventType::Started, 175, started(2)),
        ];
        let bars = bars(&events, &[], Timestamp::from_millis(200_000));
        let shape: Vec<_> = bars.iter().map(|bar| (bar.x, bar.width, bar.outcome, bar.is_open)).collect();
        assert_eq!(shape, [(0, 500, "failed", false), (750, 250, "running", true)]);
        assert_eq!(bars[0].took, "50.0 s");
    }

    #[test]
    fn a_moment_is_seen_and_within_the_drawing() {
        let events = [
            event(1, EventType::Started, 100, json!({"attempt": 1, "epoch": 1, "workerId": "w"})),
            event(2, EventType::Succeeded, 100, json!({})),
        ];
        let bars = bars(&events, &[], Timestamp::from_millis(900_000));
        assert!(bars[0].width >= 4 && bars[0].x + bars[0].width <= WIDTH, "{bars:?}");
    }
}
