//! How executions end, and what comes after: failures, releases, cancels, retries.

use std::time::Duration;

use serde_json::json;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::{NewRun, Outcome, Report};
use sprongus_core::values::ids::RunId;
use sprongus_core::{ErrorCode, RunsExt};

use super::Api;
use crate::fixture::{failure, line, of_kind, refused, step, success, worker};
use sprongus_core::run::step::StepStatus;

/// A failure waits as long as it asks to, the last one is for good; each said twice counts once.
pub async fn a_failure_backs_off_until_no_attempt_is_left(api: Api) {
    let hold = api.held(NewRun { max_attempts: Some(2), ..of_kind("work") }).await;
    let retry_in = Some(Duration::from_secs(90));
    let late = Outcome::Fail { error: "boom".to_owned(), retryable: true, retry_in };
    let run = api.runs.finish_one(&hold, late.clone()).await.unwrap();
    assert_eq!((run.state, run.error.as_deref()), (State::Queued, Some("boom")));
    assert_eq!(run.run_at, api.now().plus(Duration::from_secs(90)));
    assert_eq!(api.runs.finish_one(&hold, late).await.unwrap(), run, "the same word again");
    api.clock.turn(Duration::from_secs(89));
    assert!(api.runs.claim_next(&worker("w"), 1).await.unwrap().is_empty());
    api.clock.turn(Duration::from_secs(1));
    let hold = api.runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    let run = api.runs.fail(&hold, "boom again", true).await.unwrap();
    assert_eq!((run.state, run.attempt, run.finished_at), (State::Failed, 2, Some(api.now())));
    assert_eq!(api.runs.fail(&hold, "boom again", true).await.unwrap(), run);
    let wanted = [EventType::RetryScheduled, EventType::Started, EventType::Failed];
    assert_eq!(api.event_types(hold.id).await[2..], wanted);
}

/// What was given back may be given back again, until somebody takes it.
pub async fn a_release_gives_the_attempt_back_once(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let run = api.runs.release(&hold).await.unwrap();
    assert_eq!((run.state, run.attempt, run.epoch), (State::Queued, 0, 1));
    assert_eq!(api.runs.release(&hold).await.unwrap(), run);
    api.runs.claim_next(&worker("w2"), 1).await.unwrap();
    let error = refused(api.runs.release(&hold).await);
    assert_eq!(error.code(), ErrorCode::LeaseLost);
    assert_eq!(error.message(), "lease lost: epoch 1 has passed, the run is at epoch 2");
}

/// The same result again is answered as it was, another one is a conflict. Each report of a batch has its own answer.
pub async fn a_result_is_taken_once_and_reports_are_answered_one_by_one(api: Api) {
    let [first, second, third] =
        [api.held(of_kind("work")).await, api.held(of_kind("work")).await, api.held(of_kind("work")).await];
    let nobody = RunId::new();
    let reports = vec![
        first.report(success(json!({"n": 1}))),
        Report { id: nobody, ..third.report(Outcome::Release) },
        Report { epoch: 7, ..third.report(Outcome::Release) },
        second.report(failure("boom")),
    ];
    let answers = api.runs.finish(&worker("w"), reports.clone()).await.unwrap();
    assert_eq!(answers[0].as_ref().unwrap().state, State::Succeeded);
    assert_eq!(answers[1].as_ref().unwrap_err().code(), ErrorCode::NotFound);
    assert_eq!(answers[1].as_ref().unwrap_err().message(), format!("no such run: {nobody}"));
    assert_eq!(answers[2].as_ref().unwrap_err().code(), ErrorCode::LeaseLost);
    assert_eq!(answers[3].as_ref().unwrap().state, State::Queued);
    assert_eq!(api.runs.finish(&worker("w"), reports).await.unwrap(), answers);
    let error = refused(api.runs.finish_one(&first, success(json!({"n": 2}))).await);
    assert_eq!(error.code(), ErrorCode::Conflict);
    assert!(api.runs.finish(&worker("w"), vec![]).await.unwrap().is_empty());
}

/// The holder of a canceled run is told, tidies up, and says so; all of it may be said twice.
pub async fn a_cancel_reaches_the_holder_who_cleans_up(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let run = api.runs.cancel(hold.id).await.unwrap();
    assert_eq!(api.runs.cancel(hold.id).await.unwrap(), run);
    let beat = api.runs.heartbeat(vec![hold.clone()], None).await.unwrap().remove(0).unwrap();
    assert!(beat.cancel && !beat.drain);
    api.runs
        .record(&hold, vec![step(0, "tidy", StepStatus::Completed)], vec![line("bye", api.now())])
        .await
        .unwrap();
    let error = refused(api.runs.progress(&hold, 10, None).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::LeaseLost, "lease lost: the run is canceled"));
    let cleaned = api.runs.cleaned(&hold, api.now()).await.unwrap();
    assert_eq!(cleaned.state, State::Canceled);
    assert_eq!(api.runs.cleaned(&hold, api.now()).await.unwrap(), cleaned);
    assert!(api.runs.heartbeat(vec![hold.clone()], None).await.unwrap()[0].is_err());
    let wanted = [EventType::Canceled, EventType::StepCompleted, EventType::Cleaned];
    assert_eq!(api.event_types(hold.id).await[2..], wanted);
}

/// What has succeeded is not called off, and what is not there is not either.
pub async fn what_has_ended_well_is_not_canceled(api: Api) {
    let hold = api.held(of_kind("work")).await;
    api.runs.succeed(&hold, None, None).await.unwrap();
    let error = refused(api.runs.cancel(hold.id).await);
    assert_eq!(error.code(), ErrorCode::IllegalTransition);
    let error = refused(api.runs.retry(hold.id, None).await);
    assert_eq!(error.message(), "cannot retry: the run is succeeded, not failed or canceled");
    let nobody = RunId::new();
    for error in [
        refused(api.runs.cancel(nobody).await),
        refused(api.runs.retry(nobody, None).await),
        refused(api.runs.answer(nobody, None, sprongus_core::run::Answer::Approved, None).await),
        refused(api.runs.get(nobody).await),
    ] {
        assert_eq!(
            (error.code(), error.message()),
            (ErrorCode::NotFound, &*format!("no such run: {nobody}"))
        );
    }
}

/// A budget is granted once for each wish: by epoch, or by what the run is when it is asked.
pub async fn a_retry_grants_one_budget(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let error = refused(api.runs.retry(hold.id, None).await);
    assert_eq!(error.message(), "cannot retry: the run is running, not failed or canceled");
    api.runs.fail(&hold, "boom", false).await.unwrap();
    let error = refused(api.runs.retry(hold.id, Some(0)).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::Conflict, "the run is at epoch 1, not 0"));
    let run = api.runs.retry(hold.id, Some(1)).await.unwrap();
    assert_eq!((run.state, run.attempt, run.epoch, run.error.as_deref()), (State::Queued, 0, 1, None));
    assert_eq!(api.runs.retry(hold.id, Some(1)).await.unwrap(), run, "the same wish again");
    let error = refused(api.runs.retry(hold.id, None).await);
    assert_eq!(error.message(), "cannot retry: the run is queued, not failed or canceled");
    let next = api.runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    api.runs.fail(&next, "boom", false).await.unwrap();
    assert_eq!(refused(api.runs.retry(hold.id, Some(1)).await).code(), ErrorCode::Conflict, "claimed since");
    assert_eq!(api.runs.retry(hold.id, None).await.unwrap().epoch, 2);
    let retried =
        api.event_types(hold.id).await.into_iter().filter(|kind| *kind == EventType::Retried).count();
    assert_eq!(retried, 2);
}
