//! Endings that owe a CLEANUP.

use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{ClaimRequest, Cleanup};

use crate::fixture::{Fixture, hold_of, line, of_kind, refused, step, success, worker};

/// The holder of a canceled run records and cleans up under its closing lease, and nothing else.
pub async fn a_closing_lease_is_good_for_cleaning_up_alone(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.cancel(hold.id).await.unwrap();
    f.record(&hold, vec![step(0, "tidy", StepStatus::Completed)], vec![line("bye", f.now())]).await.unwrap();
    assert!(f.beat(&hold).await.unwrap().cancel);
    assert_eq!(refused(f.finish(&hold, success(json!(1))).await).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(f.wait(&hold, None).await).code(), ErrorCode::LeaseLost);
    let cleaned = f.cleaned(&hold).await.unwrap();
    assert_eq!((cleaned.run.state, cleaned.run.cleanup), (State::Canceled, Cleanup::None));
    let seen = f.event_types(hold.id).await;
    assert_eq!(seen[2..], [EventType::Canceled, EventType::StepCompleted, EventType::Cleaned]);
    let again = f.cleaned(&hold).await.unwrap();
    assert!(again.events.is_empty(), "the same word again changes nothing");
    assert_eq!(refused(f.beat(&hold).await).code(), ErrorCode::LeaseLost, "it is closed");
    f.turn(Duration::from_secs(3_600));
    assert!(f.take("w2", 1).await.is_empty());
}

/// Where nobody holds it, a claim hands it out for its CLEANUP: once, with the state as it is.
pub async fn an_owed_cleanup_is_handed_out_once_and_only_once(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.cancel(hold.id).await.unwrap();
    f.turn(Duration::from_secs(30));
    let request = ClaimRequest { lease: Duration::from_secs(3_600), ..ClaimRequest::new(worker("w2"), 5) };
    let answer = f.claim(&request).await;
    let [claimed] = &answer.claimed[..] else { panic!("one CLEANUP: {:?}", answer.claimed) };
    assert_eq!((claimed.cleanup, claimed.run.state), (true, State::Canceled));
    assert_eq!((claimed.run.epoch, claimed.run.attempt), (2, 1));
    assert_eq!(claimed.lease.lease_ms, 600_000, "ten minutes at most");
    assert!(answer.events.is_empty(), "it is no change of state");
    assert_eq!(refused(f.cleaned(&hold).await).code(), ErrorCode::LeaseLost);
    f.turn(Duration::from_secs(600));
    assert_eq!(refused(f.cleaned(&hold_of(claimed)).await).code(), ErrorCode::LeaseLost);
    assert!(f.take("w3", 1).await.is_empty(), "not a second time");
    assert_eq!(f.event_types(hold.id).await.len(), 3);
}

/// The one it was handed to says when it is done.
pub async fn a_handed_out_cleanup_is_closed_by_its_own_holder(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.cancel(hold.id).await.unwrap();
    f.turn(Duration::from_secs(30));
    let hold = hold_of(&f.take_one("w2").await);
    f.cleaned(&hold).await.unwrap();
    let event = f.events(hold.id).await.pop().unwrap();
    assert_eq!(event.kind, EventType::Cleaned);
    let payload = event.payload.to_value();
    assert_eq!((&payload["epoch"], &payload["goneAt"]), (&json!(2), &json!(f.now())));
}

/// A run that ended well owes nothing.
pub async fn a_run_that_succeeded_owes_no_cleanup(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.finish(&hold, success(json!(1))).await.unwrap();
    assert_eq!(refused(f.cleaned(&hold).await).code(), ErrorCode::LeaseLost);
    f.turn(Duration::from_secs(3_600));
    assert!(f.take("w2", 1).await.is_empty());
}
