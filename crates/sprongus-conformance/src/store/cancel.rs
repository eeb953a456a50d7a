//! queued or running → canceled.

use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::{Due, NewRun};

use crate::fixture::{Fixture, of_kind, refused, success};

/// At once, for good, and once.
pub async fn a_queued_run_is_canceled_and_never_claimed(f: Fixture) {
    let run = f.made(NewRun { due: Due::After(Duration::from_secs(5)), ..of_kind("work") }).await;
    let canceled = f.cancel(run.id).await.unwrap();
    assert_eq!((canceled.run.state, canceled.run.finished_at), (State::Canceled, Some(f.now())));
    let again = f.cancel(run.id).await.unwrap();
    assert_eq!((again.run, again.events.len()), (canceled.run, 0));
    f.turn(Duration::from_secs(60));
    assert!(f.take("w", 1).await.is_empty(), "nothing was started, no CLEANUP is owed");
    assert_eq!(f.event_types(run.id).await, [EventType::Enqueued, EventType::Canceled]);
}

/// What its worker reports from then on is refused.
pub async fn a_canceled_run_takes_no_result(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let run = f.cancel(hold.id).await.unwrap().run;
    assert_eq!((run.state, run.claimed_by.as_ref()), (State::Canceled, Some(&hold.worker_id)));
    let error = refused(f.finish(&hold, success(json!(1))).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::LeaseLost, "lease lost: the run is canceled"));
    assert!(f.take("w2", 1).await.is_empty(), "its holder is still there to clean up");
}

/// The refusal names the state the run is in, and those the verb needs.
pub async fn an_ended_run_is_not_canceled_and_the_refusal_names_both_states(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.finish(&hold, success(json!(1))).await.unwrap();
    let error = refused(f.cancel(hold.id).await);
    assert_eq!(error.code(), ErrorCode::IllegalTransition);
    assert_eq!(error.message(), "cannot cancel: the run is succeeded, not queued or running");
    assert_eq!(f.events(hold.id).await.len(), 3);
}

/// However the two meet, one of them happens.
pub async fn a_cancel_and_a_success_at_once_leave_one_ending(f: Fixture) {
    for _ in 0..20 {
        let hold = f.held(of_kind("work")).await;
        let (canceler, finisher) = (f.clone(), f.clone());
        let (id, held) = (hold.id, hold.clone());
        let cancel = tokio::spawn(async move { canceler.cancel(id).await.is_ok() });
        let finish = tokio::spawn(async move { finisher.finish(&held, success(json!(1))).await.is_ok() });
        let (canceled, finished) = (cancel.await.unwrap(), finish.await.unwrap());
        assert!(canceled != finished, "exactly one");
        let seen = f.event_types(hold.id).await;
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[2] == EventType::Canceled, canceled);
    }
}
