//! What the store refuses for no fault of the work's: a right that was taken away, a fault of the server's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use sprongus_core::error::ErrorCode;
use sprongus_core::json::Json;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::runs::Runs;
use sprongus_worker::RunContext;

use crate::scene::{Scene, eventually};
use crate::tampered::{Call, Tampered};

const LEASE: Duration = Duration::from_secs(1);

/// Causes that pass, and have nothing to do with what was reported.
const PASSING: [ErrorCode; 5] = [
    ErrorCode::Internal,
    ErrorCode::Forbidden,
    ErrorCode::Unauthenticated,
    ErrorCode::SchemaMismatch,
    ErrorCode::Unavailable,
];

fn counting(scene: &Scene, runs: &Arc<Tampered>, executed: &Arc<AtomicUsize>) -> sprongus_worker::Worker {
    let executed = Arc::clone(executed);
    scene.worker_over(Arc::clone(runs) as Arc<dyn Runs>).kind("k", move |_: RunContext, (): ()| {
        executed.fetch_add(1, Ordering::SeqCst);
        async move { Ok(7) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_result_outlives_every_refusal_that_passes() {
    for code in PASSING {
        let mut scene = Scene::new();
        scene.options.lease = LEASE;
        let (runs, executed) = (Tampered::new(Arc::clone(&scene.runs)), Arc::default());
        runs.refuse(Call::Finish, code);
        let worker = counting(&scene, &runs, &executed);
        scene.start(worker);
        let id = scene.enqueue("k", json!(null)).await;
        scene.until_state(id, State::Running).await;
        // Longer than the lease, which is renewed all the while, every third of it.
        let beats = runs.beats.load(Ordering::SeqCst) + 7;
        eventually("it is renewed for two leases", || runs.beats.load(Ordering::SeqCst) >= beats).await;
        assert_eq!(scene.get(id).await.state, State::Running, "{code}");
        runs.mend(Call::Finish);
        let run = scene.until(id, |run| run.state.is_final()).await;
        assert_eq!((run.state, run.attempt, run.crashes), (State::Succeeded, 1, 0), "{code}");
        assert_eq!(run.result, Some(Json::from_value(json!(7))), "{code}");
        assert_eq!(executed.load(Ordering::SeqCst), 1, "{code}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_reported_again_too() {
    let mut scene = Scene::new();
    let runs = Tampered::new(Arc::clone(&scene.runs));
    runs.refuse(Call::Finish, ErrorCode::Forbidden);
    let worker =
        scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).kind("k", |_: RunContext, (): ()| async move {
            Err::<(), _>(sprongus_worker::HandlerError::permanent("no such page"))
        });
    scene.start(worker);
    let id = scene.enqueue("k", json!(null)).await;
    scene.until_state(id, State::Running).await;
    runs.until_refused(Call::Finish, 2).await;
    runs.mend(Call::Finish);
    let run = scene.until_state(id, State::Failed).await;
    assert_eq!((run.error.as_deref(), run.crashes), (Some("no such page"), 0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_report_that_makes_every_call_fail_keeps_no_other_back() {
    let mut scene = Scene::new();
    let (runs, executed) = (Tampered::new(Arc::clone(&scene.runs)), Arc::default());
    runs.refuse(Call::Finish, ErrorCode::Unavailable);
    let worker = counting(&scene, &runs, &executed);
    scene.start(worker);
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(scene.enqueue("k", json!(null)).await);
    }
    runs.stumble_over(ids[3]);
    for id in &ids {
        scene.until_state(*id, State::Running).await;
    }
    runs.mend(Call::Finish);
    for (number, id) in ids.iter().enumerate().filter(|(number, _)| *number != 3) {
        let run = scene.until(*id, |run| run.state.is_final()).await;
        assert_eq!((run.state, run.attempt), (State::Succeeded, 1), "{number}");
    }
    assert_eq!(scene.get(ids[3]).await.state, State::Running);
    scene.kill_worker();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_claims_are_refused_stays_and_claims_again() {
    for code in PASSING {
        let mut scene = Scene::new();
        scene.options.lease = LEASE;
        let (runs, executed) = (Tampered::new(Arc::clone(&scene.runs)), Arc::default());
        let worker = counting(&scene, &runs, &executed);
        scene.start(worker);
        let first = scene.enqueue("k", json!(null)).await;
        scene.until_state(first, State::Succeeded).await;
        runs.refuse(Call::Claim, code);
        let second = scene.enqueue("k", json!(null)).await;
        // Longer than the lease: what is claimed afterwards must not be taken for a claim of long ago.
        tokio::time::sleep(LEASE * 2).await;
        runs.until_refused(Call::Claim, 2).await;
        runs.mend(Call::Claim);
        let run = scene.until_state(second, State::Succeeded).await;
        assert_eq!((run.attempt, run.crashes), (1, 0), "{code}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_first_claim_is_refused_for_good_says_why_and_ends() {
    let scene = Scene::new();
    let (runs, executed) = (Tampered::new(Arc::clone(&scene.runs)), Arc::default());
    runs.refuse(Call::Claim, ErrorCode::Unauthenticated);
    let ended = counting(&scene, &runs, &executed).run(scene.shutdown.clone()).await;
    assert_eq!(ended.unwrap_err().code(), ErrorCode::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_lines_artifacts_gates_and_cleanups_outlive_refusals_too() {
    let mut scene = Scene::new();
    let runs = Tampered::new(Arc::clone(&scene.runs));
    let calls = [Call::Record, Call::PutArtifact, Call::KeepWorkdir, Call::Wait];
    calls.iter().for_each(|call| runs.refuse(*call, ErrorCode::Forbidden));
    let toml = r#"
[[kinds.k.steps]]
phase = "execution"
name = "write"
type = "command"
run = ["sh", "-c", "echo a line; echo x > file; echo $SPRONGUS_EPOCH >> ../../../../count"]
[[kinds.k.steps]]
phase = "execution"
name = "keep"
type = "artifact"
paths = ["file"]
[[kinds.k.steps]]
phase = "validation"
name = "ask"
type = "gate"
approval = {}
"#;
    let worker = scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).declared(scene.declaration(toml));
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    for call in calls {
        runs.until_refused(call, 2).await;
        runs.mend(call);
    }
    scene.until_waiting(id, "ask").await;
    let run = scene.get(id).await;
    assert_eq!((run.attempt, run.crashes), (1, 0));
    assert_eq!(scene.file("count").await, "1", "executed once");
    assert!(scene.log(id).await.contains(&"a line".to_owned()));
    let steps = scene.attempt_steps(id).await;
    assert_eq!(steps[1], (1, "keep".to_owned(), StepStatus::Completed), "{steps:?}");
    assert_eq!(scene.runs.artifacts(id).await.unwrap().len(), 1);

    runs.refuse(Call::Cleaned, ErrorCode::Internal);
    scene.runs.cancel(id).await.unwrap();
    runs.until_refused(Call::Cleaned, 2).await;
    runs.mend(Call::Cleaned);
    scene.until(id, |run| run.lease_expires_at.is_none()).await;
    assert!(scene.event(id, "run.cleaned").await.is_some());
    scene.end().await;
}
