use serde_json::json;

use super::*;

fn refused(value: &Value) -> Vec<String> {
    let error = Definition::read(value).unwrap_err();
    error.fields().iter().map(|field| field.pointer.clone()).collect()
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_contract() {
    let definition = Definition::read(&json!({"kind": "report.build", "cron": "0 9 * * mon-fri"})).unwrap();
    assert_eq!(
        definition.to_json().to_value(),
        json!({
            "kind": "report.build", "input": null, "projectId": null, "agentTaskId": null, "priority": null,
            "maxAttempts": null, "tags": {}, "cron": "0 9 * * MON-FRI", "every": null, "timeZone": "UTC", "dst": "once",
            "missed": "last", "missedAfter": "1m", "maxMissed": 100, "within": null, "overlap": "skip", "jitter": "0s",
            "startAt": null, "endAt": null, "paused": false,
        })
    );
}

#[test]
fn what_is_written_is_read_back() {
    for value in [
        json!({"kind": "k", "every": "90s", "overlap": "queue_all", "missed": "all", "within": "2h", "jitter": "30s"}),
        json!({"kind": "k", "cron": "30 2 * * *", "timeZone": "Europe/Berlin", "dst": "literal", "input": {"a": [1, 2]},
            "priority": 7, "maxAttempts": 2, "tags": {"team": "x"}, "startAt": "2026-01-01T00:00:00Z",
            "endAt": "2027-01-01T00:00:00Z", "paused": true, "projectId": "p"}),
    ] {
        let definition = Definition::read(&value).unwrap();
        assert_eq!(Definition::kept(&definition.to_json()).unwrap(), definition);
    }
}

#[test]
fn every_bad_field_is_named_in_one_answer() {
    let bad = json!({"cron": "* * * *", "every": "1s", "dst": "twice", "missedAfter": "10ms", "priority": -1, "colour": "red"});
    let mut named = refused(&bad);
    named.sort();
    assert_eq!(named, ["/colour", "/dst", "/every", "/kind", "/missedAfter", "/priority"]);
    assert_eq!(refused(&json!({"kind": "k"})), ["/cron"]);
    assert_eq!(refused(&json!({"kind": "k", "every": "500ms"})), ["/every"]);
    assert_eq!(refused(&json!({"kind": "k", "every": "1m", "timeZone": "UTC"})), ["/timeZone"]);
    assert_eq!(refused(&json!({"kind": "k", "cron": "61 * * * *"})), ["/cron"]);
    let backwards = json!({"kind": "k", "every": "1m", "startAt": "2026-01-02T00:00:00Z", "endAt": "2026-01-01T00:00:00Z"});
    assert_eq!(refused(&backwards), ["/endAt"]);
}

#[test]
fn what_an_enqueue_refuses_is_refused() {
    assert_eq!(refused(&json!({"kind": "../etc", "every": "1m"})), ["/kind"]);
    let secret =
        json!({"kind": "k", "every": "1m", "input": {"api_key": format!("AKIA{}", "ABCDEFGHIJKLMNOP")}});
    let error = Definition::read(&secret).unwrap_err();
    assert_eq!(error.code(), crate::ErrorCode::SecretInInput);
}
