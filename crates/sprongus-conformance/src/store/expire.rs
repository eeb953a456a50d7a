//! What time alone does.

use std::time::Duration;

use serde_json::json;
use sprongus_core::rules::SYSTEM;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::{Due, NewRun};
use sprongus_core::store::Batch;

use crate::fixture::{Fixture, numbered, of_kind};

/// A lost lease uses its attempt, counts as a crash and is due again at once.
pub async fn a_lost_lease_is_queued_again_at_once(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.turn(Duration::from_millis(29_999));
    assert!(f.expire().await.is_empty());
    f.turn(Duration::from_millis(1));
    let events = f.expire().await;
    assert_eq!((events.len(), events[0].kind), (1, EventType::LeaseLost));
    assert_eq!(events[0].actor, SYSTEM);
    let run = f.get(hold.id).await;
    assert_eq!((run.state, run.attempt, run.crashes), (State::Queued, 1, 1));
    assert!(run.run_at <= f.now());
    assert!(f.expire().await.is_empty(), "it is lost once");
    assert_eq!(f.take_one("w2").await.run.attempt, 2);
}

/// The third lost lease ends the run, whatever attempts are left, and says why.
pub async fn the_third_crash_fails_the_run_and_says_why(f: Fixture) {
    let run = f.made(NewRun { max_attempts: Some(100), ..of_kind("work") }).await;
    for crash in 1..=3 {
        assert_eq!(f.take_one("w").await.run.crashes, crash - 1);
        f.turn(Duration::from_secs(30));
        f.expire().await;
    }
    let run = f.get(run.id).await;
    assert_eq!((run.state, run.attempt, run.crashes), (State::Failed, 3, 3));
    assert!(run.error.unwrap().contains("lost its worker 3 times"));
    let last = f.events(run.id).await.pop().unwrap();
    assert_eq!(
        (last.kind, last.payload.to_value()["reason"].clone()),
        (EventType::Failed, json!("lease_lost"))
    );
    assert!(f.take_one("w").await.cleanup, "its CLEANUP is owed");
}

/// `maxAttempts` 1 never runs twice, not even after a crash.
pub async fn a_single_attempt_is_never_run_twice(f: Fixture) {
    let hold = f.held(NewRun { max_attempts: Some(1), ..of_kind("work") }).await;
    f.turn(Duration::from_secs(30));
    let claimed = f.take("w2", 1).await;
    assert!(claimed.iter().all(|one| one.cleanup), "only its CLEANUP");
    let run = f.get(hold.id).await;
    assert_eq!((run.state, run.attempt, run.crashes), (State::Failed, 1, 1));
    assert_eq!(run.error.unwrap(), "lost its worker on attempt 1 of 1");
}

/// Unstarted at its `expireAt`, a run fails; started before, it does not.
pub async fn an_unstarted_run_expires_and_a_started_one_does_not(f: Fixture) {
    let expire_at = Some(f.now().plus(Duration::from_secs(10)));
    let started = f.held(NewRun { expire_at, ..of_kind("work") }).await;
    let waiting = f.made(NewRun { expire_at, ..of_kind("work") }).await;
    let delayed = NewRun { expire_at, due: Due::After(Duration::from_secs(20)), ..of_kind("work") };
    let delayed = f.made(delayed).await;
    f.turn(Duration::from_secs(9));
    assert!(f.expire().await.is_empty());
    f.turn(Duration::from_secs(1));
    assert_eq!(f.expire().await.len(), 2);
    for id in [waiting.id, delayed.id] {
        let run = f.get(id).await;
        assert_eq!((run.state, run.attempt), (State::Failed, 0));
        let last = f.events(id).await.pop().unwrap();
        assert_eq!(last.payload.to_value()["reason"], "expired");
    }
    assert_eq!(f.get(started.id).await.state, State::Running);
    f.turn(Duration::from_secs(60));
    assert_eq!(f.take_one("w2").await.run.id, started.id, "a second attempt is no first start");
}

/// A few at a time, the longest due first.
pub async fn expiry_moves_no_more_than_it_was_asked_to(f: Fixture) {
    f.enqueue((0..5).map(|n| numbered("work", n)).collect(), Batch::EachAlone).await;
    assert_eq!(f.take("w", 2).await.len(), 2);
    f.turn(Duration::from_secs(1));
    assert_eq!(f.take("w", 3).await.len(), 3);
    f.turn(Duration::from_secs(31));
    let (moved, events) = f.store.expire(&f.caller, 2).await.unwrap();
    assert_eq!((moved, events.len()), (2, 2));
    let first = f.store.list(&f.caller, &sprongus_core::run::list::ListFilter::default()).await.unwrap().data;
    let queued = first.iter().filter(|run| run.state == State::Queued);
    assert!(queued.clone().count() == 2 && queued.into_iter().all(|run| run.crashes == 1));
    assert_eq!(f.expire().await.len(), 3);
}
