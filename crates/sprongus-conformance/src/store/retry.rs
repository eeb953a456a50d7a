//! failed or canceled → queued, by a person's wish.

use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::{NewRun, Outcome};

use crate::fixture::{Fixture, hold_of, of_kind, refused, success};

fn for_good() -> Outcome {
    Outcome::Fail { error: "boom".to_owned(), retryable: false, retry_in: None }
}

/// A new budget; the epoch goes on.
pub async fn a_retry_starts_over_under_the_same_epoch(f: Fixture) {
    let hold = f.held(NewRun { max_attempts: Some(1), ..of_kind("work") }).await;
    f.finish(&hold, for_good()).await.unwrap();
    let run = f.retry(hold.id).await.unwrap().run;
    assert_eq!((run.state, run.attempt, run.crashes, run.epoch), (State::Queued, 0, 0, 1));
    assert_eq!((run.error, run.result, run.finished_at), (None, None, None));
    assert_eq!(f.get(hold.id).await.state, State::Queued);
    let claimed = f.take_one("w2").await;
    assert_eq!((claimed.run.attempt, claimed.run.epoch, claimed.cleanup), (1, 2, false));
    assert_eq!(f.event_types(hold.id).await[3], EventType::Retried);
    assert_eq!(refused(f.finish(&hold, success(json!(1))).await).code(), ErrorCode::LeaseLost);
}

/// `ifEpoch`: a repeat is told from a second wish, and neither grants a second budget.
pub async fn a_retry_at_an_epoch_is_granted_once(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.finish(&hold, for_good()).await.unwrap();
    let retry = |epoch| f.apply(hold.id, RunCommand::Retry { if_epoch: Some(epoch) });
    assert_eq!(refused(retry(0).await).code(), ErrorCode::Conflict);
    let first = retry(1).await.unwrap();
    let again = retry(1).await.unwrap();
    assert_eq!((&again.run, again.events.len()), (&first.run, 0));
    let error = refused(f.retry(hold.id).await);
    assert_eq!(error.code(), ErrorCode::IllegalTransition, "without an epoch it is a second wish");
    assert_eq!(error.message(), "cannot retry: the run is queued, not failed or canceled");
    let next = hold_of(&f.take_one("w").await);
    assert_eq!(refused(retry(1).await).code(), ErrorCode::IllegalTransition);
    f.finish(&next, for_good()).await.unwrap();
    assert_eq!(refused(retry(1).await).code(), ErrorCode::Conflict, "claimed since");
}

/// A canceled run comes back; its old holder does not.
pub async fn a_canceled_run_may_be_retried(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.cancel(hold.id).await.unwrap();
    f.retry(hold.id).await.unwrap();
    assert_eq!(refused(f.beat(&hold).await).code(), ErrorCode::LeaseLost);
    assert_eq!(refused(f.cleaned(&hold).await).code(), ErrorCode::LeaseLost);
    let claimed = f.take_one("w2").await;
    assert_eq!((claimed.run.state, claimed.cleanup), (State::Running, false));
}

/// What runs or has succeeded is not retried.
pub async fn a_run_that_has_not_failed_is_not_retried(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let error = refused(f.retry(hold.id).await);
    assert_eq!(error.message(), "cannot retry: the run is running, not failed or canceled");
    f.finish(&hold, success(json!(1))).await.unwrap();
    let error = refused(f.retry(hold.id).await);
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::IllegalTransition, "cannot retry: the run is succeeded, not failed or canceled",)
    );
}

/// An expiry was about the first start; a retry is not held to it.
pub async fn a_retried_run_does_not_expire_at_once(f: Fixture) {
    let expire_at = Some(f.now().plus(Duration::from_secs(5)));
    let run = f.made(NewRun { expire_at, ..of_kind("work") }).await;
    f.turn(Duration::from_secs(5));
    assert_eq!(f.expire().await.len(), 1);
    f.retry(run.id).await.unwrap();
    assert_eq!(f.take_one("w").await.run.id, run.id);
}
