//! What a run waits for, as it is told.

use std::time::Duration;

use sprongus_core::run::list::ListFilter;
use sprongus_core::run::step::{Phase, StepReport, StepStatus, StepType};
use sprongus_core::run::waiting::{Reason, Serving, TimeCause, Waiting};
use sprongus_core::run::{Answer, Due, NewRun};
use sprongus_core::workspace::directory::WorkerInfo;
use sprongus_core::{Error, RunsExt};

use super::Api;
use crate::fixture::{of_kind, refused, step, worker};

const MINUTE: Duration = Duration::from_secs(60);

fn info(id: &str, concurrency: u32) -> WorkerInfo {
    let kinds = Some(vec!["work".parse().unwrap()]);
    let (host, version) = ("host".to_owned(), "1.2.3".to_owned());
    WorkerInfo { id: worker(id), kinds, host, pid: 77, version, concurrency, zone_data: None }
}

/// None, all busy, draining, and one that is about to take it.
pub async fn a_due_run_waits_for_a_worker_and_says_how_those_stand(api: Api) {
    let held = api.held(of_kind("work")).await;
    let since = api.now();
    let run = api.runs.enqueue_one(of_kind("work")).await.unwrap().run;
    api.clock.turn(MINUTE);
    let second = api.runs.enqueue_one(of_kind("work")).await.unwrap().run;
    let waits_for = async |workers, place| {
        let wanted = Waiting::Worker { since, workers, place: Some(place) };
        assert_eq!(api.runs.get(run.id).await.unwrap().waiting, Some(wanted));
    };
    waits_for(Serving::None, 1).await;
    api.runs.see_worker(&info("w", 1)).await.unwrap();
    waits_for(Serving::AllBusy, 1).await;
    let place = |waiting: Option<Waiting>| match waiting {
        Some(Waiting::Worker { place, .. }) => place,
        other => panic!("{other:?}"),
    };
    assert_eq!(place(api.runs.get(second.id).await.unwrap().waiting), Some(2));
    api.runs.see_worker(&info("w2", 1)).await.unwrap();
    waits_for(Serving::Available, 1).await;
    for worker_id in ["w", "w2"] {
        api.runs.drain_worker(&worker(worker_id)).await.unwrap();
    }
    waits_for(Serving::Draining, 1).await;
    assert_eq!(api.runs.get(held.id).await.unwrap().waiting, None, "it is executed");
    let page = api.runs.list(&ListFilter::default()).await.unwrap();
    let listed: Vec<_> = page.data.iter().map(|run| run.waiting.as_ref().map(Waiting::reason)).collect();
    assert_eq!(listed, [Some(Reason::Worker), Some(Reason::Worker), None]);
}

/// The first that holds is told: a paused kind is none of a delayed run's business.
pub async fn a_run_says_that_it_is_put_off_or_that_its_kind_is_paused(api: Api) {
    let held = api.held(of_kind("work")).await;
    let since = api.now();
    api.runs.fail(&held, "no luck", true).await.unwrap();
    let failed = api.runs.get(held.id).await.unwrap();
    let backoff = Waiting::Time { since, until: failed.run_at, cause: TimeCause::Backoff };
    assert_eq!(failed.waiting, Some(backoff));
    let delayed = NewRun { due: Due::After(MINUTE), ..of_kind("work") };
    let delayed = api.runs.enqueue_one(delayed).await.unwrap().run;
    api.runs.pause_kind(&"work".parse().unwrap(), true).await.unwrap();
    let delay = Waiting::Time { since, until: since.plus(MINUTE), cause: TimeCause::Delay };
    assert_eq!(api.runs.get(delayed.id).await.unwrap().waiting, Some(delay));
    api.clock.turn(MINUTE);
    let due = api.now();
    let by_now = api.runs.get(delayed.id).await.unwrap();
    assert_eq!(by_now.due_at, Some(due));
    let Some(Waiting::KindPaused { since: paused_since, by, at }) = by_now.waiting else {
        panic!("not paused")
    };
    assert_eq!((paused_since, at), (due, Some(since)));
    assert!(by.is_some(), "it is told who paused it");
    let filter = ListFilter { waiting: Some(Reason::KindPaused), ..ListFilter::default() };
    assert!(api.runs.list(&filter).await.unwrap().data.iter().any(|run| run.id == delayed.id));
    let impossible = ListFilter { states: vec![sprongus_core::run::state::State::Failed], ..filter };
    let error: Error = refused(api.runs.list(&impossible).await);
    assert_eq!(error.message(), "only queued runs can wait for kind_paused");
}

/// The inbox of approvals holds what waits, under the name of its step, and nothing that was answered.
pub async fn gates_that_wait_are_an_inbox(api: Api) {
    let held = api.held(of_kind("work")).await;
    let sign_off = StepReport {
        phase: Phase::Validation,
        kind: StepType::Gate,
        ..step(0, "sign-off", StepStatus::Running)
    };
    api.runs.record(&held, vec![sign_off], Vec::new()).await.unwrap();
    let step_id = api.runs.steps(held.id).await.unwrap()[0].id;
    api.runs.wait(&held, step_id, Some(MINUTE * 60)).await.unwrap();
    let since = api.now();
    api.clock.turn(MINUTE);
    let run = api.runs.get(held.id).await.unwrap();
    let until = Some(since.plus(MINUTE * 60));
    let wanted = Waiting::Gate { since, step_id, step: Some("sign-off".to_owned()), until };
    assert_eq!((run.due_at, run.waiting), (None, Some(wanted)));
    let inbox = api.runs.gates(&ListFilter::default()).await.unwrap();
    let [gate] = inbox.data.as_slice() else { panic!("{inbox:?}") };
    assert_eq!(
        (gate.run_id, gate.step.as_deref(), gate.since, gate.until),
        (held.id, Some("sign-off"), since, until)
    );
    let other = ListFilter { kinds: vec!["other".parse().unwrap()], ..ListFilter::default() };
    assert!(api.runs.gates(&other).await.unwrap().data.is_empty());
    api.runs.answer(held.id, Some(step_id), Answer::Approved, None).await.unwrap();
    assert!(api.runs.gates(&ListFilter::default()).await.unwrap().data.is_empty());
    let approved = api.runs.get(held.id).await.unwrap();
    assert_eq!(approved.due_at, Some(api.now()), "not due for as long as it waited");
    let claimed = api.runs.claim_next(&worker("w"), 1).await.unwrap();
    assert_eq!(claimed[0].hold().id, held.id);
}
