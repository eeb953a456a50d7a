//! A run's whole life, one call at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sprongus_core::run::event::EventType;
use sprongus_core::run::retention::{KindRetention, PruneMode, Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, Enqueue};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::StepId;
use sprongus_core::values::time::Clock;
use sprongus_core::{ErrorCode, RunsExt};

use super::Api;
use crate::fixture::{line, numbered, of_kind, refused, step, worker};

/// From nothing over a failure and a gate to its result.
pub async fn a_run_lives_its_whole_life(api: Api) {
    let made = api.runs.enqueue_one(of_kind("work")).await.unwrap();
    assert_eq!(made.outcome, Enqueue::Created);
    let id = made.run.id;
    let hold = api.runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    assert_eq!(api.runs.fail(&hold, "boom", true).await.unwrap().state, State::Queued);
    api.clock.turn(Duration::from_secs(2));
    let hold = api.runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    api.runs.progress(&hold, 50, Some("half".to_owned())).await.unwrap();
    let report = vec![step(0, "gate", StepStatus::Running)];
    api.runs.record(&hold, report, vec![line("hello", api.clock.now())]).await.unwrap();
    let step_id = StepId::of(id, hold.epoch, 0);
    assert!(api.runs.wait(&hold, step_id, None).await.unwrap().waiting_for.is_some());
    api.runs.answer(id, Some(step_id), Answer::Approved, None).await.unwrap();
    let claimed = api.runs.claim_next(&worker("w"), 1).await.unwrap().remove(0);
    assert_eq!(claimed.resume.as_ref().unwrap().steps[0].id, step_id);
    let hold = claimed.hold();
    assert!(!api.runs.heartbeat(vec![hold.clone()], None).await.unwrap()[0].as_ref().unwrap().cancel);
    let run = api.runs.succeed(&hold, Some(json!({"n": 1}).into()), Some("ref".to_owned())).await.unwrap();
    assert_eq!((run.state, run.attempt), (State::Succeeded, 2));
    assert_eq!(api.runs.get(id).await.unwrap(), run);
    let seen: Vec<_> = api.runs.events(id, 0, 100).await.unwrap().iter().map(|event| event.kind).collect();
    use EventType::*;
    let wanted = [
        Enqueued,
        Started,
        RetryScheduled,
        Started,
        Progressed,
        StepStarted,
        Waiting,
        Approved,
        Started,
        Succeeded,
    ];
    assert_eq!(seen, wanted);
    assert_eq!(api.runs.steps(id).await.unwrap().len(), 1);
    assert_eq!(api.runs.logs(id, 0, 100).await.unwrap()[0].line.text, "hello");
}

/// Called off, cleaned up, wanted again, given back.
pub async fn a_run_is_canceled_cleaned_retried_and_released(api: Api) {
    let id = api.runs.enqueue_one(of_kind("work")).await.unwrap().run.id;
    let hold = api.runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    assert_eq!(api.runs.cancel(id).await.unwrap().state, State::Canceled);
    assert!(api.runs.heartbeat(vec![hold.clone()], None).await.unwrap()[0].as_ref().unwrap().cancel);
    let error = refused(api.runs.succeed(&hold, None, None).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::LeaseLost, "lease lost: the run is canceled"));
    api.runs.cleaned(&hold, api.clock.now()).await.unwrap();
    assert_eq!(api.runs.retry(id, Some(1)).await.unwrap().state, State::Queued);
    let hold = api.runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    assert_eq!(api.runs.release(&hold).await.unwrap().attempt, 0);
    let error = refused(api.runs.retry(id, None).await);
    assert_eq!(error.message(), "cannot retry: the run is queued, not failed or canceled");
}

/// Retention goes on until nothing is left to take.
pub async fn pruning_takes_everything_that_is_due(api: Api) {
    for _ in 0..2 {
        api.runs.enqueue((0..600).map(|n| numbered("work", n)).collect(), Batch::EachAlone).await.unwrap();
    }
    let taken = api.runs.claim_next(&worker("w"), 1_000).await.unwrap();
    let success = sprongus_core::run::Outcome::Succeed { result: None, output_ref: None };
    let reports = taken.iter().map(|one| one.hold().report(success.clone()));
    let answers = api.runs.finish(&worker("w"), reports.collect()).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
    api.clock.turn(Duration::from_secs(31 * 86_400));
    for (mode, wanted) in
        [(PruneMode::DryRun, 1_000), (PruneMode::Confirmed, 1_000), (PruneMode::Confirmed, 0)]
    {
        let pruned = api.runs.prune(&Retention::default(), mode).await.unwrap();
        assert_eq!(pruned.total(), wanted);
    }
}

/// A clock that jumped takes nothing unless somebody has looked at it.
pub async fn pruning_doubts_a_clock_that_jumped(api: Api) {
    const DAY: Duration = Duration::from_secs(86_400);
    let id = api.runs.enqueue_one(of_kind("work")).await.unwrap().run.id;
    api.runs.cancel(id).await.unwrap();
    api.clock.turn(DAY * 50);
    let retention = Retention::default();
    let prune = |mode| api.runs.prune(&retention, mode);
    assert_eq!(prune(PruneMode::Checked).await.unwrap().total(), 0, "there is nothing to doubt it for");
    api.clock.turn(DAY * 50);
    // What is made by the wrong clock does not speak for it.
    api.runs.enqueue_one(of_kind("work")).await.unwrap();
    let error = refused(prune(PruneMode::Checked).await);
    assert_eq!(error.code(), ErrorCode::Conflict);
    assert!(error.message().contains("100 days after the last run"), "{error}");
    assert!(error.hint().contains("--yes") && error.hint().contains("confirmClock"), "{}", error.hint());
    assert_eq!(prune(PruneMode::DryRun).await.unwrap().total(), 1, "and it is still there");
    api.clock.turn(DAY * 2);
    assert_eq!(prune(PruneMode::Checked).await.unwrap().total(), 1, "the days go on");
    let id = api.runs.enqueue_one(of_kind("work")).await.unwrap().run.id;
    api.runs.cancel(id).await.unwrap();
    api.clock.turn(DAY * 100);
    assert_eq!(prune(PruneMode::Confirmed).await.unwrap().total(), 1);
}

/// Limits of kinds are taken along, and what went is told kind by kind.
pub async fn pruning_knows_the_limits_of_kinds(api: Api) {
    for kind in ["mail", "note"] {
        let id = api.runs.enqueue_one(of_kind(kind)).await.unwrap().run.id;
        api.runs.cancel(id).await.unwrap();
    }
    api.clock.turn(Duration::from_secs(2 * 86_400));
    let own = KindRetention { succeeded: None, failed: Some(Duration::from_secs(86_400)) };
    let kinds = BTreeMap::from([("mail".parse().unwrap(), own)]);
    let retention = Retention { kinds, ..Retention::default() };
    let mut gone = Pruned::default();
    gone.add("mail", State::Canceled, 1);
    for mode in [PruneMode::DryRun, PruneMode::Checked] {
        assert_eq!(api.runs.prune(&retention, mode).await.unwrap(), gone);
    }
    assert_eq!(api.runs.prune(&retention, PruneMode::Checked).await.unwrap(), Pruned::default());
}
