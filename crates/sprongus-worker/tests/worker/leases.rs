//! Leases: kept alive, lost, and given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use sprongus_core::run::ClaimRequest;
use sprongus_core::run::state::State;
use sprongus_core::runs::Runs;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::{Clock, SystemClock};
use sprongus_worker::RunContext;

use crate::scene::{LIMIT, Scene, eventually, lives};
use crate::tampered::{Call, Tampered};

const SECOND: Duration = Duration::from_secs(1);

fn sleeper(scene: &Scene) -> String {
    format!(
        "[kinds.k]\ncommand = [\"sh\", \"-c\", 'echo $$ > {}; sleep 600']\n",
        scene.path().join("pid").display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_a_run_that_is_longer_than_its_lease() {
    let mut scene = Scene::new();
    scene.options.lease = 3 * SECOND;
    let runs = Tampered::new(Arc::clone(&scene.runs));
    let line = Arc::clone(&runs);
    let worker =
        scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).kind("k", move |_: RunContext, (): ()| {
            let line = Arc::clone(&line);
            async move {
                // Five thirds of the lease, if each is as long as it should be.
                eventually("the leases are renewed", || line.beats.load(Ordering::SeqCst) >= 5).await;
                Ok(())
            }
        });
    scene.start(worker);
    let started = Instant::now();
    let ids = [scene.enqueue("k", json!(null)).await, scene.enqueue("k", json!(null)).await];
    for id in ids {
        let run = scene.until_state(id, State::Succeeded).await;
        assert_eq!((run.attempt, run.crashes), (1, 0));
    }
    let beats = runs.beats.load(Ordering::SeqCst);
    let took = started.elapsed();
    assert!(took > 3 * SECOND, "longer than the lease: {took:?}");
    let most = took.as_millis() / 900 + 2;
    assert!(beats as u128 <= most, "one call for all runs, every third of the lease: {beats}");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_beat_stops_its_process_before_the_lease_ends() {
    let mut scene = Scene::new();
    scene.options.lease = Duration::from_secs(6);
    let runs = Tampered::new(Arc::clone(&scene.runs));
    let worker =
        scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).declared(scene.declaration(&sleeper(&scene)));
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    let pid = scene.file("pid").await;
    runs.cut(Call::Heartbeat);
    runs.cut(Call::Claim);
    eventually("its process is gone", || !lives(&pid)).await;
    let end = scene.get(id).await.lease_expires_at;
    assert!(end > Some(SystemClock.now()), "gone before {end:?}, when somebody else may have the run");
    assert_eq!(runs.finished.load(Ordering::SeqCst), 0, "dropped without a report");
    assert_eq!(scene.get(id).await.state, State::Running);
    scene.shutdown.drain();
    assert_eq!(scene.ended().await.lost, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_kills_the_process_and_the_report_is_refused() {
    let mut scene = Scene::new();
    scene.options.lease = LIMIT * 2;
    let runs = Tampered::new(Arc::clone(&scene.runs));
    let worker =
        scene.worker_over(Arc::clone(&runs) as Arc<dyn Runs>).declared(scene.declaration(&sleeper(&scene)));
    scene.start(worker);
    let id = scene.enqueue("k", json!({})).await;
    let pid = scene.file("pid").await;
    runs.cut(Call::Claim);
    // The claim that waits at the moment must not get the run again.
    runs.until_no_claim().await;
    // The store gives the run away: called off, closed, begun anew, and taken by somebody else.
    scene.runs.cancel(id).await.unwrap();
    scene.runs.retry(id, None).await.unwrap();
    let other = WorkerId::fresh("other");
    let request = ClaimRequest { limit: 1, ..ClaimRequest::new(other.clone(), 1) };
    let taken = scene.runs.claim(request).await.unwrap();
    assert_eq!(taken[0].run.id, id);
    // Its lease would last longer.
    eventually("it is killed at the next heartbeat", || !lives(&pid)).await;
    let run = scene.get(id).await;
    assert_eq!((run.state, run.claimed_by), (State::Running, Some(other)));
    scene.shutdown.drain();
    assert_eq!(scene.ended().await.lost, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_repeated_until_it_is_answered() {
    let mut scene = Scene::new();
    let runs = Tampered::new(Arc::clone(&scene.runs));
    runs.cut(Call::Finish);
    let worker = scene
        .worker_over(Arc::clone(&runs) as Arc<dyn Runs>)
        .kind("k", |_: RunContext, (): ()| async move { Ok(7) });
    scene.start(worker);
    let id = scene.enqueue("k", json!(null)).await;
    runs.until_refused(Call::Finish, 2).await;
    assert_eq!(scene.get(id).await.state, State::Running);
    runs.mend(Call::Finish);
    let run = scene.until_state(id, State::Succeeded).await;
    assert_eq!((run.attempt, run.crashes), (1, 0));
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cleanup_that_is_owed_is_done_by_whoever_claims_it() {
    let mut scene = Scene::new();
    let tidied = scene.path().join("tidied");
    let toml = format!(
        "[[kinds.k.steps]]\nphase = \"execution\"\nname = \"work\"\ntype = \"command\"\nrun = [\"sh\", \"-c\", 'echo worked > {}']\n\
         [[kinds.k.steps]]\nphase = \"cleanup\"\nname = \"tidy\"\ntype = \"command\"\nrun = [\"sh\", \"-c\", 'echo tidied > {}']\n",
        scene.path().join("worked").display(),
        tidied.display(),
    );
    let id = scene.enqueue("k", json!({})).await;
    // A worker takes it and dies; the run is called off, and its lease ends.
    let dead = ClaimRequest { lease: SECOND, ..ClaimRequest::new(WorkerId::fresh("dead"), 1) };
    assert_eq!(scene.runs.claim(dead).await.unwrap().len(), 1);
    scene.runs.cancel(id).await.unwrap();
    scene.declare(&toml);
    assert_eq!(scene.file("tidied").await, "tidied");
    let run = scene.until(id, |run| run.lease_expires_at.is_none()).await;
    assert_eq!(run.state, State::Canceled);
    assert!(scene.event(id, "run.cleaned").await.is_some() && !scene.path().join("worked").exists());
    scene.end().await;
}
