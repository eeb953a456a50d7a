//! Batches, and keys asked for at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sprongus_core::ErrorCode;
use sprongus_core::RunsExt;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::{Enqueue, NewRun};
use sprongus_core::store::Batch;

use super::Api;
use crate::fixture::{numbered, of_kind, refused};

/// S5 and the factory: when many ask at once one run is made; once it is there, no factory is asked.
pub async fn many_who_ensure_one_key_at_once_get_one_run(api: Api) {
    let asked = Arc::new(AtomicUsize::new(0));
    let ensure = |api: Api, asked: Arc<AtomicUsize>| async move {
        let factory = || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok(of_kind("work"))
        };
        api.runs.ensure_idempotent("key", factory).await.unwrap()
    };
    let askers: Vec<_> = (0..30).map(|_| tokio::spawn(ensure(api.clone(), asked.clone()))).collect();
    let mut made = Vec::new();
    for asker in askers {
        made.push(asker.await.unwrap());
    }
    assert_eq!(made.iter().filter(|one| one.outcome == Enqueue::Created).count(), 1);
    assert!(made.iter().all(|one| one.run.id == made[0].run.id));
    let before = asked.load(Ordering::SeqCst);
    let late = ensure(api.clone(), asked.clone()).await;
    assert_eq!((late.outcome, late.run.id), (Enqueue::Existing, made[0].run.id));
    assert_eq!(asked.load(Ordering::SeqCst), before, "the factory is not asked again");
}

/// What a factory refuses is the answer.
pub async fn a_factory_that_refuses_makes_nothing(api: Api) {
    let factory = || async { Err(sprongus_core::Error::validation("no")) };
    let error = refused(api.runs.ensure_idempotent("key", factory).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::Validation, "no"));
    assert_eq!(api.runs.find_by_key("key").await.unwrap(), None);
}

/// S6: each item has its own answer.
pub async fn a_bad_item_is_answered_in_its_place(api: Api) {
    let bad = NewRun { priority: Some(200), ..of_kind("work") };
    let unknown = NewRun { project_id: Some("nowhere".to_owned()), ..of_kind("work") };
    let batch = vec![numbered("work", 1), bad, numbered("work", 2), unknown, numbered("work", 3)];
    let answers = api.runs.enqueue(batch, Batch::EachAlone).await.unwrap();
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true, false, true]);
    let inputs: Vec<_> = answers.iter().flatten().map(|one| one.run.input.as_str().to_owned()).collect();
    assert_eq!(inputs, [r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
}

/// All, or nothing; whoever found the fault, the service or the store.
pub async fn a_batch_is_made_whole_or_not_at_all(api: Api) {
    let bad = NewRun { priority: Some(200), ..of_kind("work") };
    let unknown = NewRun { project_id: Some("nowhere".to_owned()), ..of_kind("work") };
    for fault in [bad, unknown] {
        let batch = vec![numbered("work", 1), fault, numbered("work", 2)];
        let answers = api.runs.enqueue(batch, Batch::AllOrNothing).await.unwrap();
        assert!(answers.iter().all(Result::is_err));
        let message = answers[0].as_ref().unwrap_err().message().to_owned();
        assert_eq!(message, "not made: another item of the batch was refused");
        assert_ne!(answers[1].as_ref().unwrap_err().message(), message, "the bad one says why");
    }
    assert!(api.runs.list(&ListFilter::default()).await.unwrap().data.is_empty());
    let batch = (0..3).map(|n| numbered("work", n)).collect();
    let answers = api.runs.enqueue(batch, Batch::AllOrNothing).await.unwrap();
    assert!(answers.iter().all(Result::is_ok));
}

/// A thousand at once, and no more.
pub async fn a_batch_holds_a_thousand_at_most(api: Api) {
    let batch = |items: usize| (0..items).map(|n| numbered("work", n)).collect();
    let error = refused(api.runs.enqueue(batch(1_001), Batch::EachAlone).await);
    assert_eq!(error.code(), ErrorCode::Validation);
    assert_eq!(api.runs.enqueue(batch(1_000), Batch::EachAlone).await.unwrap().len(), 1_000);
    assert!(api.runs.enqueue(vec![], Batch::EachAlone).await.unwrap().is_empty());
}
