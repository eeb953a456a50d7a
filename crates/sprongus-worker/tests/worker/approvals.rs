//! Rust handlers that wait for a person.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::Answer;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus::{Completed, Running};
use sprongus_worker::{HandlerError, RunContext};

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_waits_and_is_called_anew_with_its_steps_done() {
    let mut scene = Scene::on_disk();
    scene.options.concurrency = 1;
    let (calls, effects) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let handler = {
        let (calls, effects) = (Arc::clone(&calls), Arc::clone(&effects));
        move |ctx: RunContext, (): ()| {
            let (calls, effects) = (Arc::clone(&calls), Arc::clone(&effects));
            async move {
                calls.fetch_add(1, Ordering::SeqCst);
                let made: u32 =
                    ctx.step("make", || async { Ok(effects.fetch_add(1, Ordering::SeqCst)) }).await?;
                let first = ctx.wait_for_approval("first", Some(Duration::from_secs(3_600))).await?;
                let used: u32 =
                    ctx.step("use", || async { Ok(effects.fetch_add(1, Ordering::SeqCst)) }).await?;
                let second = ctx.wait_for_approval("second", None).await?;
                assert_eq!((ctx.attempt(), ctx.epoch()), (1, 3));
                Ok(json!([made, first.by, first.comment, used, second.comment]))
            }
        }
    };
    let worker =
        scene.worker().kind("k", handler.clone()).kind("other", |_: RunContext, (): ()| async { Ok(1) });
    scene.start(worker);
    let id = scene.enqueue("k", json!(null)).await;
    let gate = scene.until_waiting(id, "first").await;
    assert_eq!((gate.status, gate.ordinal), (Running, 1));
    let until = scene.get(id).await.waiting_for.unwrap().until;
    assert!(until.is_some(), "it does not wait for ever");
    // Its one slot is free.
    let other = scene.enqueue("other", json!(null)).await;
    scene.until_state(other, State::Succeeded).await;
    assert_eq!(scene.change_worker().await.waiting, 1);

    let worker = scene.worker().kind("k", handler);
    scene.start(worker);
    scene.approve(id, "one").await;
    scene.until_waiting(id, "second").await;
    scene.approve(id, "two").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.result, Some(Json::from_value(json!([0, "test", "one", 1, "two"]))));
    assert_eq!((run.attempt, run.epoch), (1, 3));
    assert_eq!((calls.load(Ordering::SeqCst), effects.load(Ordering::SeqCst)), (3, 2));
    let seen: Vec<_> =
        scene.steps(id).await.into_iter().map(|step| (step.ordinal, step.name, step.status)).collect();
    let wanted = ["make", "first", "use", "second"];
    let wanted = wanted.iter().zip(0..).map(|(name, ordinal)| (ordinal, (*name).to_owned(), Completed));
    assert_eq!(seen, wanted.collect::<Vec<_>>());
    assert_eq!(scene.end().await.waiting, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_handler_returns_then_its_run_waits() {
    let mut scene = Scene::on_disk();
    let after = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&after);
    let worker = scene
        .worker()
        .kind("swallows", move |ctx: RunContext, (): ()| {
            let counted = Arc::clone(&counted);
            async move {
                if ctx.wait_for_approval("gate", None).await.is_err() {
                    let step =
                        ctx.step("after", || async { Ok(counted.fetch_add(1, Ordering::SeqCst)) }).await;
                    assert!(step.is_err(), "no step of a run that waits");
                    assert!(ctx.wait_for_approval("another", None).await.is_err());
                }
                Ok(7)
            }
        })
        .kind("fails", |ctx: RunContext, (): ()| async move {
            let passed = ctx.wait_for_approval("gate", None).await;
            passed.map(|_| 7).map_err(|_| HandlerError::permanent("over"))
        })
        .kind("hangs", |ctx: RunContext, (): ()| async move {
            if ctx.wait_for_approval("gate", None).await.is_err() {
                std::future::pending::<()>().await;
            }
            Ok(7)
        });
    scene.start(worker);
    let mut all = Vec::new();
    for kind in ["swallows", "fails", "hangs"] {
        let id = scene.enqueue(kind, json!(null)).await;
        scene.until_waiting(id, "gate").await;
        all.push(id);
    }
    for id in all {
        let steps = scene.steps(id).await;
        assert_eq!(steps.len(), 1, "{steps:?}");
        scene.approve(id, "").await;
        let run = scene.until_state(id, State::Succeeded).await;
        assert_eq!((run.attempt, run.result), (1, Some(Json::from_value(json!(7)))));
    }
    assert_eq!(after.load(Ordering::SeqCst), 0);
    let summary = scene.end().await;
    assert_eq!((summary.waiting, summary.succeeded, summary.lost), (3, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_handler_is_not_called_again_and_another_attempt_asks_anew() {
    let mut scene = Scene::on_disk();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let worker = scene.worker().kind("k", move |ctx: RunContext, fails: bool| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::SeqCst);
            let passed = ctx.wait_for_approval("gate", None).await?;
            if fails && ctx.attempt() == 1 {
                return Err(HandlerError::retryable("behind the gate").retry_in(Duration::ZERO));
            }
            Ok(passed.comment)
        }
    });
    scene.start(worker);
    let rejected = scene.enqueue("k", json!(false)).await;
    scene.until_waiting(rejected, "gate").await;
    scene.runs.answer(rejected, None, Answer::Rejected, Some("no".to_owned())).await.unwrap();
    let run = scene.until_state(rejected, State::Failed).await;
    assert_eq!((run.error.as_deref(), run.attempt), (Some("rejected: no"), 1));
    assert_eq!(calls.load(Ordering::SeqCst), 1);

    let id = scene.enqueue("k", json!(true)).await;
    scene.until_waiting(id, "gate").await;
    scene.approve(id, "first").await;
    scene.until(id, |run| run.attempt == 2 && run.waiting_for.is_some()).await;
    scene.approve(id, "second").await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.result), (2, Some(Json::from_value(json!("second")))));
    scene.end().await;
}
