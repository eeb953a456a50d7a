//! The fields that scripts depend on: all of them, always, absent ones as null.

use serde_json::{Map, Value};
use sprongus::RunsExt;
use sprongus::core::run::step::{LogLine, Phase, StepReport, StepStatus, StepType, Stream};

use crate::backing::{Backing, sessions};
use crate::sandbox::{Sandbox, block_on, worker};

const RUN: &str = "id workspaceId projectId agentTaskId kind input state priority progress attempt maxAttempts crashes \
                   waitingFor runAt idempotencyKey result outputRef error claimedBy claimedAt startedAt finishedAt \
                   createdAt updatedAt dueAt waiting epoch tags expireAt leaseExpiresAt scheduleId \
                   scheduledFor scheduleRevision";
const STEP: &str = "id runId attempt ordinal phase name type status output tokensIn tokensOut startedAt completedAt durationMs";
const EVENT: &str = "id runId stepId seq type at actor payload";

#[track_caller]
fn has(value: &Value, names: &str) {
    let object: &Map<String, Value> = value.as_object().unwrap();
    for name in names.split_whitespace() {
        assert!(object.contains_key(name), "{name} is missing in {value}");
    }
}

fn every_field_is_there(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    let id = sandbox.enqueue("a");
    block_on(async {
        let runs = sandbox.runs().await;
        let claimed = runs.claim_next(&worker(), 1).await.unwrap().remove(0);
        let hold = claimed.hold();
        let step = StepReport {
            ordinal: 0,
            name: "ask".to_owned(),
            phase: Phase::Execution,
            kind: StepType::AiAction,
            status: StepStatus::Completed,
            output: Some("fine".to_owned()),
            tokens_in: Some(3),
            tokens_out: None,
        };
        let at = claimed.run.created_at;
        let line = LogLine { stream: Stream::Stderr, at, step: None, text: "hm".to_owned() };
        runs.record(&hold, vec![step], vec![line]).await.unwrap();
        runs.succeed(&hold, None, None).await.unwrap();
    });
    let run = sandbox.run(&["--json", "runs", "status", &id]).exits(0).json();
    has(&run, RUN);
    assert_eq!(run["waitingFor"], Value::Null);
    for name in ["createdAt", "updatedAt", "startedAt", "finishedAt", "runAt", "dueAt"] {
        let time = run[name].as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{name}: {time}");
    }
    let steps = sandbox.run(&["--json", "runs", "steps", &id]).exits(0).json();
    has(&steps, "data nextCursor");
    has(&steps["data"][0], STEP);
    assert_eq!(
        (&steps["data"][0]["type"], &steps["data"][0]["phase"]),
        (&"ai_action".into(), &"execution".into())
    );
    let events = sandbox.run(&["--json", "runs", "events", &id]).exits(0).lines();
    events.iter().for_each(|event| has(event, EVENT));
    let seqs: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.iter().copied().eq(1..=events.len() as u64), "{seqs:?}");
    let logs = sandbox.run(&["--json", "runs", "logs", &id]).exits(0).lines();
    has(&logs[0], "seq attempt stream at step text");
    let tail = sandbox.run(&["--json", "runs", "tail", &id]).exits(0).lines();
    has(&tail[0], "event");
    assert!(tail.iter().any(|item| item["log"]["text"] == "hm"));
    assert_eq!(tail.last().unwrap()["run"], run);
    let list = sandbox.line("--json runs list").exits(0).json();
    has(&list, "data nextCursor");
    assert_eq!(list["data"][0], run);
    assert_eq!(list["nextCursor"], Value::Null);
}

fn the_smaller_nouns_are_lists_too(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    sandbox.line("projects create p").exits(0);
    sandbox.run(&["agent-tasks", "create", "t", "--title", "A title"]).exits(0);
    sandbox.line("kinds pause a").exits(0);
    for (line, id) in [("projects", "p"), ("agent-tasks", "t"), ("workspaces", "default")] {
        let list = sandbox.line(&format!("--json {line} list")).exits(0).json();
        assert_eq!((&list["data"][0]["id"], &list["nextCursor"]), (&id.into(), &Value::Null), "{line}");
    }
    assert_eq!(sandbox.line("--json kinds list").exits(0).json()["data"][0]["paused"], true);
    assert_eq!(sandbox.line("--json kinds resume a").exits(0).json()["paused"], false);
    assert_eq!(sandbox.line("--json workers list").exits(0).json()["data"], Value::Array(Vec::new()));
    has(
        &sandbox.line("--json runs stats").exits(0).json(),
        "kinds endedLastHour waitP50Ms waitP99Ms runP50Ms runP99Ms tokensInLastHour tokensOutLastHour workers",
    );
    has(&sandbox.line("--json runs prune --dry-run").exits(0).json(), "runs");
}

sessions! {
    every_field_is_there,
    the_smaller_nouns_are_lists_too,
}
