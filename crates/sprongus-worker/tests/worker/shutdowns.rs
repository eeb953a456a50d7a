//! A worker is told to stop.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::runs::Runs;
use sprongus_worker::RunContext;
use tokio::sync::Semaphore;

use crate::scene::{LIMIT, Scene, lives};
use crate::tampered::Tampered;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_word_lets_runs_end_and_claims_no_more() {
    let mut scene = Scene::new();
    let runs = Tampered::new(Arc::clone(&scene.runs));
    let may_end = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&may_end);
    let worker =
        scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).kind("k", move |_: RunContext, (): ()| {
            let waits = Arc::clone(&waits);
            async move {
                drop(waits.acquire().await?);
                Ok(())
            }
        });
    scene.start(worker);
    let first = scene.enqueue("k", json!(null)).await;
    scene.until_state(first, State::Running).await;
    scene.until_listed().await;
    // It waits for more work when it is told, and gives that up.
    runs.until_claiming().await;
    scene.shutdown.drain();
    runs.until_no_claim().await;
    let second = scene.enqueue("k", json!(null)).await;
    may_end.add_permits(1);
    let summary = scene.ended().await;
    assert_eq!((summary.succeeded, summary.released), (1, 0));
    assert_eq!(scene.get(first).await.state, State::Succeeded);
    assert_eq!((scene.get(second).await.state, scene.get(second).await.attempt), (State::Queued, 0));
    assert!(scene.runs.workers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_word_and_the_end_of_the_grace_stop_processes_and_release_runs() {
    for second_word in [true, false] {
        let mut scene = Scene::new();
        scene.options.grace = if second_word { LIMIT * 10 } else { Duration::from_millis(300) };
        let (pid, tidied) = (scene.path().join("pid"), scene.path().join("tidied"));
        scene.declare(&format!(
            "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"work\"\ntype = \"command\"\nrun = [\"sh\", \"-c\", 'echo $$ > {}; sleep 600']\n\
             [[kinds.k.steps]]\nphase = \"cleanup\"\nname = \"tidy\"\ntype = \"command\"\nrun = [\"sh\", \"-c\", 'echo tidied > {}']\n",
            pid.display(),
            tidied.display(),
        ));
        let id = scene.enqueue("k", json!({})).await;
        let process = scene.file("pid").await;
        scene.shutdown.drain();
        if second_word {
            scene.shutdown.now();
        }
        // Neither the process nor the grace would end in time by itself.
        let summary = scene.ended().await;
        assert!(!lives(&process) && tidied.exists());
        let run = scene.get(id).await;
        assert_eq!((run.state, run.attempt, summary.released), (State::Queued, 0, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_claimed_ahead_goes_back_with_its_attempt() {
    let mut scene = Scene::new();
    scene.options.concurrency = 1;
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    let worker = scene.worker().kind("quick", |_: RunContext, (): ()| async move { Ok(()) }).kind(
        "slow",
        move |_: RunContext, (): ()| {
            let closed = Arc::clone(&closed);
            async move {
                drop(closed.acquire().await?);
                Ok(())
            }
        },
    );
    scene.start(worker);
    // Quick runs teach the worker to claim ahead; then a slow one blocks the only slot.
    for _ in 0..20 {
        let quick = scene.enqueue("quick", json!(null)).await;
        scene.until_state(quick, State::Succeeded).await;
    }
    let slow = scene.enqueue("slow", json!(null)).await;
    scene.until_state(slow, State::Running).await;
    let mut ahead = Vec::new();
    for _ in 0..50 {
        ahead.push(scene.enqueue("quick", json!(null)).await);
    }
    scene.until_state(ahead[0], State::Running).await;
    // They are not kept from others for long: nobody starts them here.
    for id in &ahead {
        let run = scene.until(*id, |run| run.state == State::Queued).await;
        assert_eq!((run.attempt, run.crashes), (0, 0));
    }
    scene.shutdown.drain();
    gate.add_permits(1);
    let summary = scene.ended().await;
    assert_eq!(scene.get(slow).await.state, State::Succeeded);
    assert!(summary.released > 0 && summary.succeeded >= 21);
    let filter = ListFilter { limit: 100, ..ListFilter::default() };
    let left = scene.runs.list(&filter).await.unwrap().data;
    assert!(left.iter().all(|run| run.state != State::Running));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_ends_at_once() {
    let mut scene = Scene::new();
    let runs = Tampered::new(Arc::clone(&scene.runs));
    runs.silence_claims();
    let worker = scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>);
    scene.start(worker.kind("k", |_: RunContext, (): ()| async move { Ok(()) }));
    runs.until_claiming().await;
    // The claim would wait for ever.
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_can_ask_a_worker_to_drain() {
    let mut scene = Scene::new();
    let worker = scene.worker().kind("k", |_: RunContext, (): ()| async move { Ok(()) });
    let id = worker.id().clone();
    scene.start(worker);
    scene.until_listed().await;
    scene.runs.drain_worker(&id).await.unwrap();
    scene.ended().await;
}
