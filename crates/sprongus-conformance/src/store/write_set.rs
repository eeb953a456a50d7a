//! Rules that decide over several runs: whatever set they answer with is written whole, or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::rules::commands::{cancel, retry};
use sprongus_core::rules::enqueue::{enqueue, prepare};
use sprongus_core::rules::{Act, WriteSet};
use sprongus_core::run::state::State;
use sprongus_core::run::{Due, NewRun, Run};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Error, ErrorCode, Result};

use crate::fixture::{Fixture, failed_for_good, of_kind, refused};

/// A run with everything that a request may say.
fn full(f: &Fixture) -> NewRun {
    NewRun {
        project_id: Some("p".to_owned()),
        agent_task_id: Some("t".to_owned()),
        idempotency_key: Some("key".to_owned()),
        max_attempts: Some(7),
        priority: Some(9),
        due: Due::After(Duration::from_secs(10)),
        expire_at: Some(f.now().plus(Duration::from_secs(60))),
        tags: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        ..NewRun::new(
            "later",
            sprongus_core::json::Json::from_value(serde_json::json!({"b": [1, "é"], "a": null})),
        )
    }
}

/// Cancels every run that is queued, retries every one that has failed, and makes `new` ones.
fn rule(new: Vec<NewRun>) -> impl Fn(&BTreeMap<RunId, Run>, Act<'_>) -> Result<WriteSet> {
    move |runs, act| {
        let mut set = WriteSet::default();
        for run in runs.values() {
            set.extend(match run.state {
                State::Failed => retry::retry(run, None, act)?,
                State::Queued | State::Running | State::Succeeded | State::Canceled => {
                    cancel::cancel(run, None, act)?
                }
            });
        }
        for new in &new {
            set.extend(enqueue(&prepare(new, None)?, &WorkspaceId::local(), act));
        }
        Ok(set)
    }
}

/// S2. New runs and changed ones, each with its events and its place in the queue.
pub async fn a_set_of_several_runs_is_written_whole(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    let task = sprongus_core::workspace::directory::NewAgentTask {
        id: "t".parse().unwrap(),
        title: None,
        project_id: None,
    };
    f.store.create_agent_task(&f.caller, &task).await.unwrap();
    let failed = f.held(of_kind("work")).await;
    f.finish(&failed, failed_for_good("no")).await.unwrap();
    let queued = f.made(of_kind("work")).await;
    let new = vec![of_kind("now"), full(&f)];
    let set = f.store.decide(&f.caller, &[queued.id, failed.id], Arc::new(rule(new))).await.unwrap();
    assert_eq!((set.new_runs.len(), set.transitions.len()), (2, 2));
    for written in set.new_runs.iter().chain(&set.transitions) {
        assert_eq!(f.get(written.run.id).await, written.run);
        assert!(f.events(written.run.id).await.ends_with(&written.events));
    }
    let (now, later) = (set.new_runs[0].run.id, set.new_runs[1].run.id);
    let claimed: Vec<_> = f.take("w", 9).await.iter().map(|one| one.run.id).collect();
    assert_eq!(claimed, [failed.id, now], "the retried one and the new one, in their order");
    assert_eq!(f.enqueue_one(full(&f)).await.unwrap().applied.run.id, later, "the key is taken");
    f.turn(Duration::from_secs(10));
    assert_eq!(f.take_one("w").await.run.id, later);
}

/// S2. A refusal leaves everything as it was.
pub async fn a_rule_that_refuses_writes_nothing(f: Fixture) {
    let (first, second) = (f.made(of_kind("work")).await, f.made(of_kind("work")).await);
    let refuse = |runs: &BTreeMap<RunId, Run>, act: Act<'_>| {
        assert_eq!(runs.len(), 2);
        rule(vec![of_kind("new")])(runs, act)?;
        Err(Error::new(ErrorCode::Conflict, "not now"))
    };
    let answer = f.store.decide(&f.caller, &[second.id, first.id], Arc::new(refuse)).await;
    assert_eq!(refused(answer).code(), ErrorCode::Conflict);
    assert_eq!((f.get(first.id).await, f.get(second.id).await), (first, second));
    assert_eq!(f.take("w", 9).await.len(), 2, "and no third one");
}

/// S7. A rule is not shown what its caller may not touch.
pub async fn a_rule_decides_over_its_callers_runs_alone(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    let own = f.made(NewRun { project_id: Some("p".to_owned()), ..of_kind("work") }).await;
    let other = f.made(of_kind("work")).await;
    let foreign = f.tenant("elsewhere").await.made(of_kind("work")).await;
    let narrowed = f.narrowed(&["p"]);
    let ids = [own.id, other.id, foreign.id, RunId::new()];
    let set = narrowed.store.decide(&narrowed.caller, &ids, Arc::new(rule(Vec::new()))).await.unwrap();
    let written: Vec<_> = set.transitions.iter().map(|transition| transition.run.id).collect();
    assert_eq!(written, [own.id]);
    assert_eq!(f.get(own.id).await.state, State::Canceled);
    assert_eq!(f.get(other.id).await, other);
}
