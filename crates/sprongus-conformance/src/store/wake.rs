//! Waiting for something to happen.

use std::time::{Duration, Instant};

use crate::fixture::{Fixture, of_kind};

const LONG: Duration = Duration::from_secs(60);

/// What nobody wakes waits longer; what is woken waits much less, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);

/// Who waits is woken by what is made in the same process, at once (the best of five: machines stumble).
pub async fn a_change_wakes_those_who_wait(f: Fixture) {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let seen = f.store.generation();
        let waiter = tokio::spawn({
            let store = f.store.clone();
            async move {
                store.changed(seen, LONG).await;
                Instant::now()
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        f.made(of_kind("work")).await;
        let made = Instant::now();
        let woken = waiter.await.unwrap();
        assert!(f.store.generation() > seen);
        best = best.min(woken.saturating_duration_since(made));
    }
    assert!(best < Duration::from_millis(500), "woken late: {best:?}");
}

/// What happened between looking and waiting is not slept through.
pub async fn a_change_before_the_wait_is_not_missed(f: Fixture) {
    let seen = f.store.generation();
    f.made(of_kind("work")).await;
    let start = Instant::now();
    f.store.changed(seen, LONG).await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// Where nothing happens a wait ends by itself.
pub async fn a_wait_ends_by_itself(f: Fixture) {
    let start = Instant::now();
    f.store.changed(f.store.generation(), Duration::from_millis(50)).await;
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

/// Who is gone does not hold up others: a caller that gives up leaves the store as it was.
pub async fn a_caller_that_gives_up_harms_nobody(f: Fixture) {
    for _ in 0..20 {
        let asking = f.clone();
        let asked = tokio::spawn(async move { asking.made(of_kind("work")).await });
        asked.abort();
        let _ = asked.await;
    }
    f.made(of_kind("work")).await;
    let all = f.take("w", 100).await;
    assert!(!all.is_empty() && all.iter().all(|one| one.run.epoch == 1));
}
