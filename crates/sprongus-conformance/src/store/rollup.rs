//! The minutes that charts are drawn from.

use std::time::Duration;

use serde_json::json;
use sprongus_core::figures::rollup::{Counts, KEPT, Minute, Span, Took};
use sprongus_core::run::step::{StepReport, StepStatus};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{ErrorCode, RunsService};
use tokio::time::Instant;

use crate::fixture::{Fixture, failure, hold_of, of_kind, refused, step, success};

/// How long an event may take to come into the stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that is kept.
async fn minutes(f: &Fixture) -> Vec<Minute> {
    f.store.minutes(&f.caller, Timestamp::from_millis(0), f.now().plus(KEPT)).await.unwrap()
}

async fn sum(f: &Fixture) -> Counts {
    minutes(f).await.iter().fold(Counts::default(), |sum, minute| sum.plus(minute.counts))
}

/// Adds until so many runs have been counted as enqueued and, in all, as ended.
async fn counted(f: &Fixture, enqueued: u64, ended: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        while f.store.roll_up(&f.caller, 3).await.unwrap() > 0 {}
        let sum = sum(f).await;
        if sum.enqueued >= enqueued && sum.succeeded + sum.failed + sum.canceled >= ended {
            return;
        }
        assert!(Instant::now() < deadline, "{sum:?}, of {enqueued} enqueued and {ended} ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each event is in the minute in which it happened, under its run's kind.
pub async fn minutes_are_what_the_stream_tells(f: Fixture) {
    assert_eq!(f.store.roll_up(&f.caller, 10).await.unwrap(), 0, "nothing has happened");
    f.turn(Duration::from_millis(60_000 - u64::try_from(f.now().as_millis().rem_euclid(60_000)).unwrap()));
    let began = f.now();
    let good = f.held(of_kind("mail")).await;
    f.turn(Duration::from_millis(250));
    f.finish(&good, success(json!(1))).await.unwrap();
    let bad = f.held(of_kind("note")).await;
    f.finish(&bad, failure("no")).await.unwrap();
    f.turn(Duration::from_secs(60));
    let called_off = f.made(of_kind("mail")).await;
    f.cancel(called_off.id).await.unwrap();
    f.cancel(bad.id).await.unwrap();
    counted(&f, 3, 3).await;
    let one = |minute, kind: &str, counts| Minute { minute, kind: kind.to_owned(), counts };
    let none = Counts::default();
    let next = began.plus(Duration::from_secs(60));
    let expected = [
        one(began, "mail", Counts { enqueued: 1, started: 1, succeeded: 1, succeeded_ms: 250, ..none }),
        one(began, "note", Counts { enqueued: 1, started: 1, retried: 1, ..none }),
        one(next, "mail", Counts { enqueued: 1, canceled: 1, ..none }),
        one(next, "note", Counts { canceled: 1, ..none }),
    ];
    assert_eq!(minutes(&f).await, expected);
    let totals = f.store.totals(&f.caller).await.unwrap();
    assert_eq!(totals["mail"].counts, expected[0].counts.plus(expected[2].counts));
    assert_eq!(totals["mail"].spans[&(Span::Execution, 4)], Took { count: 1, total_ms: 250 });
    assert_eq!(totals["mail"].spans[&(Span::Wait, 0)], Took { count: 1, total_ms: 0 });
    assert_eq!(totals["note"].spans.len(), 1, "an execution that is tried again is no end");
    let within = |since, before| f.store.minutes(&f.caller, since, before);
    assert_eq!(within(began, next).await.unwrap(), expected[..2], "the end is not in it");
    assert_eq!(within(next, next.plus(Duration::from_millis(1))).await.unwrap(), expected[2..]);
}

/// Tokens are those of steps that ended, under whatever attempt: what was said twice is counted once, and what is running not yet.
pub async fn tokens_are_added_up_as_steps_end(f: Fixture) {
    let hold = f.held(of_kind("review")).await;
    let asked = |ordinal, status, tokens: (u64, u64)| StepReport {
        tokens_in: Some(tokens.0),
        tokens_out: Some(tokens.1),
        ..step(ordinal, "ask", status)
    };
    f.record(&hold, vec![asked(0, StepStatus::Running, (700, 0))], vec![]).await.unwrap();
    for _ in 0..2 {
        f.record(&hold, vec![asked(0, StepStatus::Completed, (1_000, 30))], vec![]).await.unwrap();
    }
    f.record(&hold, vec![asked(1, StepStatus::Failed, (200, 0))], vec![]).await.unwrap();
    f.finish(&hold, failure("no")).await.unwrap();
    f.turn(Duration::from_secs(60));
    let again = hold_of(&f.take_one("w2").await);
    f.record(&again, vec![asked(0, StepStatus::Completed, (1_000, 5))], vec![]).await.unwrap();
    f.record(&again, vec![asked(1, StepStatus::Running, (900, 900))], vec![]).await.unwrap();
    let other = f.held(of_kind("plain")).await;
    f.finish(&other, success(json!(1))).await.unwrap();
    counted(&f, 2, 1).await;
    let totals = f.store.totals(&f.caller).await.unwrap();
    let of = |kind: &str| (totals[kind].counts.tokens_in, totals[kind].counts.tokens_out);
    assert_eq!((of("review"), of("plain")), ((2_200, 35), (0, 0)));
    let by_minute = minutes(&f).await;
    let by_minute = by_minute.iter().filter(|minute| minute.kind == "review");
    assert_eq!(by_minute.map(|minute| minute.counts.tokens_in).collect::<Vec<_>>(), [1_200, 1_000]);
    let stats = f.store.stats(&f.caller).await.unwrap();
    assert_eq!((stats.tokens_in_last_hour, stats.tokens_out_last_hour), (2_200, 35));
    f.turn(Duration::from_secs(3_600));
    let later = f.store.stats(&f.caller).await.unwrap();
    assert_eq!((later.tokens_in_last_hour, later.tokens_out_last_hour), (0, 0));
}

/// Any number of processes may add at once.
pub async fn every_event_counts_once_however_many_count(f: Fixture) {
    for number in 0..40 {
        let hold = f.held(of_kind(if number % 2 == 0 { "mail" } else { "note" })).await;
        f.finish(&hold, success(json!(number))).await.unwrap();
    }
    let adding: Vec<_> = (0..8)
        .map(|_| {
            let f = f.clone();
            tokio::spawn(async move { counted(&f, 40, 40).await })
        })
        .collect();
    for one in adding {
        one.await.unwrap();
    }
    while f.store.roll_up(&f.caller, 1_000).await.unwrap() > 0 {}
    let sum = sum(&f).await;
    assert_eq!((sum.enqueued, sum.started, sum.succeeded), (40, 40, 40));
    let totals = f.store.totals(&f.caller).await.unwrap();
    assert_eq!((totals["mail"].counts.succeeded, totals["note"].counts.succeeded), (20, 20));
}

/// Nobody else's runs are in them, and a caller who is narrowed does not get them.
pub async fn minutes_are_of_one_workspace_and_of_all_its_projects(f: Fixture) {
    let other = f.tenant("other").await;
    f.made(of_kind("mine")).await;
    other.made(of_kind("theirs")).await;
    counted(&f, 1, 0).await;
    counted(&other, 1, 0).await;
    let kinds = |minutes: Vec<Minute>| minutes.into_iter().map(|minute| minute.kind).collect::<Vec<_>>();
    assert_eq!(kinds(minutes(&f).await), ["mine"]);
    assert_eq!(kinds(minutes(&other).await), ["theirs"]);
    let narrowed = f.narrowed(&["p"]);
    let roll_up = narrowed.store.roll_up(&narrowed.caller, 1).await;
    let minutes = narrowed.store.minutes(&narrowed.caller, f.now(), f.now()).await;
    assert_eq!(refused(narrowed.store.totals(&narrowed.caller).await).code(), ErrorCode::Forbidden);
    assert_eq!(refused(roll_up).code(), ErrorCode::Forbidden);
    assert_eq!(refused(minutes).code(), ErrorCode::Forbidden);
}

/// They are kept for eight days.
pub async fn old_minutes_are_forgotten(f: Fixture) {
    f.made(of_kind("old")).await;
    counted(&f, 1, 0).await;
    f.turn(KEPT + Duration::from_secs(60));
    f.made(of_kind("new")).await;
    f.made(of_kind("new")).await;
    counted(&f, 1, 0).await;
    let deadline = Instant::now() + PATIENCE;
    while minutes(&f).await.iter().any(|minute| minute.kind == "old") || sum(&f).await.enqueued < 2 {
        assert!(Instant::now() < deadline, "{:?}", minutes(&f).await);
        f.store.roll_up(&f.caller, 10).await.unwrap();
    }
}

/// Made anew the figures are what they were, however many make them and whoever adds to them meanwhile; those of other workspaces stay.
pub async fn figures_made_anew_are_what_they_were(f: Fixture) {
    let other = f.tenant("other").await;
    other.made(of_kind("theirs")).await;
    counted(&other, 1, 0).await;
    for number in 0..20 {
        f.turn(Duration::from_secs(20));
        let hold = f.held(of_kind(if number % 2 == 0 { "mail" } else { "note" })).await;
        f.turn(Duration::from_millis(100 * number));
        f.finish(&hold, if number % 5 == 0 { failure("no") } else { success(json!(1)) }).await.unwrap();
        if number % 5 == 0 {
            f.cancel(hold.id).await.unwrap();
        }
    }
    counted(&f, 20, 20).await;
    let figures = async || (minutes(&f).await, f.store.totals(&f.caller).await.unwrap());
    let before = figures().await;
    let service = RunsService::new(f.store.clone());
    service.rebuild_figures(&f.caller).await.unwrap();
    assert_eq!(figures().await, before);

    f.store.forget_figures(&f.caller).await.unwrap();
    assert_eq!((minutes(&f).await.len(), f.store.totals(&f.caller).await.unwrap().len()), (0, 0));
    assert_eq!(f.store.rolled_up_to(&f.caller).await.unwrap(), StreamPosition::default());
    let many = (0..6).map(|number| {
        let (f, service) = (f.clone(), service.clone());
        tokio::spawn(async move {
            match number {
                0..3 => service.rebuild_figures(&f.caller).await.unwrap(),
                _ => {
                    for _ in 0..20 {
                        f.store.roll_up(&f.caller, 7).await.unwrap();
                    }
                }
            }
        })
    });
    for one in many.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    // One of the others may have begun anew after the last one had looked.
    service.rebuild_figures(&f.caller).await.unwrap();
    assert_eq!(figures().await, before);
    assert_eq!(minutes(&other).await.len(), 1);
    let narrowed = f.narrowed(&["p"]);
    let refusal = refused(service.rebuild_figures(&narrowed.caller).await);
    assert_eq!(refusal.code(), ErrorCode::Forbidden);
}
