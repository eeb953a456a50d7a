use serde_json::{Value, json};

use super::*;
use crate::json::Json;
use crate::values::ids::RunId;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn event(kind: EventType, when: &str, payload: Value) -> Event {
    let (at, actor, payload) = (at(when), "tester".to_owned(), Json::from_value(payload));
    Event { run_id: RunId::new(), step_id: None, seq: 1, kind, at, actor, payload }
}

fn stats(events: &[Event]) -> Stats {
    let mut recent = Recent::default();
    events.iter().for_each(|event| recent.add("", event, at("2026-11-26T09:01:00Z")));
    let mut stats = Stats::default();
    recent.write_stats(&mut stats);
    stats
}

#[test]
fn the_hour_is_the_present_minute_and_the_fifty_nine_before_it() {
    assert_eq!(first_minute(at("2026-11-26T10:00:59.999Z")), at("2026-11-26T09:01:00Z"));
    assert_eq!(first_minute(at("2026-11-26T10:01:00Z")), at("2026-11-26T09:02:00Z"));
}

#[test]
fn groups_are_in_order_without_a_gap_and_a_sixteenth_wide_at_most() {
    let (mut last, mut first_of) = (0, 0);
    for took in 0..100_000_u64 {
        let group = group(took);
        assert!(group == last || group == last + 1, "{took}");
        if group != last {
            (last, first_of) = (group, took);
        }
        assert!((took - first_of) * 16 <= took, "{took} is with {first_of}");
    }
    assert!(group(u64::MAX) > last);
}

#[test]
fn percentiles_are_those_of_the_nearest_rank() {
    let took = |ms: u64| event(EventType::Succeeded, "2026-11-26T09:30:00Z", json!({"elapsedMs": ms}));
    assert_eq!(stats(&[]).run_p50_ms, None);
    let one = stats(&[took(4_001)]);
    assert_eq!((one.run_p50_ms, one.run_p99_ms), (Some(4_001), Some(4_001)));
    let many: Vec<Event> = (1..=1_000).map(took).collect();
    let many = stats(&many);
    let near = |found: Option<u64>, exact: u64| found.unwrap().abs_diff(exact) * 16 <= exact;
    assert!(near(many.run_p50_ms, 500) && near(many.run_p99_ms, 990), "{many:?}");
    let pair = stats(&[took(1), took(2), took(9)]);
    assert_eq!((pair.run_p50_ms, pair.run_p99_ms), (Some(2), Some(9)));
}

#[test]
fn a_run_that_is_retried_has_not_ended_and_what_is_older_is_left_out() {
    let when = "2026-11-26T09:30:00Z";
    let back = |ended: &str| event(EventType::Retried, when, json!({"from": "failed", "endedAt": ended}));
    let failed = |when: &str| event(EventType::Failed, when, json!({}));
    assert_eq!(stats(&[failed(when), failed(when)]).ended_last_hour, [(State::Failed, 2)].into());
    // In whichever order the two come.
    for events in [[failed(when), back(when)], [back(when), failed(when)]] {
        assert!(stats(&events).ended_last_hour.is_empty());
    }
    let long_ago = "2026-11-26T08:30:00Z";
    let events = [failed(long_ago), back(long_ago), failed(when)];
    assert_eq!(stats(&events).ended_last_hour, [(State::Failed, 1)].into());
    let older = event(EventType::Retried, when, json!({"from": "failed"}));
    assert_eq!(stats(&[failed(when), older]).ended_last_hour, [(State::Failed, 1)].into());
}

#[test]
fn what_is_counted_is_what_a_store_is_told_to_read() {
    let payload = json!({
        "waitMs": 1, "elapsedMs": 1, "tokensIn": 1, "tokensOut": 1, "from": "failed", "endedAt": "2026-11-26T10:00:00Z",
    });
    for kind in EventType::ALL {
        let mut recent = Recent::default();
        recent.add("", &event(*kind, "2026-11-26T10:00:00Z", payload.clone()), at("2026-11-26T09:01:00Z"));
        assert_eq!(!recent.0.is_empty(), COUNTED.contains(kind), "{kind}");
    }
}
