//! Retention.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::run::retention::{KindRetention, Pruned, Retention};
use sprongus_core::run::state::State;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Enqueue, NewRun, Outcome};

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
    let retention = Retention::default();
    let prune = |dry_run| f.store.prune(&f.caller, &retention, 100, dry_run);
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
        let pruned = f.store.prune(&f.caller, &Retention::default(), 2, false).await.unwrap();
        taken.push(pruned.runs.values().sum::<u64>());
    }
    assert_eq!(taken, [2, 2, 1, 0]);
    assert_eq!(f.enqueue_one(keyed()).await.unwrap().outcome, Enqueue::Created);
}

/// A kind's own limit is its alone, longer or shorter than the others', state by state; what is left out is as for all. What goes is
/// counted kind by kind.
pub async fn a_kind_is_kept_by_its_own_limits(f: Fixture) {
    for _ in 0..2 {
        for kind in ["daily", "mail", "audit"] {
            let done = f.held(of_kind(kind)).await;
            f.finish(&done, success(json!(1))).await.unwrap();
            f.cancel(f.made(of_kind(kind)).await.id).await.unwrap();
        }
    }
    let days = |days: u32| DAY * days;
    let own = |succeeded: Option<u32>, failed: Option<u32>| KindRetention {
        succeeded: succeeded.map(days),
        failed: failed.map(days),
    };
    let kinds = BTreeMap::from([
        ("audit".parse().unwrap(), own(Some(400), None)),
        ("mail".parse().unwrap(), own(Some(7), Some(300))),
        ("nowhere".parse().unwrap(), own(Some(1), Some(1))),
    ]);
    let retention = Retention { kinds, ..Retention::default() };
    let pruned = async |limit, dry_run| f.store.prune(&f.caller, &retention, limit, dry_run).await.unwrap();
    let counted = |counts: &[(&str, State, u64)]| {
        let mut pruned = Pruned::default();
        counts.iter().for_each(|(kind, state, runs)| pruned.add(kind, *state, *runs));
        pruned
    };
    let mut today = 0;
    for (day, gone) in [
        (8, counted(&[("mail", State::Succeeded, 2)])),
        (31, counted(&[("daily", State::Succeeded, 2)])),
        (91, counted(&[("daily", State::Canceled, 2), ("audit", State::Canceled, 2)])),
        (301, counted(&[("mail", State::Canceled, 2)])),
        (401, counted(&[("audit", State::Succeeded, 2)])),
    ] {
        f.turn(days(day - 1 - today));
        assert_eq!(pruned(9, true).await, Pruned::default(), "the day before day {day}");
        f.turn(days(1));
        today = day;
        assert_eq!(pruned(1, true).await, gone, "day {day}: a dry run counts all");
        let first = pruned(1, false).await;
        assert_eq!(first.total(), 1, "day {day}: a batch is a batch");
        let mut all = first;
        for _ in 1..gone.total() {
            all.add_all(&pruned(1, false).await);
        }
        assert_eq!(all, gone, "day {day}");
        assert_eq!(pruned(9, false).await, Pruned::default(), "day {day}: it is gone");
    }
}

/// A caller narrowed to projects lets go of their runs alone, whatever limits the kinds have.
pub async fn a_narrowed_caller_prunes_its_projects(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    for project_id in [None, Some("p".to_owned())] {
        let done = f.held(NewRun { project_id: project_id.clone(), ..of_kind("mail") }).await;
        f.finish(&done, success(json!(1))).await.unwrap();
        f.cancel(f.made(NewRun { project_id, ..of_kind("mail") }).await.id).await.unwrap();
    }
    f.turn(DAY * 8);
    let own = KindRetention { succeeded: Some(DAY), failed: Some(DAY) };
    let kinds = BTreeMap::from([("mail".parse().unwrap(), own)]);
    let retention = Retention { kinds, ..Retention::default() };
    let narrow = f.narrowed(&["p"]);
    for dry_run in [true, false] {
        let pruned = narrow.store.prune(&narrow.caller, &retention, 9, dry_run).await.unwrap();
        assert_eq!(pruned.runs, BTreeMap::from([(State::Succeeded, 1), (State::Canceled, 1)]));
    }
    assert_eq!(f.store.prune(&f.caller, &retention, 9, true).await.unwrap().total(), 2);
}
