//! A worker that cannot make work directories.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sprongus_core::error::ErrorCode;
use sprongus_core::run::state::State;
use sprongus_core::runs::Runs;
use sprongus_worker::RunContext;

use crate::scene::Scene;
use crate::tampered::Tampered;

const KINDS: &str = "[kinds.k]\ncommand = [\"true\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_make_one_refuses_to_start_and_says_why() {
    let scene = Scene::new();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), &scene.options.scratch).unwrap();
    let id = scene.enqueue("k", json!({})).await;
    let worker = scene.worker().declared(scene.declaration(KINDS));
    let error = worker.run(scene.shutdown.clone()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.message().contains("cannot create a work directory"), "{error}");
    assert!(error.hint().contains("TMPDIR"), "{}", error.hint());
    let run = scene.get(id).await;
    assert_eq!((run.state, run.attempt), (State::Queued, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_any_more_gives_back_and_goes_on_when_it_can_again() {
    let mut scene = Scene::new();
    let runs = Tampered::new(Arc::clone(&scene.runs));
    let worker = scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).declared(scene.declaration(KINDS));
    scene.start(worker);
    let first = scene.enqueue("k", json!({})).await;
    scene.until_state(first, State::Succeeded).await;
    // Something else in its place; a full disk has the same effect.
    let attempts = scene.options.scratch.join("attempts");
    fs::remove_dir_all(&attempts).unwrap();
    fs::write(&attempts, "").unwrap();
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(scene.enqueue("k", json!({})).await);
    }
    scene.until_event(ids[0], "run.released").await;
    runs.until_no_claim().await;
    // It tries whether it can again after one second, and after two more.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut released = 0;
    for id in &ids {
        let run = scene.get(*id).await;
        assert_eq!((run.state, run.attempt, run.crashes), (State::Queued, 0, 0));
        let events = scene.events(*id).await;
        released += events.iter().filter(|event| event.kind.to_string() == "run.released").count();
    }
    assert!((1..=10).contains(&released), "it stops claiming: {released}");
    fs::remove_file(&attempts).unwrap();
    for id in ids {
        assert_eq!(scene.until_state(id, State::Succeeded).await.attempt, 1);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_need_none() {
    let mut scene = Scene::new();
    fs::write(&scene.options.scratch, "").unwrap();
    let worker = scene.worker().kind("f", |_: RunContext, (): ()| async move { Ok(()) });
    scene.start(worker);
    let id = scene.enqueue("f", json!(null)).await;
    scene.until_state(id, State::Succeeded).await;
    scene.end().await;
}
