//! Progress, steps and lines of a held run.

use std::time::Duration;

use sprongus_core::ErrorCode;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::EventType;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::step::{StepReport, StepStatus};
use sprongus_core::run::{Hold, Outcome};
use sprongus_core::values::ids::StepId;

use crate::fixture::{Fixture, hold_of, line, of_kind, refused, step};

/// A step's statuses are its events; the same report again is none.
pub async fn a_steps_statuses_are_told_once_each(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    for status in [StepStatus::Pending, StepStatus::Running, StepStatus::Running, StepStatus::Completed] {
        f.turn(Duration::from_secs(1));
        f.record(&hold, vec![step(0, "build", status)], vec![]).await.unwrap();
    }
    let output = Some("done".to_owned());
    let report = StepReport { output, tokens_in: Some(5), ..step(0, "build", StepStatus::Completed) };
    f.record(&hold, vec![report, step(1, "test", StepStatus::Skipped)], vec![]).await.unwrap();
    let seen = f.event_types(hold.id).await;
    assert_eq!(seen[2..], [EventType::StepStarted, EventType::StepCompleted, EventType::StepSkipped]);
    let steps = f.store.steps(&f.caller, hold.id).await.unwrap();
    assert_eq!(steps.len(), 2);
    assert_eq!((steps[0].id, steps[0].output.as_deref()), (StepId::of(hold.id, 1, 0), Some("done")));
    assert_eq!((steps[0].tokens_in, steps[0].duration()), (Some(5), Some(Duration::from_secs(2))));
    assert!(f.events(hold.id).await[2..4].iter().all(|event| event.step_id == Some(steps[0].id)));
}

/// Steps are keyed by epoch and shown by attempt: a released execution's rows stay beside the next one's.
pub async fn every_execution_has_its_own_steps(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.record(&hold, vec![step(0, "a", StepStatus::Completed), step(1, "b", StepStatus::Running)], vec![])
        .await
        .unwrap();
    f.finish(&hold, Outcome::Release).await.unwrap();
    let hold = hold_of(&f.take_one("w2").await);
    f.record(&hold, vec![step(0, "a", StepStatus::Running)], vec![]).await.unwrap();
    let steps = f.store.steps(&f.caller, hold.id).await.unwrap();
    let shown: Vec<_> = steps.iter().map(|step| (step.attempt, step.epoch, step.ordinal)).collect();
    assert_eq!(shown, [(1, 1, 0), (1, 1, 1), (1, 2, 0)]);
}

/// A gate behind a released execution carries on its own execution's rows and leaves the other's alone.
pub async fn a_gate_carries_the_steps_of_its_own_execution_alone(f: Fixture) {
    let first = f.held(of_kind("work")).await;
    f.record(&first, vec![step(0, "a", StepStatus::Completed)], vec![]).await.unwrap();
    f.finish(&first, Outcome::Release).await.unwrap();
    let second = hold_of(&f.take_one("w2").await);
    f.record(&second, vec![step(0, "a", StepStatus::Completed)], vec![]).await.unwrap();
    f.wait(&second, None).await.unwrap();
    f.answer(second.id, sprongus_core::run::Answer::Approved, None).await.unwrap();
    let claimed = f.take_one("w3").await;
    let carried: Vec<_> = claimed.resume.unwrap().steps.iter().map(|step| (step.id, step.epoch)).collect();
    assert_eq!(carried, [(StepId::of(second.id, 2, 0), 3)]);
    let steps = f.store.steps(&f.caller, second.id).await.unwrap();
    assert_eq!(steps.iter().map(|step| step.epoch).collect::<Vec<_>>(), [1, 3]);
}

/// Lines are numbered 1, 2, 3 over all attempts, and read from where one was.
pub async fn lines_are_numbered_without_a_gap_over_all_attempts(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let say = |texts: &[&str]| texts.iter().map(|text| line(text, f.now())).collect::<Vec<_>>();
    f.record(&hold, vec![], say(&["one", "two"])).await.unwrap();
    f.record(&hold, vec![], vec![]).await.unwrap();
    f.record(&hold, vec![], say(&["three \u{1f980} \u{1b}[2J"])).await.unwrap();
    f.turn(Duration::from_secs(30));
    let hold = hold_of(&f.take_one("w2").await);
    f.record(&hold, vec![], say(&["four"])).await.unwrap();
    let lines = f.store.logs(&f.caller, hold.id, 0, 1_000).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(lines.iter().map(|line| line.attempt).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert_eq!(lines[2].line.text, "three \u{1f980} \u{1b}[2J");
    let rest = f.store.logs(&f.caller, hold.id, 1, 1_000).await.unwrap();
    assert_eq!(rest, lines[1..]);
    assert_eq!(f.events(hold.id).await.len(), 4, "lines are no events");
}

/// Output is cut at 64 KiB, a line at 16 KiB.
pub async fn what_is_too_long_is_cut(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let output = Some("x".repeat(100_000));
    let report = StepReport { output, ..step(0, "big", StepStatus::Completed) };
    f.record(&hold, vec![report], vec![line(&"y".repeat(20_000), f.now())]).await.unwrap();
    let steps = f.store.steps(&f.caller, hold.id).await.unwrap();
    assert_eq!(steps[0].output.as_ref().unwrap().len(), 64 * 1024);
    let lines = f.store.logs(&f.caller, hold.id, 0, 10).await.unwrap();
    assert_eq!(lines[0].line.text.len(), 16 * 1024);
}

/// Progress is told when it changes, and not over a hundred.
pub async fn progress_is_told_when_it_changes(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let progress = |percent, message: Option<&str>| {
        let message = message.map(str::to_owned);
        f.apply(hold.id, RunCommand::Progress { hold: hold.clone(), percent, message })
    };
    assert_eq!(progress(40, None).await.unwrap().run.progress, 40);
    assert!(progress(40, None).await.unwrap().events.is_empty());
    assert_eq!(progress(40, Some("half way")).await.unwrap().events.len(), 1);
    assert_eq!(refused(progress(101, None).await).code(), ErrorCode::Validation);
    assert_eq!(f.get(hold.id).await.progress, 40);
}

/// S4: nothing is recorded by one who does not hold the run.
pub async fn a_stale_holder_records_nothing(f: Fixture) {
    let old = f.held(of_kind("work")).await;
    f.turn(Duration::from_secs(30));
    let new = hold_of(&f.take_one("w2").await);
    let stranger = Hold { worker_id: old.worker_id.clone(), ..new.clone() };
    for hold in [&old, &stranger] {
        let answer = f.record(hold, vec![step(0, "x", StepStatus::Running)], vec![line("x", f.now())]).await;
        assert_eq!(refused(answer).code(), ErrorCode::LeaseLost);
        let change = RunCommand::Progress { hold: hold.clone(), percent: 9, message: None };
        assert_eq!(refused(f.apply(hold.id, change).await).code(), ErrorCode::LeaseLost);
    }
    assert!(f.store.steps(&f.caller, new.id).await.unwrap().is_empty());
    assert!(f.store.logs(&f.caller, new.id, 0, 10).await.unwrap().is_empty());
}

/// What is new since one looked, with how far that is; and nothing twice.
pub async fn news_is_what_was_added_since(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.record(&hold, vec![], vec![line("one", f.now())]).await.unwrap();
    let news = f.store.news(&f.caller, hold.id, ReadSoFar::default()).await.unwrap();
    assert_eq!((news.events.len(), news.lines.len()), (2, 1));
    assert_eq!(news.read, ReadSoFar { events: 2, lines: 1 });
    assert_eq!(news.run, f.get(hold.id).await);
    let nothing = f.store.news(&f.caller, hold.id, news.read).await.unwrap();
    assert!(nothing.events.is_empty() && nothing.lines.is_empty());
    assert_eq!(nothing.read, news.read);
    let some = f.store.events(&f.caller, hold.id, 0, 1).await.unwrap();
    assert_eq!(some, news.events[..1], "a limit is a limit");
}
