//! Retention.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::directory::Retention;
use sprongus_core::run::{Enqueue, NewRun, Outcome};
use sprongus_core::state::State;
use sprongus_core::step::StepStatus;

use crate::fixture::{Fixture, line, of_kind, refused, step, success};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What ended long enough ago goes, with all that is its own; what lives stays, however old.
pub async fn retention_takes_what_ended_long_ago_and_nothing_else(f: Fixture) {
    let done = f.held(of_kind("work")).await;
    f.record(&done, vec![step(0, "a", StepStatus::Completed)], vec![line("x", f.now())]).await.unwrap();
    f.finish(&done, success(json!(1))).await.unwrap();
    let failed = f.held(of_kind("work")).await;
    let outcome = Outcome::Fail { error: "no".to_owned(), retryable: false, retry_in: None };
    f.finish(&failed, outcome).await.unwrap();
    let canceled = f.made(of_kind("work")).await;
    f.cancel(canceled.id).await.unwrap();
    let queued = f.made(of_kind("work")).await;
    f.turn(DAY * 30);
    let prune = |dry_run| f.store.prune(&f.caller, Retention::default(), 100, dry_run);
    assert!(prune(false).await.unwrap().runs.is_empty(), "thirty days are not over");
    f.turn(Duration::from_millis(1));
    assert_eq!(prune(true).await.unwrap().runs, BTreeMap::from([(State::Succeeded, 1)]));
    f.get(done.id).await;
    assert_eq!(prune(false).await.unwrap().runs, BTreeMap::from([(State::Succeeded, 1)]));
    assert_eq!(refused(f.store.get(&f.caller, done.id).await).code(), ErrorCode::NotFound);
    assert_eq!(refused(f.store.events(&f.caller, done.id, 0, 9).await).code(), ErrorCode::NotFound);
    f.turn(DAY * 61);
    let both = BTreeMap::from([(State::Failed, 1), (State::Canceled, 1)]);
    assert_eq!(prune(false).await.unwrap().runs, both);
    assert_eq!(f.get(queued.id).await.state, State::Queued);
}

/// A batch is a batch, and a key lives as long as its run.
pub async fn retention_goes_in_batches_and_frees_keys(f: Fixture) {
    let keyed = || NewRun { idempotency_key: Some("k".to_owned()), ..of_kind("work") };
    f.cancel(f.made(keyed()).await.id).await.unwrap();
    for _ in 0..4 {
        f.cancel(f.made(of_kind("work")).await.id).await.unwrap();
    }
    f.turn(DAY * 100);
    let mut taken = Vec::new();
    for _ in 0..4 {
        let pruned = f.store.prune(&f.caller, Retention::default(), 2, false).await.unwrap();
        taken.push(pruned.runs.values().sum::<u64>());
    }
    assert_eq!(taken, [2, 2, 1, 0]);
    assert_eq!(f.enqueue_one(keyed()).await.unwrap().outcome, Enqueue::Created);
}
