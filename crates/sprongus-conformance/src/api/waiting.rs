//! Waiting for work and for news.

use std::time::{Duration, Instant};

use sprongus_core::RunsExt;
use sprongus_core::run::ClaimRequest;
use sprongus_core::run::follow::ReadSoFar;

use super::Api;
use crate::fixture::{of_kind, worker};

const LONG: Duration = Duration::from_secs(60);

/// What wakes nobody would take so long; what wakes takes much less, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

/// Without work a claim waits, and gets what comes within 50 ms of its coming (the best of five: machines stumble).
pub async fn a_waiting_claim_gets_what_comes_at_once(api: Api) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let waiter = tokio::spawn({
            let runs = api.runs.clone();
            async move {
                let request = ClaimRequest { wait: LONG, ..ClaimRequest::new(worker("w"), 1) };
                (runs.claim(request).await.unwrap(), Instant::now())
            }
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        let made = Instant::now();
        let run = api.runs.enqueue_one(of_kind("work")).await.unwrap().run;
        let (claimed, woken) = waiter.await.unwrap();
        assert_eq!(claimed[0].run.id, run.id);
        best = best.min(woken.saturating_duration_since(made));
    }
    assert!(best < Duration::from_millis(50), "{best:?}");
}

/// Where nothing comes a claim ends empty when its wait is over.
pub async fn a_waiting_claim_ends_empty_when_its_wait_is_over(api: Api) {
    let start = Instant::now();
    let wait = Duration::from_millis(120);
    let claimed = api.runs.claim(ClaimRequest { wait, ..ClaimRequest::new(worker("w"), 1) }).await.unwrap();
    assert!(claimed.is_empty());
    assert!((wait..SOON).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// One run wakes two who wait; one of them gets it.
pub async fn two_who_wait_never_get_the_same_run(api: Api) {
    let wait = Duration::from_millis(700);
    let claim = |name: &'static str| {
        let runs = api.runs.clone();
        let request = ClaimRequest { wait, ..ClaimRequest::new(worker(name), 5) };
        tokio::spawn(async move { runs.claim(request).await.unwrap().len() })
    };
    let (one, other) = (claim("w1"), claim("w2"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    api.runs.enqueue_one(of_kind("work")).await.unwrap();
    assert_eq!(one.await.unwrap() + other.await.unwrap(), 1);
}

/// Who follows a run is told what is new, at once, and nothing twice.
pub async fn a_follower_is_told_what_is_new(api: Api) {
    let run = api.runs.enqueue_one(of_kind("work")).await.unwrap().run;
    let news = api.runs.follow(run.id, ReadSoFar::default(), LONG).await.unwrap();
    assert_eq!(news.events.len(), 1, "what is there is told without waiting");
    let follower = tokio::spawn({
        let api = api.clone();
        async move { (api.runs.follow(run.id, news.read, LONG).await.unwrap(), Instant::now()) }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let start = Instant::now();
    api.runs.cancel(run.id).await.unwrap();
    let (news, woken) = follower.await.unwrap();
    assert_eq!(news.events.len(), 1);
    assert!(news.run.state.is_final());
    assert!(woken.saturating_duration_since(start) < SOON, "nobody woke it");
    let start = Instant::now();
    let nothing = api.runs.follow(run.id, news.read, Duration::from_millis(60)).await.unwrap();
    assert!(nothing.events.is_empty() && start.elapsed() >= Duration::from_millis(60));
}
