//! Choosing is a rule, and so is what blocks a run. Nothing in the product blocks one yet; these cases do so by rules of their own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::rules::claim::handed;
use sprongus_core::rules::dispatch::{block, claim, claim_unless, taken};
use sprongus_core::rules::{Act, WriteSet};
use sprongus_core::run::event::EventType;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::{ClaimRequest, Claimed, Due, NewRun, Run};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::BlockedOn;

use crate::fixture::{Fixture, hold_of, of_kind, success, worker};

fn on(name: &str) -> BlockedOn {
    name.parse().unwrap()
}

/// Blocks the runs, or frees them.
async fn set_blocked(f: &Fixture, ids: &[RunId], on: Option<BlockedOn>) {
    let rule = move |runs: &BTreeMap<RunId, Run>, _: Act<'_>| {
        let transitions = runs.values().map(|run| block(run, on.clone())).collect();
        Ok(WriteSet { transitions, ..WriteSet::default() })
    };
    f.store.decide(&f.caller, ids, Arc::new(rule)).await.unwrap();
}

fn ids(claimed: &[Claimed]) -> Vec<RunId> {
    claimed.iter().map(|one| one.run.id).collect()
}

/// A claim gives what the rule chooses of everything that is there, and writes what the rule says: whatever statement a store has for it.
pub async fn a_claim_is_what_the_rule_chooses(f: Fixture) {
    let mut new = Vec::new();
    for number in 0..24_u32 {
        let due = Due::After(Duration::from_secs(u64::from(number * 7 % 5)));
        let priority = Some([0, 0, 50, 100][number as usize % 4]);
        new.push(NewRun { due, priority, ..of_kind(["a", "b", "c"][number as usize % 3]) });
    }
    let made = f.enqueue(new, Batch::EachAlone).await;
    let made: Vec<RunId> = made.into_iter().map(|one| one.unwrap().applied.run.id).collect();
    f.turn(Duration::from_secs(3));
    f.expire().await;
    let kinds = |names: &[&str]| Some(names.iter().map(|name| name.parse().unwrap()).collect());
    for (wanted, limit) in [(kinds(&["b"]), 3), (kinds(&["a", "c"]), 5), (None, 4), (None, 100)] {
        let mut runs = Vec::new();
        for &id in &made {
            runs.push(f.get(id).await);
        }
        let request = ClaimRequest { kinds: wanted, ..ClaimRequest::new(worker("w"), limit) };
        let token = LeaseToken::generate().unwrap();
        let served = |run: &&Run| request.kinds.as_ref().is_none_or(|kinds| kinds.contains(&run.kind));
        let act = Act { now: f.now(), actor: &f.caller.actor };
        let chosen = claim(runs.iter().filter(served), &request, token.hash(), act);
        let answer = f.store.claim(&f.caller, &request, &token).await.unwrap();
        let claimed: Vec<Run> = answer.claimed.into_iter().map(|one| one.run).collect();
        assert_eq!(claimed, taken(&chosen).map(|one| one.run.clone()).collect::<Vec<_>>(), "{request:?}");
        assert_eq!(answer.events, chosen.events().cloned().collect::<Vec<_>>());
        for run in claimed {
            assert_eq!(f.get(run.id).await, run);
        }
    }
}

/// It is queued, listed and counted as such, and nobody gets it.
pub async fn a_blocked_run_is_queued_and_not_claimed(f: Fixture) {
    let blocked = f.made(NewRun { priority: Some(9), ..of_kind("work") }).await;
    let free = f.made(of_kind("work")).await;
    set_blocked(&f, &[blocked.id], Some(on("limit:a"))).await;
    let run = f.get(blocked.id).await;
    assert_eq!(run, Run { blocked_on: Some(on("limit:a")), ..blocked.clone() });
    let listed = ListFilter { states: vec![State::Queued], ..ListFilter::default() };
    let listed = f.store.list(&f.caller, &listed).await.unwrap().data;
    assert_eq!(listed.iter().map(|run| run.id).collect::<HashSet<_>>(), HashSet::from([blocked.id, free.id]));
    let figures = f.store.stats(&f.caller).await.unwrap().kinds["work"].clone();
    assert_eq!((figures.due, figures.later), (1, 1));
    assert_eq!(f.store.ahead(&f.caller, &free).await.unwrap(), 0, "it stands before nobody");
    assert_eq!(ids(&f.take("w", 9).await), [free.id]);
    assert_eq!(
        f.event_types(blocked.id).await,
        [EventType::Enqueued],
        "what it waits for is no part of its history"
    );
}

/// Freed, it stands where it stood.
pub async fn a_freed_run_comes_back_into_its_place(f: Fixture) {
    let first = f.made(NewRun { priority: Some(9), ..of_kind("work") }).await;
    let second = f.made(of_kind("work")).await;
    let later = f.made(NewRun { due: Due::After(Duration::from_secs(40)), ..of_kind("work") }).await;
    let all = [first.id, second.id, later.id];
    for _ in 0..2 {
        set_blocked(&f, &all, Some(on("limit:a"))).await;
        f.turn(Duration::from_secs(10));
        assert!(f.take("w", 9).await.is_empty());
        set_blocked(&f, &all, None).await;
    }
    assert_eq!(f.get(first.id).await, first);
    assert_eq!(ids(&f.take("w", 9).await), [first.id, second.id], "and what is not due is not given");
    f.turn(Duration::from_secs(20));
    assert_eq!(ids(&f.take("w", 9).await), [later.id]);
}

/// What becomes due while it is blocked stays blocked.
pub async fn a_blocked_run_waits_on_when_it_is_due(f: Fixture) {
    let run = f.made(NewRun { due: Due::After(Duration::from_secs(10)), ..of_kind("work") }).await;
    set_blocked(&f, &[run.id], Some(on("parents"))).await;
    f.turn(Duration::from_secs(10));
    f.expire().await;
    assert!(f.take("w", 9).await.is_empty());
    set_blocked(&f, &[run.id], None).await;
    assert_eq!(ids(&f.take("w", 9).await), [run.id]);
}

/// A blocked run expires and is canceled like any queued one, and is blocked no more when it is retried.
pub async fn a_blocked_run_expires_and_is_canceled(f: Fixture) {
    let expire_at = Some(f.now().plus(Duration::from_secs(30)));
    let expires = f.made(NewRun { expire_at, ..of_kind("work") }).await;
    let canceled = f.made(of_kind("work")).await;
    set_blocked(&f, &[expires.id, canceled.id], Some(on("limit:a"))).await;
    assert_eq!(f.cancel(canceled.id).await.unwrap().run.state, State::Canceled);
    f.turn(Duration::from_secs(30));
    f.expire().await;
    assert_eq!(f.get(expires.id).await.state, State::Failed);
    for id in [expires.id, canceled.id] {
        assert_eq!(f.retry(id).await.unwrap().run.blocked_on, None);
        assert_eq!(ids(&f.take("w", 9).await), [id]);
    }
}

/// A claim under a rule that lets two of a kind run at once: what it takes is held, what it blocks leaves the queue, in one transaction.
pub async fn a_claim_may_block_what_it_does_not_take(f: Fixture) {
    let mut made = Vec::new();
    for kind in ["a", "a", "a", "b", "a"] {
        made.push(f.made(of_kind(kind)).await.id);
    }
    let token = LeaseToken::generate().unwrap();
    let hash = token.hash();
    let rule = move |runs: &BTreeMap<RunId, Run>, act: Act<'_>| {
        let mut running: BTreeMap<String, u32> = BTreeMap::new();
        let two_of_a_kind = |run: &Run| {
            let running = running.entry(run.kind.as_str().to_owned()).or_default();
            *running += 1;
            (*running > 2).then(|| on(&format!("limit:kind/{}", run.kind)))
        };
        Ok(claim_unless(runs.values(), &ClaimRequest::new(worker("w"), 9), hash, act, two_of_a_kind))
    };
    let set = f.store.decide(&f.caller, &made, Arc::new(rule)).await.unwrap();
    let given: Vec<Claimed> =
        taken(&set).filter_map(|one| handed(one.run.clone(), &token, Vec::new(), false)).collect();
    assert_eq!(ids(&given), [made[0], made[1], made[3]]);
    for id in [made[2], made[4]] {
        let run = f.get(id).await;
        assert_eq!((run.state, run.blocked_on), (State::Queued, Some(on("limit:kind/a"))));
    }
    assert!(f.take("w2", 9).await.is_empty(), "what is not held is blocked");
    f.finish(&hold_of(&given[0]), success(1.into())).await.unwrap();
    set_blocked(&f, &[made[2]], None).await;
    assert_eq!(ids(&f.take("w2", 9).await), [made[2]]);
    f.turn(ClaimRequest::DEFAULT_LEASE);
    let lost: HashSet<RunId> = f.expire().await.iter().map(|event| event.run_id).collect();
    assert_eq!(lost, HashSet::from([made[1], made[2], made[3]]), "their leases have timers like any");
}
