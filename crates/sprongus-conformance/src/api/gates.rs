//! A run that waits for a person, and the answers, with and without the name of the step.

use std::time::Duration;

use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::view::RunView;
use sprongus_core::run::{Answer, Hold};
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::{ErrorCode, RunsExt};

use super::Api;
use crate::fixture::{of_kind, refused, step, worker};

fn gate(hold: &Hold) -> StepId {
    StepId::of(hold.id, hold.epoch, 0)
}

impl Api {
    /// A run that waits at its first step.
    async fn waiting(&self) -> (RunId, StepId) {
        let hold = self.held(of_kind("work")).await;
        self.runs.wait(&hold, gate(&hold), None).await.expect("a run that waits");
        (hold.id, gate(&hold))
    }

    async fn approve(&self, id: RunId, step: Option<StepId>) -> sprongus_core::Result<RunView> {
        self.runs.answer(id, step, Answer::Approved, Some("well".to_owned())).await
    }
}

/// Waiting again under the same claim changes nothing.
pub async fn waiting_twice_is_waiting_once(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let timeout = Some(Duration::from_secs(60));
    let run = api.runs.wait(&hold, gate(&hold), timeout).await.unwrap();
    let waits = run.waiting_for.unwrap();
    assert_eq!((waits.step_id, waits.until), (gate(&hold), Some(api.now().plus(Duration::from_secs(60)))));
    assert_eq!((run.state, run.attempt), (State::Queued, 1));
    assert_eq!(api.runs.wait(&hold, gate(&hold), timeout).await.unwrap(), run);
    assert_eq!(api.event_types(hold.id).await[2..], [EventType::Waiting]);
    assert!(api.runs.claim_next(&worker("w"), 1).await.unwrap().is_empty());
    api.clock.turn(Duration::from_secs(60));
    api.runs.claim_next(&worker("w"), 1).await.unwrap();
    assert_eq!(api.runs.get(hold.id).await.unwrap().state, State::Failed, "nobody answered in time");
}

/// The same answer to the same step changes nothing, the other one is refused.
pub async fn an_answer_to_a_named_step_is_given_once(api: Api) {
    let (id, step) = api.waiting().await;
    let elsewhere = StepId::of(id, 9, 9);
    let error = refused(api.approve(id, Some(elsewhere)).await);
    assert_eq!(error.code(), ErrorCode::IllegalTransition);
    assert_eq!(error.message(), format!("cannot approve: the run is waiting at another step: {step}"));
    let run = api.approve(id, Some(step)).await.unwrap();
    assert_eq!((run.state, run.waiting_for), (State::Queued, None));
    assert_eq!(api.approve(id, Some(step)).await.unwrap(), run);
    let rejected = api.runs.answer(id, Some(step), Answer::Rejected, Some("no".to_owned())).await;
    let error = refused(rejected);
    assert_eq!(error.message(), "cannot reject: not waiting at a gate: the run is queued");
    assert_eq!(api.event_types(id).await[2..], [EventType::Waiting, EventType::Approved]);
    let event = api.runs.events(id, 3, 1).await.unwrap().remove(0);
    assert_eq!((event.actor.as_str(), event.step_id), ("tester", Some(step)));
    assert_eq!(event.payload.to_value()["comment"], "well");
}

/// Without a name it is for the gate of now, and a second one is a second wish.
pub async fn an_answer_without_a_name_is_for_the_gate_of_now(api: Api) {
    let hold = api.held(of_kind("work")).await;
    let (id, first) = (hold.id, gate(&hold));
    api.runs.record(&hold, vec![step(0, "sign-off", StepStatus::Running)], vec![]).await.unwrap();
    api.runs.wait(&hold, first, None).await.unwrap();
    api.approve(id, None).await.unwrap();
    let error = refused(api.approve(id, None).await);
    assert_eq!(error.code(), ErrorCode::IllegalTransition);
    assert_eq!(error.message(), "cannot approve: not waiting at a gate: the run is queued");
    let claimed = api.runs.claim_next(&worker("w2"), 1).await.unwrap().remove(0);
    let resume = claimed.resume.as_ref().unwrap();
    assert_eq!((resume.gate.step_id, resume.gate.answer), (first, Some(Answer::Approved)));
    assert_eq!((resume.gate.by.as_deref(), resume.gate.comment.as_deref()), (Some("tester"), Some("well")));
    assert_eq!((resume.steps[0].id, resume.steps[0].name.as_str()), (first, "sign-off"));
    let hold = claimed.hold();
    let error = refused(api.approve(id, None).await);
    assert_eq!(error.message(), "cannot approve: not waiting at a gate: the run is running");
    let second = StepId::of(id, hold.epoch, 1);
    api.runs.wait(&hold, second, None).await.unwrap();
    let error = refused(api.approve(id, Some(first)).await);
    assert_eq!(
        error.code(),
        ErrorCode::IllegalTransition,
        "an answer to the gate before is none to this one"
    );
    assert_eq!(api.approve(id, None).await.unwrap().waiting_for, None);
}

/// A rejection fails the run for good, with its reason.
pub async fn a_rejection_needs_a_reason_and_ends_the_run(api: Api) {
    let (id, step) = api.waiting().await;
    for reason in [None, Some("  ".to_owned())] {
        let error = refused(api.runs.answer(id, None, Answer::Rejected, reason).await);
        assert_eq!((error.code(), error.message()), (ErrorCode::Validation, "a rejection needs a reason"));
    }
    let reject = |step| api.runs.answer(id, step, Answer::Rejected, Some("not like this".to_owned()));
    let run = reject(None).await.unwrap();
    assert_eq!((run.state, run.error.as_deref()), (State::Failed, Some("rejected: not like this")));
    assert_eq!(reject(Some(step)).await.unwrap(), run);
    assert_eq!(
        refused(reject(None).await).message(),
        "cannot reject: not waiting at a gate: the run is failed"
    );
    assert_eq!(api.event_types(id).await[2..], [EventType::Waiting, EventType::Rejected, EventType::Failed]);
}

/// What a person writes at a gate is kept and shown, without what looks like a secret.
pub async fn a_comment_at_a_gate_is_kept_without_its_secrets(api: Api) {
    let secret = format!("{}_{}", "ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    let (id, step) = api.waiting().await;
    let words = Some(format!("the token was {secret}"));
    let run = api.runs.answer(id, Some(step), Answer::Rejected, words.clone()).await.unwrap();
    assert_eq!(run.error.as_deref(), Some("rejected: the token was [secret]"));
    // Its CLEANUP is owed, and would be claimed in place of the next run.
    let cleanup = api.runs.claim_next(&worker("w"), 1).await.unwrap().remove(0);
    api.runs.cleaned(&cleanup.hold(), api.now()).await.unwrap();
    let (other, step) = api.waiting().await;
    api.runs.answer(other, Some(step), Answer::Approved, words).await.unwrap();
    for id in [id, other] {
        let history = api.runs.events(id, 0, 100).await.unwrap();
        assert!(
            history.iter().any(|event| event.payload.as_str().contains("the token was [secret]")),
            "{id}"
        );
        assert!(!history.iter().any(|event| event.payload.as_str().contains(&secret)), "{history:?}");
    }
}
