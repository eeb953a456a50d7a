//! Kinds executed by Rust functions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus::{Completed, Skipped};
use sprongus_core::runs::RunsExt as _;
use sprongus_worker::{HandlerError, RunContext};

use crate::scene::{LIMIT, Scene};

#[derive(Deserialize)]
struct Pull {
    path: String,
}

#[derive(Serialize)]
struct Pulled {
    bytes: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_is_given_its_input_and_its_output_is_kept() {
    let mut scene = Scene::new();
    let worker = scene.worker().kind("script.pull", |ctx: RunContext, input: Pull| async move {
        ctx.log(format!("pulling {}\nsecond line", input.path));
        ctx.progress(40, "on the way".to_owned());
        ctx.set_output_ref("file:///out");
        assert_eq!((ctx.attempt(), ctx.epoch(), ctx.kind().as_str()), (1, 1, "script.pull"));
        Ok(Pulled { bytes: input.path.len() })
    });
    scene.start(worker);
    let id = scene.enqueue("script.pull", json!({"path": "a/b"})).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!(run.result, Some(Json::from_value(json!({"bytes": 3}))));
    assert_eq!(run.output_ref.as_deref(), Some("file:///out"));
    assert_eq!(scene.log(id).await, ["pulling a/b", "second line"]);
    assert_eq!(scene.event(id, "run.progressed").await.unwrap().payload.to_value()["progress"], 40);
    assert_eq!(scene.end().await.succeeded, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_talks_without_end_does_not_fill_the_database() {
    let mut scene = Scene::new();
    let worker = scene.worker().kind("chatty", |ctx: RunContext, (): ()| async move {
        (0..180).for_each(|number| ctx.log(format!("{number:>60000}")));
        ctx.log("one more");
        Ok(())
    });
    scene.start(worker);
    let id = scene.enqueue("chatty", json!(null)).await;
    scene.until_state(id, State::Succeeded).await;
    let log = scene.log(id).await;
    // 174 lines of 60,000 bytes and an end of line each are 10 MiB.
    assert_eq!(log.len(), 176, "{:?}", log.last());
    assert_eq!(log[174], "[the log is full: further lines are only counted]");
    assert_eq!(log[175], "[7 lines came after the log was full]");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_retried_and_a_permanent_one_is_not() {
    let mut scene = Scene::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let worker = scene
        .worker()
        .kind("flaky", move |ctx: RunContext, (): ()| {
            let counted = Arc::clone(&counted);
            async move {
                if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                    return Err(HandlerError::retryable("not yet").retry_in(Duration::from_millis(20)));
                }
                Ok(ctx.attempt())
            }
        })
        .kind("broken", |_: RunContext, (): ()| async move {
            Err::<(), _>(HandlerError::permanent("never, said mail@example.org"))
        })
        .kind("unfit", |_: RunContext, number: u32| async move {
            let parsed: u32 = "x".parse()?;
            Ok(number + parsed)
        });
    scene.start(worker);
    let flaky = scene.enqueue("flaky", json!(null)).await;
    let run = scene.until_state(flaky, State::Succeeded).await;
    assert_eq!((run.attempt, run.result), (2, Some(Json::from_value(json!(2)))));
    let retry = scene.event(flaky, "run.retry_scheduled").await.unwrap().payload.to_value();
    assert_eq!((&retry["retryInMs"], &retry["error"]), (&json!(20), &json!("not yet")));

    let broken = scene.enqueue("broken", json!(null)).await;
    let run = scene.until_state(broken, State::Failed).await;
    assert_eq!((run.attempt, run.error.as_deref()), (1, Some("never, said [email]")));

    let unfit = scene.enqueue("unfit", json!({"a": 1})).await;
    let run = scene.until_state(unfit, State::Failed).await;
    assert!(run.error.unwrap().contains("the input does not match the handler"), "for good");
    assert_eq!(run.attempt, 1);

    let fails =
        scene.enqueue_with(NewRun { max_attempts: Some(1), ..NewRun::new("unfit", json!(1).into()) }).await;
    assert_eq!(scene.until_state(fails, State::Failed).await.error.unwrap(), "invalid digit found in string");
    let summary = scene.end().await;
    assert_eq!((summary.succeeded, summary.retried, summary.failed), (1, 1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_the_attempt_and_the_worker_lives() {
    let mut scene = Scene::new();
    let worker = scene
        .worker()
        .kind("panics", |_: RunContext, path: String| async move {
            assert!(path.is_empty(), "cannot work on {path}");
            Ok(())
        })
        .kind("fine", |_: RunContext, (): ()| async move { Ok("still here") });
    scene.start(worker);
    let panics = scene
        .enqueue_with(NewRun { max_attempts: Some(1), ..NewRun::new("panics", json!("x").into()) })
        .await;
    let run = scene.until_state(panics, State::Failed).await;
    assert_eq!(run.error.as_deref(), Some("the handler panicked: cannot work on x"));
    let fine = scene.enqueue("fine", json!(null)).await;
    scene.until_state(fine, State::Succeeded).await;
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_a_handler_before_its_lease_is_due() {
    let mut scene = Scene::new();
    // A third of it, when it would be renewed anyway, is longer than is waited here.
    scene.options.lease = LIMIT * 4;
    let worker = scene.worker().kind("long", |ctx: RunContext, obeys: bool| async move {
        if obeys {
            ctx.canceled().await;
            ctx.log("asked to stop");
        } else {
            std::future::pending::<()>().await;
        }
        Ok(())
    });
    scene.start(worker);
    let id = scene.enqueue("long", json!(true)).await;
    scene.until_state(id, State::Running).await;
    scene.runs.cancel(id).await.unwrap();
    let run = scene.until(id, |run| run.lease_expires_at.is_none()).await;
    assert_eq!(run.state, State::Canceled);
    assert_eq!(scene.log(id).await, ["asked to stop"]);
    assert!(scene.event(id, "run.cleaned").await.unwrap().payload.to_value()["goneAt"].is_string());

    let stubborn = scene.enqueue("long", json!(false)).await;
    scene.until_state(stubborn, State::Running).await;
    scene.runs.cancel(stubborn).await.unwrap();
    scene.until(stubborn, |run| run.lease_expires_at.is_none()).await;
    assert_eq!(scene.end().await.canceled, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_the_store_will_not_take_fails_the_run_for_good() {
    let mut scene = Scene::new();
    let worker = scene.worker().kind("big", |_: RunContext, (): ()| async move { Ok("x".repeat(2 << 20)) });
    scene.start(worker);
    let id = scene.enqueue("big", json!(null)).await;
    let run = scene.until_state(id, State::Failed).await;
    assert!(run.error.unwrap().starts_with("the result was refused: a result is at most 1 MiB"));
    scene.end().await;
}

#[tokio::test]
async fn a_worker_that_cannot_be_is_refused_before_it_claims() {
    let scene = Scene::new();
    let noop = |_: RunContext, (): ()| async move { Ok(()) };
    let refused = |worker: sprongus_worker::Worker| async {
        worker.run(sprongus_worker::Shutdown::new()).await.unwrap_err().to_string()
    };
    assert!(refused(scene.worker()).await.contains("at least one kind"));
    assert!(refused(scene.worker().kind("../x", noop)).await.contains("not a kind"));
    assert!(refused(scene.worker().kind("a", noop).kind("a", noop)).await.contains("registered twice"));
    let mut options = scene.options.clone();
    options.concurrency = 0;
    let worker = sprongus_worker::Worker::new(Arc::clone(&scene.runs), options).kind("a", noop);
    assert!(refused(worker).await.contains("concurrency must be 1 to 10000: 0"));
    let mut options = scene.options.clone();
    options.kinds = Some(vec!["b".parse().unwrap()]);
    let worker = sprongus_worker::Worker::new(Arc::clone(&scene.runs), options).kind("a", noop);
    assert!(refused(worker).await.contains("has no kind b"));
    assert!(
        scene
            .runs
            .claim_next(&sprongus_core::values::names::WorkerId::fresh("x"), 1)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_a_handler_is_done_once_over_all_attempts() {
    let mut scene = Scene::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let worker = scene.worker().kind("k", move |ctx: RunContext, (): ()| {
        let counted = Arc::clone(&counted);
        async move {
            let drawn: u32 =
                ctx.step("draw", || async { Ok(40 + counted.fetch_add(1, Ordering::SeqCst)) }).await?;
            if ctx.attempt() == 1 {
                return Err(HandlerError::retryable("after the step").retry_in(Duration::ZERO));
            }
            ctx.step("add", || async move { Ok(drawn + 2) }).await
        }
    });
    scene.start(worker);
    let id = scene.enqueue("k", json!(null)).await;
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.result), (2, Some(Json::from_value(json!(42)))));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let seen: Vec<_> =
        scene.steps(id).await.into_iter().map(|step| (step.name, step.status, step.output)).collect();
    let wanted = [("draw", Completed, "40"), ("draw", Skipped, "40"), ("add", Completed, "42")];
    assert_eq!(seen, wanted.map(|(name, status, output)| (name.to_owned(), status, Some(output.to_owned()))));
    scene.end().await;
}
