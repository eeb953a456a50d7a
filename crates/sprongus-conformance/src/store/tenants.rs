//! S7: two workspaces in one store, and callers narrowed to projects.

use std::time::Duration;

use serde_json::json;
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::retention::Retention;
use sprongus_core::run::step::StepStatus;
use sprongus_core::run::{Answer, Enqueue, Hold, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::ids::{RunId, StepId};
use sprongus_core::{Error, ErrorCode};

use super::artifact::{named, written};
use crate::fixture::{Fixture, line, of_kind, refused, step, success};

/// Every way to name a run, used on one the caller may not see.
async fn every_verb(f: &Fixture, hold: &Hold) -> Vec<Error> {
    let id = hold.id;
    let held = || hold.clone();
    let step_id = StepId::of(id, hold.epoch, 0);
    let comment = Some("c".to_owned());
    let changes = [
        RunCommand::Cancel,
        RunCommand::Retry { if_epoch: None },
        RunCommand::Answer { step_id: None, answer: Answer::Rejected, comment },
        RunCommand::Wait { hold: held(), step_id, timeout: None },
        RunCommand::Progress { hold: held(), percent: 1, message: None },
        RunCommand::Cleaned { hold: held(), gone_at: f.now() },
    ];
    let mut errors = Vec::new();
    for change in changes {
        errors.push(refused(f.apply(id, change).await));
    }
    errors.push(refused(f.beat(hold).await));
    errors.push(refused(f.finish(hold, success(json!(1))).await));
    let report = vec![step(0, "x", StepStatus::Running)];
    errors.push(refused(f.record(hold, report, vec![line("x", f.now())]).await));
    let file = written(named("a"), "l/1");
    errors.push(refused(f.store.drop_file(&f.caller, hold, &file.name).await));
    errors.push(refused(f.store.file(&f.caller, id, &file.name).await));
    errors.push(refused(f.store.put_file(&f.caller, hold, file).await));
    errors.push(refused(f.store.artifacts(&f.caller, id).await));
    errors.push(refused(f.store.get(&f.caller, id).await));
    errors.push(refused(f.store.steps(&f.caller, id).await));
    errors.push(refused(f.store.events(&f.caller, id, 0, 10).await));
    errors.push(refused(f.store.logs(&f.caller, id, 0, 10).await));
    errors.push(refused(f.store.news(&f.caller, id, ReadSoFar::default()).await));
    errors
}

async fn answers_as_if_it_were_not_there(f: &Fixture, hold: &Hold) {
    for error in every_verb(f, hold).await {
        assert_eq!(error, Error::not_found(format_args!("run: {}", hold.id)));
    }
    let unknown = Hold { id: RunId::new(), ..hold.clone() };
    for error in every_verb(f, &unknown).await {
        assert_eq!(error, Error::not_found(format_args!("run: {}", unknown.id)));
    }
}

/// S7: another workspace's run is answered like one that does not exist, in every verb.
pub async fn a_run_of_another_workspace_does_not_exist(f: Fixture) {
    let other = f.tenant("other").await;
    let hold = f.held(of_kind("work")).await;
    let before = (f.get(hold.id).await, f.events(hold.id).await);
    answers_as_if_it_were_not_there(&other, &hold).await;
    assert_eq!((f.get(hold.id).await, f.events(hold.id).await), before);
    let foreign = NewRun { id: Some(hold.id), ..of_kind("other") };
    let error = refused(other.enqueue_one(foreign).await);
    assert_eq!(error.code(), ErrorCode::Conflict, "an id is one run's in the whole store");
}

/// S7: nothing of the other is claimed, expired, listed, counted, found or pruned.
pub async fn two_workspaces_go_their_own_ways(f: Fixture) {
    let other = f.tenant("other").await;
    let keyed = || NewRun { idempotency_key: Some("k".to_owned()), ..of_kind("work") };
    let mine = f.made(keyed()).await;
    let theirs = other.enqueue_one(keyed()).await.unwrap();
    assert_eq!(theirs.outcome, Enqueue::Created);
    f.store.pause_kind(&other.caller, &"work".parse().unwrap(), true).await.unwrap();
    assert!(other.take("w", 9).await.is_empty());
    assert_eq!(f.take("w", 9).await.iter().map(|one| one.run.id).collect::<Vec<_>>(), [mine.id]);
    let found = other.store.find_by_key(&other.caller, "k").await.unwrap().unwrap();
    assert_eq!(found.id, theirs.applied.run.id);
    let filter = ListFilter::default();
    assert_eq!(other.store.list(&other.caller, &filter).await.unwrap().data, [found]);
    f.turn(Duration::from_secs(30));
    assert!(other.expire().await.is_empty());
    assert_eq!(f.expire().await.len(), 1);
    f.cancel(mine.id).await.unwrap();
    f.turn(Duration::from_secs(400 * 86_400));
    assert!(other.store.prune(&other.caller, &Retention::default(), 9, false).await.unwrap().runs.is_empty());
    let stats = other.store.stats(&other.caller).await.unwrap();
    assert_eq!((stats.kinds["work"].due, stats.ended_last_hour.len()), (1, 0));
}

/// Deleting a workspace takes everything in it, and nothing else.
pub async fn a_deleted_workspace_takes_everything_along(f: Fixture) {
    let mine = f.made(of_kind("work")).await;
    let other = f.tenant("other").await;
    f.store.create_project(&other.caller, &"p".parse().unwrap()).await.unwrap();
    let theirs = other.held(NewRun { project_id: Some("p".to_owned()), ..of_kind("work") }).await;
    other.record(&theirs, vec![step(0, "x", StepStatus::Running)], vec![line("x", f.now())]).await.unwrap();
    let workspace = other.caller.workspace.clone();
    f.store.delete_workspace(&f.caller, &workspace).await.unwrap();
    let error = refused(f.store.delete_workspace(&f.caller, &workspace).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such workspace: other"));
    let prepared = sprongus_core::rules::enqueue::prepare(&of_kind("work"), None).unwrap();
    let batch = Batch::EachAlone;
    let error = refused(f.store.enqueue(&other.caller, vec![prepared], batch).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such workspace: other"));
    assert_eq!(f.get(mine.id).await, mine);
    let other = f.tenant("other").await;
    assert!(f.store.projects(&other.caller).await.unwrap().is_empty());
    assert_eq!(refused(f.store.get(&other.caller, theirs.id).await).code(), ErrorCode::NotFound);
}

/// A caller narrowed to projects sees and claims theirs alone; runs without a project are not among them.
pub async fn a_narrowed_caller_sees_its_projects_alone(f: Fixture) {
    for project in ["p", "q"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
    }
    let in_project = |id: &str| NewRun { project_id: Some(id.to_owned()), ..of_kind("work") };
    let system = f.held(of_kind("work")).await;
    let foreign = f.held(NewRun { idempotency_key: Some("k".to_owned()), ..in_project("q") }).await;
    let own = f.made(in_project("p")).await;
    let more = f.made(in_project("q")).await;
    let narrow = f.narrowed(&["p"]);
    for hold in [&system, &foreign] {
        answers_as_if_it_were_not_there(&narrow, hold).await;
    }
    assert_eq!(f.store.find_by_key(&narrow.caller, "k").await.unwrap(), None);
    let listed = f.store.list(&narrow.caller, &ListFilter::default()).await.unwrap().data;
    assert_eq!(listed, std::slice::from_ref(&own));
    let stats = f.store.stats(&narrow.caller).await.unwrap();
    assert_eq!((stats.kinds["work"].due, stats.kinds["work"].running), (1, 0));
    assert_eq!(narrow.take("w", 9).await.iter().map(|one| one.run.id).collect::<Vec<_>>(), [own.id]);
    assert_eq!(f.take("w", 9).await.iter().map(|one| one.run.id).collect::<Vec<_>>(), [more.id]);
}

/// A key or an id of a run that the caller may not see is taken, whatever was asked for under it; nothing more is told.
pub async fn a_key_or_id_of_what_one_may_not_see_is_taken(f: Fixture) {
    let other = f.tenant("other").await;
    for project in ["p", "q"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
    }
    let of = |project: &str| NewRun { project_id: Some(project.to_owned()), ..of_kind("work") };
    let key = Some("k".to_owned());
    let theirs = f.made(NewRun { idempotency_key: key.clone(), ..of("q") }).await;
    let systems = f.made(of_kind("work")).await;
    let p = f.narrowed(&["p"]);
    let taken = |error: Error| {
        assert_eq!((error.code(), error.message()), (ErrorCode::Conflict, "the id or key is taken"));
    };
    taken(refused(p.enqueue_one(NewRun { idempotency_key: key.clone(), ..of("p") }).await));
    for id in [theirs.id, systems.id] {
        taken(refused(p.enqueue_one(NewRun { id: Some(id), ..of("p") }).await));
        taken(refused(other.enqueue_one(NewRun { id: Some(id), ..of_kind("work") }).await));
    }
    let batch = vec![NewRun { idempotency_key: key.clone(), ..of("p") }, of("p")];
    let answers = p.enqueue(batch, Batch::AllOrNothing).await;
    taken(answers.into_iter().next().unwrap().unwrap_err());
    assert_eq!(p.store.find_by_key(&p.caller, "k").await.unwrap(), None);
    other.made(NewRun { idempotency_key: key, ..of_kind("work") }).await;
    assert_eq!(f.get(theirs.id).await, theirs);
}
