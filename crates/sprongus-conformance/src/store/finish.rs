//! running → succeeded, failed or queued.

use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{StepReport, StepStatus};
use sprongus_core::run::{Hold, NewRun, Outcome, Report};
use sprongus_core::store::DrawnReport;

use crate::fixture::{Fixture, failure, hold_of, line, numbered, of_kind, refused, step, success, worker};

/// S2.
pub async fn a_success_ends_the_run_with_its_result(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.turn(Duration::from_secs(7));
    let output_ref = Some("s3://bucket/key".to_owned());
    let outcome = Outcome::Succeed { result: Some(json!({"n": 1}).into()), output_ref: output_ref.clone() };
    let applied = f.finish(&hold, outcome).await.unwrap();
    let run = f.get(hold.id).await;
    assert_eq!(run, applied.run);
    assert_eq!((run.state, run.progress, run.finished_at), (State::Succeeded, 100, Some(f.now())));
    assert_eq!((run.result.unwrap().as_str(), run.output_ref), (r#"{"n":1}"#, output_ref));
    assert_eq!(f.event_types(hold.id).await, [EventType::Enqueued, EventType::Started, EventType::Succeeded]);
    assert!(f.take("w", 1).await.is_empty());
}

/// A report whose answer was lost is made again; another one is refused.
pub async fn the_same_success_again_is_answered_alike_and_another_is_a_conflict(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let first = f.finish(&hold, success(json!({"a": 1, "b": 2}))).await.unwrap();
    f.turn(Duration::from_secs(3_600));
    let again = f.finish(&hold, success(json!({"b": 2, "a": 1.0}))).await.unwrap();
    assert_eq!((&again.run, again.events.len()), (&first.run, 0));
    let other = refused(f.finish(&hold, success(json!(2))).await);
    assert_eq!(other.code(), ErrorCode::Conflict);
    let failed = refused(f.finish(&hold, failure("no")).await);
    assert_eq!((failed.code(), failed.message()), (ErrorCode::LeaseLost, "lease lost: the run is succeeded"));
    assert_eq!(f.get(hold.id).await, first.run);
}

/// A retryable failure waits and is tried again, `maxAttempts` times in all.
pub async fn a_failure_is_tried_again_until_its_attempts_are_used_up(f: Fixture) {
    let run = f.made(NewRun { max_attempts: Some(2), ..of_kind("work") }).await;
    let hold = hold_of(&f.take_one("w").await);
    let retry_in = Some(Duration::from_secs(20));
    let outcome = Outcome::Fail { error: "boom".to_owned(), retryable: true, retry_in };
    let queued = f.finish(&hold, outcome).await.unwrap().run;
    assert_eq!((queued.state, queued.attempt, queued.error.as_deref()), (State::Queued, 1, Some("boom")));
    assert_eq!(queued.run_at, f.now().plus(Duration::from_secs(20)));
    assert!(f.take("w", 1).await.is_empty(), "not before the wait is over");
    f.turn(Duration::from_secs(20));
    let hold = hold_of(&f.take_one("w").await);
    assert_eq!(f.finish(&hold, failure("boom again")).await.unwrap().run.state, State::Failed);
    let seen = f.event_types(run.id).await;
    let wanted = [EventType::RetryScheduled, EventType::Started, EventType::Failed];
    assert_eq!(seen[2..], wanted);
    assert!(f.take("w", 1).await.is_empty(), "a failure reported owes no CLEANUP");
}

/// Without a wait of its own the backoff is drawn by the caller: base 2 s, factor 2, full jitter.
pub async fn a_backoff_is_what_was_drawn(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let outcome = Outcome::Fail { error: "boom".to_owned(), retryable: true, retry_in: None };
    let run = f.finish(&hold, outcome).await.unwrap().run;
    assert_eq!(run.run_at, f.now().plus(Duration::from_secs(1)), "half of two seconds");
}

/// What cannot be helped is not tried again; and one attempt is one.
pub async fn a_failure_for_good_or_a_single_attempt_ends_the_run(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let outcome = Outcome::Fail { error: "bad input".to_owned(), retryable: false, retry_in: None };
    assert_eq!(f.finish(&hold, outcome).await.unwrap().run.state, State::Failed);
    let hold = f.held(NewRun { max_attempts: Some(1), ..of_kind("work") }).await;
    assert_eq!(f.finish(&hold, failure("boom")).await.unwrap().run.state, State::Failed);
}

/// A release costs nothing and is due at once.
pub async fn a_release_gives_the_attempt_back(f: Fixture) {
    let hold = f.held(NewRun { max_attempts: Some(1), ..of_kind("work") }).await;
    let run = f.finish(&hold, Outcome::Release).await.unwrap().run;
    assert_eq!((run.state, run.attempt, run.epoch, run.claimed_by), (State::Queued, 0, 1, None));
    let claimed = f.take_one("w2").await;
    assert_eq!((claimed.run.attempt, claimed.run.epoch), (1, 2));
    assert_eq!(f.event_types(hold.id).await[2], EventType::Released);
}

/// The same report by the same epoch, not claimed since, changes nothing; once claimed, it is lost.
pub async fn a_repeated_fail_or_release_is_known_until_the_next_claim(f: Fixture) {
    for outcome in [failure("boom"), Outcome::Release] {
        let hold = f.held(of_kind("work")).await;
        let first = f.finish(&hold, outcome.clone()).await.unwrap();
        let again = f.finish(&hold, outcome.clone()).await.unwrap();
        assert_eq!((&again.run, again.events.len()), (&first.run, 0));
        let other = if outcome == Outcome::Release { failure("boom") } else { failure("bang") };
        assert_eq!(refused(f.finish(&hold, other).await).code(), ErrorCode::LeaseLost);
        let next = f.take_one("w1").await;
        let error = refused(f.finish(&hold, outcome).await);
        assert_eq!(error.code(), ErrorCode::LeaseLost);
        f.finish(&hold_of(&next), success(json!(1))).await.unwrap();
    }
}

/// S4.
pub async fn a_report_is_taken_only_under_the_live_lease_of_its_own_epoch(f: Fixture) {
    let old = f.held(of_kind("work")).await;
    f.turn(Duration::from_secs(30));
    for outcome in [success(json!(1)), failure("late"), Outcome::Release] {
        assert_eq!(
            refused(f.finish(&old, outcome).await).code(),
            ErrorCode::LeaseLost,
            "late, though unclaimed"
        );
    }
    let new = hold_of(&f.take_one("w1").await);
    let before = (f.get(old.id).await, f.events(old.id).await);
    let stranger = Hold { worker_id: worker("stranger"), ..new.clone() };
    let ahead = Hold { epoch: new.epoch + 1, ..new.clone() };
    for hold in [&old, &stranger, &ahead] {
        for outcome in [success(json!(1)), failure("stale"), Outcome::Release] {
            let error = refused(f.finish(hold, outcome).await);
            assert_eq!(error.code(), ErrorCode::LeaseLost);
            assert!(error.message().starts_with("lease lost: "), "{error}");
        }
    }
    assert_eq!((f.get(old.id).await, f.events(old.id).await), before, "nothing changed");
    f.finish(&new, success(json!(2))).await.unwrap();
}

/// S6: each report of a batch has its own answer, a repeat within the batch too.
pub async fn one_bad_report_never_fails_its_neighbours(f: Fixture) {
    let mut holds = Vec::new();
    for n in 0..3 {
        holds.push(f.held(numbered("work", n)).await);
    }
    f.cancel(holds[1].id).await.unwrap();
    let report = |hold: &Hold| hold.report(success(json!(1)));
    let mut reports: Vec<_> = holds.iter().map(report).collect();
    reports.push(reports[0].clone());
    reports.push(Report { id: sprongus_core::values::ids::RunId::new(), ..reports[0].clone() });
    let drawn = reports.into_iter().map(|report| DrawnReport { report, draw: 0.5 }).collect();
    let answers = f.store.finish(&f.caller, &holds[0].worker_id, drawn).await.unwrap();
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().err().map(|error| error.code())).collect();
    assert_eq!(codes, [None, Some(ErrorCode::LeaseLost), None, None, Some(ErrorCode::NotFound)]);
    assert_eq!(f.events(holds[0].id).await.len(), 3, "the repeat wrote nothing");
}

/// A NUL, which not every database can keep, is kept by none.
pub async fn a_nul_becomes_a_replacement_character(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let report = StepReport { output: Some("o\0o".to_owned()), ..step(0, "x", StepStatus::Completed) };
    f.record(&hold, vec![report], vec![line("l\0l", f.now())]).await.unwrap();
    let steps = f.store.steps(&f.caller, hold.id).await.unwrap();
    assert_eq!(steps[0].output.as_deref(), Some("o\u{fffd}o"));
    let lines = f.store.logs(&f.caller, hold.id, 0, 9).await.unwrap();
    assert_eq!(lines[0].line.text, "l\u{fffd}l");
    let error = f.finish(&hold, failure("e\0e")).await.unwrap().run.error;
    assert_eq!(error.as_deref(), Some("e\u{fffd}e"));
    assert!(f.finish(&hold, failure("e\0e")).await.unwrap().events.is_empty(), "a repeat is known");
}

/// An error is kept up to 16 KiB.
pub async fn a_long_error_is_cut_at_16_kib(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let long = "é".repeat(20_000);
    let error = f.finish(&hold, failure(&long)).await.unwrap().run.error.unwrap();
    assert!(error.len() <= 16 * 1024 && error.len() > 16 * 1024 - 8, "{}", error.len());
    assert!(error.ends_with("bytes in all]"));
    assert!(
        f.finish(&hold, failure(&long)).await.unwrap().events.is_empty(),
        "a repeat is known by its whole text"
    );
}
