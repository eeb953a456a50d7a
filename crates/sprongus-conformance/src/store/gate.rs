//! A run that waits for a person, and the answers.

use std::time::Duration;

use serde_json::json;
use sprongus_core::run::Answer;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::values::ids::StepId;
use sprongus_core::{Caller, ErrorCode};

use crate::fixture::{Fixture, hold_of, of_kind, refused, step};

/// Waiting holds no worker and costs no attempt.
pub async fn a_run_that_waits_is_held_by_nobody_and_not_claimed(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let run = f.wait(&hold, None).await.unwrap().run;
    assert_eq!((run.state, run.attempt, run.lease_expires_at), (State::Queued, 1, None));
    assert_eq!(run.waiting_for().unwrap().step_id, StepId::of(run.id, 1, 0));
    assert_eq!(f.get(run.id).await, run);
    f.turn(Duration::from_secs(86_400));
    assert!(f.take("w", 1).await.is_empty());
    let again = f.wait(&hold, None).await.unwrap();
    assert_eq!((again.run, again.events.len()), (run, 0));
    assert_eq!(f.event_types(hold.id).await[2..], [EventType::Waiting]);
}

/// The same answer to the same step changes nothing; the other one is refused.
pub async fn an_approval_lets_the_run_go_on_and_is_given_once(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.wait(&hold, None).await.unwrap();
    let say = |answer| RunCommand::Answer {
        step_id: Some(StepId::of(hold.id, 1, 0)),
        answer,
        comment: Some("well".to_owned()),
    };
    let first = f.apply(hold.id, say(Answer::Approved)).await.unwrap();
    assert_eq!(first.run.state, State::Queued);
    let gate = first.run.gate.clone().unwrap();
    assert_eq!((gate.by.as_deref(), gate.comment.as_deref()), (Some("tester"), Some("well")));
    let again = f.apply(hold.id, say(Answer::Approved)).await.unwrap();
    assert_eq!((again.run, again.events.len()), (first.run, 0));
    assert_eq!(refused(f.apply(hold.id, say(Answer::Rejected)).await).code(), ErrorCode::IllegalTransition);
    let claimed = f.take_one("w2").await;
    assert_eq!((claimed.run.attempt, claimed.run.epoch), (1, 2));
    assert!(
        f.apply(hold.id, say(Answer::Approved)).await.unwrap().events.is_empty(),
        "still the same answer"
    );
    assert_eq!(
        f.event_types(hold.id).await[2..],
        [EventType::Waiting, EventType::Approved, EventType::Started]
    );
}

/// A rejection fails the run for good; `run.rejected` is beside the change, `run.failed` is the change.
pub async fn a_rejection_fails_the_run_for_good_with_its_reason(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.wait(&hold, None).await.unwrap();
    let error = refused(f.answer(hold.id, Answer::Rejected, Some("  ")).await);
    assert_eq!(error.code(), ErrorCode::Validation);
    let run = f.answer(hold.id, Answer::Rejected, Some("not like this")).await.unwrap().run;
    assert_eq!((run.state, run.error.as_deref()), (State::Failed, Some("rejected: not like this")));
    assert_eq!(f.event_types(hold.id).await[3..], [EventType::Rejected, EventType::Failed]);
    let claimed = f.take_one("w2").await;
    assert!(claimed.cleanup, "what it started has to be put away");
}

/// A gate nobody answers in time fails the run.
pub async fn a_gate_that_runs_out_fails_the_run(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.wait(&hold, Some(Duration::from_secs(60))).await.unwrap();
    f.turn(Duration::from_secs(59));
    assert!(f.expire().await.is_empty());
    f.turn(Duration::from_secs(1));
    assert_eq!(refused(f.answer(hold.id, Answer::Approved, None).await).code(), ErrorCode::IllegalTransition);
    let events = f.expire().await;
    assert_eq!(events.len(), 1);
    assert!(events[0].payload.as_str().contains("approval_timed_out"));
    assert_eq!(f.get(hold.id).await.state, State::Failed);
}

/// There is nothing to answer where nothing waits, or at another step.
pub async fn what_does_not_wait_is_not_answered(f: Fixture) {
    let run = f.made(of_kind("work")).await;
    let error = refused(f.answer(run.id, Answer::Approved, None).await);
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::IllegalTransition, "cannot approve: not waiting at a gate: the run is queued",)
    );
    let hold = hold_of(&f.take_one("w").await);
    let error = refused(f.answer(run.id, Answer::Rejected, Some("no")).await);
    assert_eq!(error.message(), "cannot reject: not waiting at a gate: the run is running");
    f.wait(&hold, None).await.unwrap();
    let step_id = Some(StepId::of(run.id, 1, 7));
    let elsewhere = RunCommand::Answer { step_id, answer: Answer::Approved, comment: None };
    assert_eq!(refused(f.apply(run.id, elsewhere).await).code(), ErrorCode::IllegalTransition);
    assert!(f.get(run.id).await.waiting_for().is_some());
}

/// A second gate is not met by the first one's answer.
pub async fn an_answer_does_not_meet_the_next_gate(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.wait(&hold, None).await.unwrap();
    let step_id = Some(StepId::of(hold.id, 1, 0));
    let approve = RunCommand::Answer { step_id, answer: Answer::Approved, comment: None };
    f.apply(hold.id, approve.clone()).await.unwrap();
    let hold = hold_of(&f.take_one("w2").await);
    f.wait(&hold, None).await.unwrap();
    assert_eq!(refused(f.apply(hold.id, approve).await).code(), ErrorCode::IllegalTransition);
    assert!(f.get(hold.id).await.waiting_for().is_some());
}

/// Of two people who answer at the same time one is the first; the other is answered alike if he said the same, and refused if
/// not. A run that was canceled meanwhile is not answered at all.
pub async fn two_answers_at_once_are_one_answer(f: Fixture) {
    for round in 0..20 {
        let hold = f.held(of_kind("work")).await;
        f.wait(&hold, None).await.unwrap();
        let step_id = Some(StepId::of(hold.id, 1, 0));
        let say = |answer| RunCommand::Answer { step_id, answer, comment: Some("because".to_owned()) };
        let second = if round % 2 == 0 { Answer::Approved } else { Answer::Rejected };
        let people = [("ada", Answer::Approved), ("bob", second)].map(|(name, answer)| {
            let (f, change) = (f.clone(), say(answer));
            let caller = Caller::new(f.caller.workspace.clone(), name);
            tokio::spawn(async move { f.store.apply(&caller, hold.id, change).await })
        });
        let [one, other] = people;
        let answers = [one.await.unwrap(), other.await.unwrap()];
        let seen = f.event_types(hold.id).await;
        let given =
            seen.iter().filter(|kind| matches!(kind, EventType::Approved | EventType::Rejected)).count();
        assert_eq!(given, 1, "{seen:?}");
        let by = f.get(hold.id).await.gate.and_then(|gate| gate.by).unwrap();
        if second == Answer::Approved {
            let wrote = answers.map(|answer| answer.unwrap().events.len());
            assert_eq!(wrote.iter().filter(|events| **events > 0).count(), 1, "by {by}");
        } else {
            let refusals = answers.into_iter().filter_map(|answer| answer.err());
            let codes: Vec<ErrorCode> = refusals.map(|error| error.code()).collect();
            assert_eq!(codes, [ErrorCode::IllegalTransition], "by {by}");
        }
        // Out of the next round's way.
        let _ = f.cancel(hold.id).await;
        f.take("closer", 10).await;
    }
    let hold = f.held(of_kind("work")).await;
    f.wait(&hold, None).await.unwrap();
    f.cancel(hold.id).await.unwrap();
    let error = refused(f.answer(hold.id, Answer::Approved, None).await);
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::IllegalTransition, "cannot approve: not waiting at a gate: the run is canceled")
    );
}

/// The step of the gate fails with the run that waited there, whoever or whatever ended it: in the same transaction, told before it.
pub async fn the_step_of_a_gate_ends_with_its_run(f: Fixture) {
    use EventType::{Canceled, Failed, Rejected, StepFailed};
    for (ending, expected, actor) in [
        ("rejected", vec![Rejected, StepFailed, Failed], "tester"),
        ("expired", vec![StepFailed, Failed], "system"),
        ("canceled", vec![StepFailed, Canceled], "tester"),
    ] {
        let hold = f.held(of_kind("work")).await;
        let steps = vec![step(0, "sign-off", StepStatus::Running), step(1, "other", StepStatus::Running)];
        f.record(&hold, steps, vec![]).await.unwrap();
        f.wait(&hold, Some(Duration::from_secs(60))).await.unwrap();
        let before = f.event_types(hold.id).await.len();
        f.turn(Duration::from_secs(59));
        let events = match ending {
            "rejected" => f.answer(hold.id, Answer::Rejected, Some("no")).await.unwrap().events,
            "canceled" => f.cancel(hold.id).await.unwrap().events,
            _ => {
                f.turn(Duration::from_secs(1));
                f.expire().await
            }
        };
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), expected, "{ending}");
        assert_eq!(f.events(hold.id).await[before..], events, "{ending}");
        let failed = events.iter().find(|event| event.kind == StepFailed).unwrap();
        assert_eq!((failed.step_id, &*failed.actor), (Some(StepId::of(hold.id, 1, 0)), actor), "{ending}");
        let payload = failed.payload.to_value();
        assert_eq!((&payload["name"], &payload["ordinal"]), (&json!("sign-off"), &json!(0)), "{ending}");
        let steps = f.store.steps(&f.caller, hold.id).await.unwrap();
        assert_eq!((steps[0].status, steps[0].completed_at), (StepStatus::Failed, Some(f.now())), "{ending}");
        assert_eq!(payload["durationMs"], json!(steps[0].duration().unwrap().as_millis()), "{ending}");
        assert_eq!(steps[1].status, StepStatus::Running, "{ending}: it is not the gate's");
        assert_eq!(f.get(hold.id).await.last_seq, f.events(hold.id).await.len() as u64, "{ending}");
        f.cleaned(&hold_of(&f.take_one("closer").await)).await.unwrap();
    }
}

/// Behind a gate the step has the id that its events name, under another epoch: a second gate in its place ends it all the same.
pub async fn the_step_of_a_later_gate_ends_with_its_run(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.record(&hold, vec![step(0, "first", StepStatus::Running)], vec![]).await.unwrap();
    f.wait(&hold, None).await.unwrap();
    f.answer(hold.id, Answer::Approved, None).await.unwrap();
    let hold = hold_of(&f.take_one("w2").await);
    f.record(
        &hold,
        vec![step(0, "first", StepStatus::Completed), step(1, "second", StepStatus::Running)],
        vec![],
    )
    .await
    .unwrap();
    let step_id = StepId::of(hold.id, hold.epoch, 1);
    f.apply(hold.id, RunCommand::Wait { hold: hold.clone(), step_id, timeout: None }).await.unwrap();
    f.answer(hold.id, Answer::Rejected, Some("no")).await.unwrap();
    let steps = f.store.steps(&f.caller, hold.id).await.unwrap();
    let statuses: Vec<StepStatus> = steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, [StepStatus::Completed, StepStatus::Failed]);
}
