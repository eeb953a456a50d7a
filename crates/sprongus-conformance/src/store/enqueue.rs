//! nothing → queued.

use std::time::Duration;

use serde_json::json;
use sprongus_core::ErrorCode;
use sprongus_core::json::{Json, parse};
use sprongus_core::run::event::EventType;
use sprongus_core::run::state::State;
use sprongus_core::run::{Due, Enqueue, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::directory::NewAgentTask;

use crate::fixture::{Fixture, numbered, of_kind, refused};

fn keyed(key: &str, input: Json) -> NewRun {
    NewRun { idempotency_key: Some(key.to_owned()), ..NewRun::new("work", input) }
}

/// S2.
pub async fn a_new_run_is_queued_with_one_event(f: Fixture) {
    let made = f.enqueue_one(of_kind("script.pull")).await.unwrap();
    assert_eq!(made.outcome, Enqueue::Created);
    let run = made.applied.run;
    assert_eq!((run.state, run.attempt, run.epoch, run.last_seq), (State::Queued, 0, 0, 1));
    assert_eq!(f.get(run.id).await, run);
    assert_eq!(f.events(run.id).await, made.applied.events);
    assert_eq!(f.event_types(run.id).await, [EventType::Enqueued]);
}

/// What is asked is what is kept, to the last field.
pub async fn a_run_is_kept_as_it_was_asked_for(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    f.store.create_agent_task(&f.caller, &NewAgentTask::new("T-1".parse().unwrap())).await.unwrap();
    let new = NewRun {
        project_id: Some("p".to_owned()),
        agent_task_id: Some("T-1".to_owned()),
        idempotency_key: Some("clé \u{1f511}".to_owned()),
        max_attempts: Some(7),
        priority: Some(100),
        due: Due::At(f.now().plus(Duration::from_secs(9))),
        expire_at: Some(f.now().plus(Duration::from_secs(99))),
        tags: [("env".to_owned(), "prod 'x'; --".to_owned())].into(),
        ..NewRun::new("sync.aux/props", Json::from_value(json!({"b": [1.5, null, "é\"\\"], "a": -1})))
    };
    let run = f.made(new.clone()).await;
    let kept = f.get(run.id).await;
    assert_eq!(kept, run);
    assert_eq!(kept.input.as_str(), r#"{"a":-1,"b":[1.5,null,"é\"\\"]}"#);
    assert_eq!(kept.project_id.unwrap().as_str(), "p");
    assert_eq!(kept.agent_task_id.unwrap().as_str(), "T-1");
    assert_eq!((kept.idempotency_key, kept.tags), (new.idempotency_key, new.tags));
    assert_eq!((kept.max_attempts, kept.priority, kept.expire_at), (7, 100, new.expire_at));
    assert_eq!(kept.run_at, f.now().plus(Duration::from_secs(9)));
}

/// S5.
pub async fn thirty_enqueues_of_one_key_at_once_make_one_run(f: Fixture) {
    let askers: Vec<_> = (0..30)
        .map(|_| {
            let f = f.clone();
            tokio::spawn(async move { f.enqueue_one(keyed("k", Json::empty_object())).await.unwrap() })
        })
        .collect();
    let mut made = Vec::new();
    for asker in askers {
        made.push(asker.await.unwrap());
    }
    assert_eq!(made.iter().filter(|one| one.outcome == Enqueue::Created).count(), 1);
    assert!(made.iter().all(|one| one.applied.run.id == made[0].applied.run.id));
    assert_eq!(made.iter().map(|one| one.applied.events.len()).sum::<usize>(), 1, "one run.enqueued");
    assert_eq!(f.take("w", 50).await.len(), 1);
}

/// 1 and 1.0, and keys in another order, are the same request; a delay is compared as given.
pub async fn the_same_request_under_the_same_key_is_the_same_run(f: Fixture) {
    let one = keyed("k", parse(br#"{"n":1,"m":{"x":1,"y":2}}"#).unwrap());
    let other = keyed("k", parse(br#"{ "m": {"y": 2.0, "x": 1}, "n": 1.0 }"#).unwrap());
    let delayed = |new: NewRun| NewRun { due: Due::After(Duration::from_secs(5)), ..new };
    let first = f.enqueue_one(delayed(one)).await.unwrap();
    f.turn(Duration::from_secs(60));
    let second = f.enqueue_one(delayed(other)).await.unwrap();
    assert_eq!((first.outcome, second.outcome), (Enqueue::Created, Enqueue::Existing));
    assert_eq!(first.applied.run, second.applied.run);
    assert!(second.applied.events.is_empty());
}

/// A key is never given to another request, and its refusal changes nothing.
pub async fn a_key_reused_for_another_request_is_refused(f: Fixture) {
    let run = f.made(keyed("k", Json::from_value(json!(1)))).await;
    let error = refused(f.enqueue_one(keyed("k", Json::from_value(json!(2)))).await);
    assert_eq!(error.code(), ErrorCode::IdempotencyKeyReused);
    assert!(error.message().contains(&run.id.to_string()), "{error}");
    assert_eq!(f.get(run.id).await, run);
    assert_eq!(f.take("w", 9).await.len(), 1);
}

/// A client that makes the id may ask again; another request under it is a conflict.
pub async fn the_same_id_and_request_again_is_a_replay(f: Fixture) {
    let id = Some(RunId::new());
    let made = f.made(NewRun { id, ..numbered("work", 1) }).await;
    assert_eq!(Some(made.id), id);
    let again = f.enqueue_one(NewRun { id, ..numbered("work", 1) }).await.unwrap();
    assert_eq!((again.outcome, again.applied.run), (Enqueue::Existing, made));
    let error = refused(f.enqueue_one(NewRun { id, ..numbered("work", 2) }).await);
    assert_eq!(error.code(), ErrorCode::Conflict);
}

/// S6.
pub async fn one_bad_item_of_a_batch_never_fails_its_neighbours(f: Fixture) {
    let bad = NewRun { project_id: Some("nowhere".to_owned()), ..of_kind("work") };
    let batch = vec![numbered("work", 1), bad, numbered("work", 2)];
    let answers = f.enqueue(batch, Batch::EachAlone).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(f.take("w", 9).await.len(), 2);
}

/// All of a batch, or none of it.
pub async fn a_batch_made_whole_leaves_nothing_when_one_item_is_refused(f: Fixture) {
    let old = f.made(keyed("old", Json::empty_object())).await;
    let bad = NewRun { agent_task_id: Some("T-404".to_owned()), ..of_kind("work") };
    let batch = vec![keyed("new", Json::empty_object()), keyed("old", Json::empty_object()), bad];
    let answers = f.enqueue(batch.clone(), Batch::AllOrNothing).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    assert!(answers[2].as_ref().unwrap_err().message().contains("T-404"));
    assert_eq!(f.store.find_by_key(&f.caller, "new").await.unwrap(), None);
    assert_eq!(f.get(old.id).await, old);
    let answers = f.enqueue(batch[..2].to_vec(), Batch::AllOrNothing).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// A reference to nothing is refused with the command that makes it.
pub async fn an_unknown_project_or_agent_task_is_refused_with_its_command(f: Fixture) {
    let project = NewRun { project_id: Some("nowhere".to_owned()), ..of_kind("work") };
    let task = NewRun { agent_task_id: Some("T-9".to_owned()), ..of_kind("work") };
    let cases = [
        (project, "/projectId", "sprongus projects create nowhere"),
        (task, "/agentTaskId", "sprongus agent-tasks create T-9"),
    ];
    for (new, pointer, command) in cases {
        let error = refused(f.enqueue_one(new).await);
        assert_eq!(error.code(), ErrorCode::Validation);
        assert!(error.hint().contains(command), "{}", error.hint());
        assert_eq!(error.fields().iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>(), [pointer]);
    }
}

/// The same request twice in one batch is one run.
pub async fn a_key_twice_in_one_batch_is_one_run(f: Fixture) {
    let one = keyed("k", Json::empty_object());
    let answers = f.enqueue(vec![one.clone(), one], Batch::EachAlone).await;
    let runs: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(runs[0].applied.run.id, runs[1].applied.run.id);
    assert_eq!((runs[0].outcome, runs[1].outcome), (Enqueue::Created, Enqueue::Existing));
}

/// One item after the other: one whose id is another workspace's is refused, though a later item has made the run of its key.
pub async fn an_item_never_finds_what_a_later_one_of_its_batch_made(f: Fixture) {
    let theirs = f.tenant("other").await.made(of_kind("work")).await;
    let taken = NewRun { id: Some(theirs.id), ..keyed("k", Json::empty_object()) };
    let answers = f.enqueue(vec![taken, keyed("k", Json::empty_object())], Batch::EachAlone).await;
    assert_eq!(answers[0].as_ref().unwrap_err().code(), ErrorCode::Conflict);
    assert_eq!(answers[1].as_ref().unwrap().outcome, Enqueue::Created);
}

/// S6: what a later item says of its own is looked at, whatever an earlier one with its id said.
pub async fn an_id_twice_in_one_batch_is_checked_twice(f: Fixture) {
    for batch in [Batch::EachAlone, Batch::AllOrNothing] {
        let id = Some(RunId::new());
        let fine = NewRun { id, ..of_kind("work") };
        let nowhere = NewRun { project_id: Some("nowhere".to_owned()), ..fine.clone() };
        let answers = f.enqueue(vec![fine.clone(), nowhere.clone(), fine], batch).await;
        let error = answers[1].as_ref().unwrap_err();
        assert_eq!((error.code(), error.message()), (ErrorCode::Validation, "no such project: nowhere"));
        let made = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(made, if batch == Batch::EachAlone { 2 } else { 0 });
    }
}
