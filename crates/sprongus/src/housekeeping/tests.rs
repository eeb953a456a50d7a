use std::sync::{Arc, Mutex};
use std::time::Duration;

use sprongus_conformance::Model;
use sprongus_conformance::TurnedClock;
use sprongus_conformance::fixture::{Fixture, hold_of, of_kind, success};
use sprongus_core::ErrorCode;
use sprongus_core::run::NewRun;
use sprongus_core::run::event::EventType;
use sprongus_core::values::time::Timestamp;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// A store in memory, in the service that two processes' housekeepers share, and what its subscribers hear.
struct Scene {
    at: Fixture,
    service: RunsService,
    heard: Arc<Mutex<Vec<EventType>>>,
    _subscription: sprongus_core::service::Subscription,
    _both: [Housekeeping; 2],
}

fn scene() -> Scene {
    let clock = TurnedClock::new();
    let store: Arc<dyn sprongus_core::store::Store> = Arc::new(Model::new(Arc::new(clock.clone())));
    let service = RunsService::new(Arc::clone(&store));
    let heard: Arc<Mutex<Vec<EventType>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    let subscription = service.subscribe(move |event| hearing.lock().unwrap().push(event.kind));
    let both = [(); 2].map(|()| Housekeeping::start(service.clone(), Retention::default()));
    let caller = Caller::new(WorkspaceId::local(), "tester");
    Scene { at: Fixture { store, clock, caller }, service, heard, _subscription: subscription, _both: both }
}

impl Scene {
    /// Lets the housekeepers come round.
    async fn wait(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    /// Lets both clocks go on.
    async fn pass(&self, seconds: u64) {
        self.at.turn(Duration::from_secs(seconds));
        self.wait(seconds).await;
    }

    /// Lets a day go by, and the round after it.
    async fn watch_a_day(&self) {
        for _ in 0..26 {
            self.pass(3_500).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_time_changes_is_changed_once_though_nobody_claims() {
    let scene = scene();
    for at in [scene.at.clone(), scene.at.tenant("other").await] {
        let waiting = at.held(of_kind("a")).await;
        at.wait(&waiting, Some(Duration::from_secs(60))).await.unwrap();
        let lost = at.held(of_kind("a")).await;
        let expire_at: Option<Timestamp> = Some(at.now().plus(Duration::from_secs(60)));
        let expired = at.made(NewRun { expire_at, ..of_kind("a") }).await.id;
        scene.heard.lock().unwrap().clear();
        scene.wait(10).await;
        assert!(scene.heard.lock().unwrap().is_empty(), "no runs are due");
        at.turn(Duration::from_secs(61));
        scene.wait(2).await;
        let mut heard = scene.heard.lock().unwrap().clone();
        heard.sort_by_key(|kind| kind.as_str());
        assert_eq!(heard, [EventType::Failed, EventType::Failed, EventType::LeaseLost]);
        assert_eq!(at.event_types(lost.id).await.last(), Some(&EventType::LeaseLost));
        for id in [waiting.id, expired] {
            let failed = at.event_types(id).await.into_iter().filter(|kind| *kind == EventType::Failed);
            assert_eq!(failed.count(), 1);
        }
        at.cancel(lost.id).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn ended_runs_go_when_retention_says_so() {
    let scene = scene();
    let at = &scene.at;
    let mut ended = Vec::new();
    for _ in 0..RUNS + 1 {
        let hold = at.held(of_kind("a")).await;
        at.finish(&hold, success(serde_json::json!(1))).await.unwrap();
        ended.push(hold.id);
    }
    let canceled = at.made(of_kind("a")).await.id;
    at.cancel(canceled).await.unwrap();
    at.turn(DAY * 31);
    scene.watch_a_day().await;
    let runs = scene.service.for_caller(at.caller.clone());
    for id in ended {
        assert_eq!(runs.get(id).await.unwrap_err().code(), ErrorCode::NotFound);
    }
    runs.get(canceled).await.unwrap();
    at.turn(DAY * 60);
    scene.watch_a_day().await;
    assert_eq!(runs.get(canceled).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumped_deletes_nothing_until_it_has_been_so_for_a_day() {
    let scene = scene();
    let at = &scene.at;
    let hold = at.held(of_kind("a")).await;
    at.finish(&hold, success(serde_json::json!(1))).await.unwrap();
    scene.wait(780).await;
    at.turn(DAY * 40);
    // What is made by the wrong clock does not speak for it.
    at.made(of_kind("b")).await;
    let runs = scene.service.for_caller(at.caller.clone());
    for _ in 0..23 {
        scene.pass(3_600).await;
        runs.get(hold.id).await.unwrap();
    }
    // Nor does another process that starts now, beside those that watch.
    let _third = Housekeeping::start(scene.service.clone(), Retention::default());
    scene.pass(600).await;
    runs.get(hold.id).await.unwrap();
    scene.pass(3_500).await;
    scene.pass(3_500).await;
    assert_eq!(runs.get(hold.id).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn what_was_made_the_day_before_yesterday_speaks_for_the_clock_at_once() {
    let scene = scene();
    let at = &scene.at;
    let hold = at.held(of_kind("a")).await;
    at.finish(&hold, success(serde_json::json!(1))).await.unwrap();
    at.turn(DAY * 40);
    at.made(of_kind("b")).await;
    at.turn(DAY * 2);
    scene.wait(780).await;
    let runs = scene.service.for_caller(at.caller.clone());
    assert_eq!(runs.get(hold.id).await.unwrap_err().code(), ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn what_happened_is_in_the_minutes_once() {
    let scene = scene();
    for _ in 0..EVENTS + 1 {
        scene.at.made(of_kind("a")).await;
    }
    let hold = hold_of(&scene.at.take_one("w1").await);
    scene.at.finish(&hold, success(serde_json::json!(1))).await.unwrap();
    scene.wait(20).await;
    let totals = scene.service.store().totals(&scene.at.caller).await.unwrap();
    let counts = totals["a"].counts;
    assert_eq!((counts.enqueued, counts.started, counts.succeeded), (u64::from(EVENTS) + 1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn dropped_it_stops() {
    let Scene { at, service, _both, .. } = scene();
    drop(_both);
    at.made(of_kind("a")).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(service.store().totals(&at.caller).await.unwrap().is_empty());
}
