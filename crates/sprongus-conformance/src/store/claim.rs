//! queued → running.

use std::time::Duration;

use sprongus_core::ErrorCode;
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{ClaimRequest, Due, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::names::ClaimId;

use crate::fixture::{Fixture, bare, hold_of, numbered, of_kind, refused, step, success, worker};
use sprongus_core::run::Answer;

/// S3.
pub async fn two_claimers_never_hold_the_same_run(f: Fixture) {
    let new = (0..500).map(|n| numbered("work", n)).collect();
    f.enqueue(new, Batch::EachAlone).await;
    let claimers = (0..8).map(|n| {
        let f = f.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = f.take(&format!("w{n}"), 7).await;
                assert!(claimed.len() <= 7, "a claim gives its limit at most");
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|one| (one.run.id, one.run.epoch)));
            }
        })
    });
    let mut all = Vec::new();
    for claimer in claimers.collect::<Vec<_>>() {
        all.extend(claimer.await.unwrap());
    }
    assert_eq!(all.len(), 500);
    assert!(all.iter().all(|(_, epoch)| *epoch == 1));
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 500, "a run was given twice");
}

/// S2.
pub async fn a_claim_starts_the_run_under_a_new_epoch(f: Fixture) {
    let run = f.made(of_kind("work")).await;
    f.turn(Duration::from_secs(1));
    let request = ClaimRequest { lease: Duration::from_secs(45), ..ClaimRequest::new(worker("w1"), 1) };
    let answer = f.claim(&request).await;
    let claimed = &answer.claimed[0];
    assert_eq!((claimed.run.state, claimed.run.attempt, claimed.run.epoch), (State::Running, 1, 1));
    assert_eq!((claimed.lease.epoch, claimed.lease.lease_ms), (1, 45_000));
    assert_eq!(claimed.lease.expires_at, f.now().plus(Duration::from_secs(45)));
    assert_eq!(claimed.run.started_at, Some(f.now()));
    assert!(!claimed.cleanup && claimed.resume.is_none());
    assert_eq!(f.get(run.id).await, claimed.run);
    assert_eq!(answer.events, f.events(run.id).await[1..]);
    assert_eq!(f.event_types(run.id).await, [EventType::Enqueued, EventType::Started]);
}

/// S3.
pub async fn a_claim_never_gives_more_than_its_limit(f: Fixture) {
    f.enqueue((0..40).map(|n| numbered(["a", "b", "c"][n % 3], n)).collect(), Batch::EachAlone).await;
    for limit in [1, 2, 7, 30] {
        assert_eq!(f.take("w", limit).await.len(), usize::try_from(limit).unwrap());
    }
    assert!(f.take("w", 5).await.is_empty());
}

/// Higher priority first, then the earlier due, then the smaller id.
pub async fn runs_are_claimed_by_priority_then_due_time_then_id(f: Fixture) {
    let of = |priority: u32, delay: u64, kind: &str| NewRun {
        priority: Some(priority),
        due: Due::After(Duration::from_secs(delay)),
        ..of_kind(kind)
    };
    let asked = [of(0, 3, "a"), of(0, 1, "b"), of(9, 5, "a"), of(0, 1, "a"), of(100, 9, "b"), of(9, 2, "c")];
    let mut runs = Vec::new();
    for new in asked {
        runs.push(f.made(new).await);
    }
    f.turn(Duration::from_secs(10));
    let order: Vec<_> = f.take("w", 10).await.iter().map(|one| one.run.id).collect();
    let wanted: Vec<_> = [4, 5, 2, 1, 3, 0].map(|place: usize| runs[place].id).to_vec();
    assert_eq!(order, wanted);
}

/// Not before it is due, and then.
pub async fn a_delayed_run_is_claimed_when_it_is_due_and_not_before(f: Fixture) {
    let run = f.made(NewRun { due: Due::After(Duration::from_secs(10)), ..of_kind("work") }).await;
    let answer = f.claim(&ClaimRequest::new(worker("w"), 1)).await;
    assert!(answer.claimed.is_empty());
    assert_eq!(answer.next_due_in, Some(Duration::from_secs(10)));
    f.turn(Duration::from_millis(9_999));
    assert!(f.take("w", 1).await.is_empty());
    f.turn(Duration::from_millis(1));
    assert_eq!(f.take_one("w").await.run.id, run.id);
}

/// A worker gets the kinds it serves, of those that are not paused.
pub async fn a_claim_gives_the_kinds_asked_for_that_are_not_paused(f: Fixture) {
    for kind in ["a", "b", "c"] {
        f.made(of_kind(kind)).await;
    }
    let kinds = |names: &[&str]| Some(names.iter().map(|name| name.parse().unwrap()).collect());
    let asking = |names| ClaimRequest { kinds: kinds(names), ..ClaimRequest::new(worker("w"), 9) };
    assert!(f.claim(&asking(&["d"])).await.claimed.is_empty());
    f.store.pause_kind(&f.caller, &"a".parse().unwrap(), true).await.unwrap();
    let given = f.claim(&asking(&["a", "b", "b"])).await.claimed;
    assert_eq!(given.iter().map(|one| one.run.kind.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(f.take("w", 9).await.len(), 1, "c, and not the paused one");
    f.store.pause_kind(&f.caller, &"a".parse().unwrap(), false).await.unwrap();
    assert_eq!(f.take_one("w").await.run.kind.as_str(), "a");
}

/// A claim whose answer was lost is asked again.
pub async fn the_same_claim_again_gives_the_same_runs(f: Fixture) {
    f.enqueue((0..5).map(|n| numbered("work", n)).collect(), Batch::EachAlone).await;
    let named = |by: &str| {
        let claim_id = Some("claim-1".parse::<ClaimId>().unwrap());
        ClaimRequest { claim_id, ..ClaimRequest::new(worker(by), 3) }
    };
    let first = f.claim(&named("w")).await.claimed;
    let again = f.claim(&named("w")).await;
    assert_eq!((first.len(), bare(&again.claimed)), (3, bare(&first)));
    assert!(again.events.is_empty(), "nothing happened twice");
    f.finish(&hold_of(&again.claimed[0]), success(1.into())).await.unwrap();
    assert_eq!(bare(&f.claim(&named("w")).await.claimed), bare(&first[1..]));
    let thief = refused(f.ask_to_claim(&named("thief")).await);
    assert_eq!(thief.code(), ErrorCode::Conflict, "a claim is its worker's own");
    f.turn(Duration::from_secs(31));
    let late = f.claim(&named("w")).await.claimed;
    assert!(late.iter().all(|one| one.run.epoch > 1 || one.run.id != first[1].run.id), "those are lost");
}

/// A claim that gave nothing is not held to it.
pub async fn a_named_claim_that_gave_nothing_may_give_something_later(f: Fixture) {
    let claim_id = Some("claim-1".parse::<ClaimId>().unwrap());
    let request = ClaimRequest { claim_id, ..ClaimRequest::new(worker("w"), 3) };
    assert!(f.claim(&request).await.claimed.is_empty());
    f.made(of_kind("work")).await;
    assert_eq!(f.claim(&request).await.claimed.len(), 1);
}

/// The attempt goes on behind its gate, with its steps, whose ids stay.
pub async fn a_claim_behind_a_gate_carries_the_attempts_steps(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let done = vec![step(0, "gate", StepStatus::Running), step(1, "first", StepStatus::Completed)];
    f.record(&hold, done, vec![]).await.unwrap();
    let before = f.store.steps(&f.caller, hold.id).await.unwrap();
    f.wait(&hold, None).await.unwrap();
    f.answer(hold.id, Answer::Approved, None).await.unwrap();
    let claim_id = Some("claim-1".parse::<ClaimId>().unwrap());
    let request = ClaimRequest { claim_id, ..ClaimRequest::new(worker("w2"), 1) };
    let claimed = f.claim(&request).await.claimed.remove(0);
    assert_eq!((claimed.run.attempt, claimed.run.epoch), (1, 2));
    let resume = claimed.resume.clone().unwrap();
    let ids = |steps: &[sprongus_core::run::step::Step]| steps.iter().map(|step| step.id).collect::<Vec<_>>();
    assert_eq!(ids(&resume.steps), ids(&before));
    assert_eq!(resume.gate.answer, Some(Answer::Approved));
    let again = f.claim(&request).await.claimed;
    assert_eq!(bare(&again), bare(&[claimed]), "the same claim, the same resume");
    let hold = hold_of(&again[0]);
    f.record(&hold, vec![step(0, "gate", StepStatus::Completed)], vec![]).await.unwrap();
    let after = f.store.steps(&f.caller, hold.id).await.unwrap();
    assert_eq!(ids(&after), ids(&before), "no second row, no second id");
    assert_eq!(after[0].status, StepStatus::Completed);
}

/// Time that has come is served by the claim itself: a dead worker's run goes to the next one.
pub async fn a_claim_takes_over_what_a_dead_worker_held(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.turn(Duration::from_secs(30));
    let answer = f.claim(&ClaimRequest::new(worker("w2"), 1)).await;
    let run = &answer.claimed[0].run;
    assert_eq!((run.id, run.epoch, run.attempt, run.crashes), (hold.id, 2, 2, 1));
    let seen: Vec<_> = answer.events.iter().map(|event| event.kind).collect();
    assert_eq!(seen, [EventType::LeaseLost, EventType::Started]);
}
