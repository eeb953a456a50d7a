//! A service over the store: those who subscribed hear what is written.

use std::sync::{Arc, Mutex};

use serde_json::json;
use sprongus_core::run::event::EventType;
use sprongus_core::{RunsExt, RunsService};

use crate::fixture::{Fixture, of_kind, worker};

/// The five of the design document, each after it is written, in the order they happened; and none after one has unsubscribed.
pub async fn subscribers_hear_the_domain_events_in_order(f: Fixture) {
    let service = RunsService::new(f.store.clone());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = heard.clone();
    let subscription = service.subscribe(move |event| ear.lock().unwrap().push(event.clone()));
    let runs = service.for_caller(f.caller.clone());
    let done = runs.enqueue_one(of_kind("work")).await.unwrap().run.id;
    let hold = runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    runs.succeed(&hold, Some(json!(1).into()), None).await.unwrap();
    runs.succeed(&hold, Some(json!(1).into()), None).await.unwrap();
    let failed = runs.enqueue_one(of_kind("work")).await.unwrap().run.id;
    let hold = runs.claim_next(&worker("w"), 1).await.unwrap()[0].hold();
    runs.fail(&hold, "boom", false).await.unwrap();
    let canceled = runs.enqueue_one(of_kind("work")).await.unwrap().run.id;
    runs.cancel(canceled).await.unwrap();
    drop(subscription);
    runs.enqueue_one(of_kind("work")).await.unwrap();
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    use EventType::{Canceled, Enqueued, Failed, Started, Succeeded};
    let kinds: Vec<_> = heard.iter().map(|event| event.kind).collect();
    let wanted = [Enqueued, Started, Succeeded, Enqueued, Started, Failed, Enqueued, Canceled];
    assert_eq!(kinds, wanted);
    let mut written = f.events(done).await;
    written.extend(f.events(failed).await);
    written.extend(f.events(canceled).await);
    assert_eq!(heard, written, "what is told is what is written");
}
