//! Since when a run is due, and what it waits for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use sprongus_core::run::event::EventType;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::waiting::Reason;
use sprongus_core::run::{Answer, Due, NewRun, Outcome, Run};
use sprongus_core::store::Batch;
use sprongus_core::workspace::directory::WorkerInfo;

use crate::fixture::{Fixture, failure, hold_of, of_kind, success, worker};

const HOUR: Duration = Duration::from_secs(3_600);
const LEASE: Duration = Duration::from_secs(30);

/// The oldest due run of `work` has been due for so long, and its start says that it waited as long.
async fn has_been_due(f: &Fixture, run: &Run, waited: Duration) {
    let millis = u64::try_from(waited.as_millis()).unwrap();
    let stats = f.store.stats(&f.caller).await.unwrap();
    assert_eq!(stats.kinds["work"].oldest_due_ms, Some(millis));
    assert_eq!(f.get(run.id).await.due_at, f.now().minus(waited));
    let claimed = f.take_one("next").await;
    assert_eq!(claimed.run.id, run.id);
    assert_eq!(claimed.run.due_at, f.now().minus(waited), "kept while it is executed");
    let events = f.events(run.id).await;
    let started = events.iter().rfind(|event| event.kind == EventType::Started).unwrap();
    assert_eq!(started.payload.to_value()["waitMs"], millis);
    f.finish(&hold_of(&claimed), success(json!(1))).await.unwrap();
}

/// What time it spent being executed, waiting for a person or put off is no time that it waited for a worker.
pub async fn a_run_is_due_since_it_could_be_claimed(f: Fixture) {
    let minute = Duration::from_secs(60);
    // Released: by a worker that drains, say.
    let hold = f.held(of_kind("work")).await;
    f.turn(LEASE / 2);
    let released = f.finish(&hold, Outcome::Release).await.unwrap().run;
    assert!(released.run_at < released.due_at, "it keeps its place in the queue");
    f.turn(minute);
    has_been_due(&f, &released, minute).await;

    // Its lease was lost.
    let hold = f.held(of_kind("work")).await;
    f.turn(LEASE);
    f.expire().await;
    f.turn(minute);
    has_been_due(&f, &f.get(hold.id).await, minute).await;

    // It waited at a gate.
    let hold = f.held(of_kind("work")).await;
    let at_gate = f.wait(&hold, None).await.unwrap().run;
    assert_eq!(at_gate.claimable_at(), None);
    f.turn(HOUR);
    assert_eq!(f.store.stats(&f.caller).await.unwrap().kinds["work"].oldest_due_ms, None);
    let approved = f.answer(hold.id, Answer::Approved, None).await.unwrap().run;
    assert_eq!(approved.claimable_at(), Some(f.now()));
    f.turn(minute);
    has_been_due(&f, &approved, minute).await;

    // It backed off.
    let hold = f.held(of_kind("work")).await;
    let failed = f.finish(&hold, failure("once more")).await.unwrap().run;
    assert_eq!(failed.due_at, failed.run_at);
    f.turn(failed.run_at.since(f.now()) + minute);
    f.expire().await;
    has_been_due(&f, &failed, minute).await;

    // It was delayed; and somebody retried it.
    let delayed = NewRun { due: Due::After(HOUR), ..of_kind("work") };
    let delayed = f.made(delayed).await;
    assert_eq!(delayed.due_at, f.now().plus(HOUR));
    f.cancel(delayed.id).await.unwrap();
    f.turn(HOUR + HOUR);
    let retried = f.retry(delayed.id).await.unwrap().run;
    f.turn(minute);
    has_been_due(&f, &retried, minute).await;
}

fn info(id: &str, kinds: &[&str], concurrency: u32) -> WorkerInfo {
    let kinds = Some(kinds.iter().map(|kind| kind.parse().unwrap()).collect());
    let (host, version) = ("host".to_owned(), "1.2.3".to_owned());
    WorkerInfo { id: worker(id), kinds, host, pid: 77, version, concurrency, zone_data: None }
}

/// Every queued run is listed under one reason, and those that are executed or have ended under none.
pub async fn runs_are_listed_by_what_they_wait_for(f: Fixture) {
    let hold = f.held(of_kind("gated")).await;
    f.wait(&hold, None).await.unwrap();
    let other = f.held(of_kind("gated")).await;
    f.wait(&other, None).await.unwrap();
    f.cancel(other.id).await.unwrap();
    let delayed = f.made(NewRun { due: Due::After(HOUR), ..of_kind("work") }).await;
    let paused = f.made(of_kind("paused")).await;
    let paused_and_delayed = f.made(NewRun { due: Due::After(HOUR), ..of_kind("paused") }).await;
    f.store.pause_kind(&f.caller, &"paused".parse().unwrap(), true).await.unwrap();
    let due = f.made(of_kind("work")).await;
    let expected = BTreeMap::from([
        (Reason::Gate, vec![hold.id]),
        (Reason::Time, vec![delayed.id, paused_and_delayed.id]),
        (Reason::KindPaused, vec![paused.id]),
        (Reason::Worker, vec![due.id]),
    ]);
    for (reason, ids) in expected {
        let mut filter =
            ListFilter { waiting: Some(reason), oldest_first: true, limit: 1, ..ListFilter::default() };
        let mut found = Vec::new();
        loop {
            let page = f.store.list(&f.caller, &filter).await.unwrap();
            found.extend(page.data.iter().map(|run| run.id));
            let Some(cursor) = page.next_cursor else { break };
            filter.cursor = Some(cursor);
        }
        let mut ids = ids;
        ids.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, ids, "{reason}");
        let elsewhere = f.tenant("w2").await;
        let filter = ListFilter { waiting: Some(reason), ..ListFilter::default() };
        assert!(elsewhere.store.list(&elsewhere.caller, &filter).await.unwrap().data.is_empty());
    }
}

/// A place in the queue is one of the run's own kind, and what a caller may not touch is not counted for it.
pub async fn what_stands_before_a_run_and_what_workers_hold_is_counted(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    let first = f.made(of_kind("work")).await;
    let urgent = f.made(NewRun { priority: Some(9), ..of_kind("work") }).await;
    let in_project = NewRun { project_id: Some("p".to_owned()), ..of_kind("work") };
    f.enqueue(vec![of_kind("other"), in_project.clone(), in_project], Batch::AllOrNothing).await;
    let last = f.made(of_kind("work")).await;
    let ahead = async |f: &Fixture, run: &Run| f.store.ahead(&f.caller, run).await.unwrap();
    assert_eq!((ahead(&f, &urgent).await, ahead(&f, &first).await, ahead(&f, &last).await), (0, 1, 4));
    assert_eq!(ahead(&f.narrowed(&["p"]), &last).await, 2);
    assert!(f.store.held(&f.caller).await.unwrap().is_empty());
    f.store.see_worker(&f.caller, &info("w1", &["work"], 2)).await.unwrap();
    f.take("w1", 2).await;
    f.take("w2", 1).await;
    let held = f.store.held(&f.caller).await.unwrap();
    assert_eq!(held, BTreeMap::from([(worker("w1"), 2), (worker("w2"), 1)]));
    assert!(f.tenant("w2").await.store.held(&f.tenant("w2").await.caller).await.unwrap().is_empty());
}

/// The part may be in small letters; one that fits several finds them all.
pub async fn runs_are_found_by_the_beginning_or_the_end_of_their_ids(f: Fixture) {
    let run = f.made(of_kind("work")).await;
    f.made(of_kind("work")).await;
    let id = run.id.to_string();
    let find = async |part: &str| {
        let filter = ListFilter { id: Some(part.parse().unwrap()), ..ListFilter::default() };
        let page = f.store.list(&f.caller, &filter).await.unwrap();
        page.data.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    for part in [&id[20..], &id[19..], &id.to_lowercase()[..], &id[..26], &id[13..]] {
        assert_eq!(find(part).await, [run.id], "{part}");
    }
    assert!(find(&id[..6]).await.contains(&run.id));
    assert!(find(&id[10..18]).await.is_empty(), "the middle is no part");
}
