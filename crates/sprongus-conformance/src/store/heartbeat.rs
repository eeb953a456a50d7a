//! running → running, the lease longer.

use std::time::Duration;

use sprongus_core::ErrorCode;
use sprongus_core::run::{ClaimRequest, Hold};
use sprongus_core::workspace::directory::WorkerInfo;

use crate::fixture::{Fixture, hold_of, numbered, of_kind, refused, success, worker};

/// Who beats keeps the run; the lease is its own length from now, or the one asked for from now on.
pub async fn a_heartbeat_lengthens_the_lease_and_writes_no_event(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let updated = f.get(hold.id).await.updated_at;
    for _ in 0..5 {
        f.turn(Duration::from_secs(29));
        let beat = f.beat(&hold).await.unwrap();
        assert_eq!((beat.lease_ms, beat.cancel, beat.drain), (30_000, false, false));
        assert!(f.expire().await.is_empty());
    }
    let longer = Some(Duration::from_secs(120));
    f.store.heartbeat(&f.caller, vec![hold.clone()], longer).await.unwrap()[0].as_ref().unwrap();
    f.turn(Duration::from_secs(100));
    assert_eq!(f.beat(&hold).await.unwrap().lease_ms, 120_000, "the new length stays");
    f.turn(Duration::from_secs(119));
    assert!(f.expire().await.is_empty());
    assert_eq!(f.events(hold.id).await.len(), 2);
    assert_eq!(f.get(hold.id).await.updated_at, updated);
}

/// A heartbeat may shorten the lease too, and the end that was is no longer waited for.
pub async fn a_lease_made_shorter_ends_sooner(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let shorter = Some(Duration::from_secs(2));
    f.store.heartbeat(&f.caller, vec![hold.clone()], shorter).await.unwrap()[0].as_ref().unwrap();
    f.turn(Duration::from_secs(2));
    assert_eq!(f.expire().await.len(), 1);
}

/// S4: at the very millisecond the lease ends it is lost, whether or not anybody has noticed.
pub async fn a_late_heartbeat_is_refused_even_before_anybody_took_the_run(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    f.turn(Duration::from_secs(30));
    assert_eq!(refused(f.beat(&hold).await).code(), ErrorCode::LeaseLost);
    f.expire().await;
    assert_eq!(refused(f.beat(&hold).await).code(), ErrorCode::LeaseLost);
}

/// S6: each item has its own answer.
pub async fn one_lost_lease_never_costs_the_others(f: Fixture) {
    let mut holds = Vec::new();
    for n in 0..3 {
        holds.push(f.held(numbered("work", n)).await);
    }
    f.finish(&holds[1], success(1.into())).await.unwrap();
    let unknown = Hold { id: sprongus_core::values::ids::RunId::new(), ..holds[0].clone() };
    holds.push(unknown.clone());
    let answers = f.store.heartbeat(&f.caller, holds, None).await.unwrap();
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().err().map(|error| error.code())).collect();
    assert_eq!(codes, [None, Some(ErrorCode::LeaseLost), None, Some(ErrorCode::NotFound)]);
    assert_eq!(answers[3].as_ref().unwrap_err().message(), format!("no such run: {}", unknown.id));
}

/// A worker that was told to drain learns it by its next heartbeat.
pub async fn a_heartbeat_tells_a_draining_worker(f: Fixture) {
    let hold = f.held(of_kind("work")).await;
    let (host, version) = ("host".to_owned(), "1".to_owned());
    let (id, concurrency) = (hold.worker_id.clone(), 1);
    let info = WorkerInfo { id, kinds: None, host, pid: 1, version, concurrency, zone_data: None };
    assert!(!f.store.see_worker(&f.caller, &info).await.unwrap());
    assert!(!f.beat(&hold).await.unwrap().drain);
    f.store.drain_worker(&f.caller, &hold.worker_id).await.unwrap();
    assert!(f.beat(&hold).await.unwrap().drain);
    assert!(f.store.see_worker(&f.caller, &info).await.unwrap());
}

/// A canceled run's holder is told so, and may hold on for ten minutes and no longer.
pub async fn a_closing_lease_says_cancel_and_ends_after_ten_minutes(f: Fixture) {
    f.made(of_kind("work")).await;
    let request = ClaimRequest { lease: Duration::from_secs(400), ..ClaimRequest::new(worker("w"), 1) };
    let hold = hold_of(&f.claim(&request).await.claimed[0]);
    f.cancel(hold.id).await.unwrap();
    f.turn(Duration::from_secs(300));
    let beat = f.beat(&hold).await.unwrap();
    assert_eq!((beat.cancel, beat.lease_ms), (true, 300_000));
    f.turn(Duration::from_secs(299));
    assert_eq!(f.beat(&hold).await.unwrap().lease_ms, 1_000);
    f.turn(Duration::from_secs(1));
    assert_eq!(refused(f.beat(&hold).await).code(), ErrorCode::LeaseLost);
}
