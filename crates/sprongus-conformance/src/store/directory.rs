//! What stands around the runs, and the figures over them.

use std::time::Duration;

use serde_json::json;
use sprongus_core::calendar::zone::ZoneData;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{StepReport, StepStatus};
use sprongus_core::run::{Due, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{NewAgentTask, Worker, WorkerInfo};
use sprongus_core::{Caller, ErrorCode};
use tokio::time::Instant;

use crate::fixture::{Fixture, failure, of_kind, refused, step, success, worker};

fn titled(id: &str, title: &str) -> NewAgentTask {
    NewAgentTask { title: Some(title.to_owned()), ..NewAgentTask::new(id.parse().unwrap()) }
}

/// How long an event may take to come into the stream.
const PATIENCE: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_secs(3_600);

fn info(id: &str) -> WorkerInfo {
    let kinds = Some(vec!["work".parse().unwrap()]);
    let (host, version) = ("host".to_owned(), "1.2.3".to_owned());
    let zone_data = Some(ZoneData { source: "/zones".to_owned(), version: "2026f".to_owned() });
    WorkerInfo { id: worker(id), kinds, host, pid: 77, version, concurrency: 4, zone_data }
}

/// Making what is there is no error and changes nothing.
pub async fn making_a_place_twice_is_making_it_once(f: Fixture) {
    let project = f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    let task = f.store.create_agent_task(&f.caller, &titled("T", "one")).await.unwrap();
    let workspace = f.store.create_workspace(&f.caller, &"w".parse().unwrap()).await.unwrap();
    f.turn(Duration::from_secs(1));
    assert_eq!(f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap(), project);
    let again = f.store.create_agent_task(&f.caller, &titled("T", "two")).await.unwrap();
    assert_eq!(again, task);
    assert_eq!(f.store.create_workspace(&f.caller, &"w".parse().unwrap()).await.unwrap(), workspace);
    assert_eq!(f.store.projects(&f.caller).await.unwrap(), [project]);
    assert_eq!(f.store.agent_tasks(&f.caller).await.unwrap(), [task]);
    let all = f.store.workspaces().await.unwrap();
    let names: Vec<_> = all.iter().map(|workspace| workspace.id.as_str()).collect();
    assert_eq!(names, ["default", "w"]);
}

/// Agent tasks come newest first, a hundred at most.
pub async fn agent_tasks_come_newest_first(f: Fixture) {
    for number in 0..103 {
        let new = NewAgentTask::new(format!("T{number}").parse().unwrap());
        f.store.create_agent_task(&f.caller, &new).await.unwrap();
        f.turn(Duration::from_millis(1));
    }
    let tasks = f.store.agent_tasks(&f.caller).await.unwrap();
    assert_eq!((tasks.len(), tasks[0].id.as_str(), tasks[99].id.as_str()), (100, "T102", "T3"));
}

/// A worker is there as long as it says so.
pub async fn a_worker_is_seen_drained_forgotten_and_missed(f: Fixture) {
    assert!(!f.store.see_worker(&f.caller, &info("w1")).await.unwrap());
    f.store.see_worker(&f.caller, &info("w2")).await.unwrap();
    f.store.drain_worker(&f.caller, &worker("w1")).await.unwrap();
    let error = refused(f.store.drain_worker(&f.caller, &worker("w9")).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such worker: w9"));
    f.turn(Duration::from_secs(10));
    assert!(f.store.see_worker(&f.caller, &info("w1")).await.unwrap(), "it is told to drain");
    f.turn(Duration::from_secs(10));
    let workers = f.store.workers(&f.caller).await.unwrap();
    assert_eq!(workers.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["w1"], "w2 is not heard of");
    assert!(workers[0].draining && workers[0].kinds == info("w1").kinds);
    assert_eq!((workers[0].pid, workers[0].concurrency), (Some(77), 4));
    assert_eq!(workers[0].zone_data, info("w1").zone_data);
    f.store.see_worker(&f.caller, &WorkerInfo { zone_data: None, ..info("w1") }).await.unwrap();
    assert_eq!(f.store.workers(&f.caller).await.unwrap()[0].zone_data, None, "its last word counts");
    f.store.forget_worker(&f.caller, &worker("w1")).await.unwrap();
    f.store.forget_worker(&f.caller, &worker("w1")).await.unwrap();
    assert!(f.store.workers(&f.caller).await.unwrap().is_empty());
}

/// Whoever asks with another API token, or none, neither overwrites nor removes a worker that lives, and is told nothing of it.
pub async fn nobody_speaks_for_the_worker_of_another_api_token(f: Fixture) {
    let (own, other) = (f.with_token(), f.with_token());
    own.store.see_worker(&own.caller, &info("w1")).await.unwrap();
    let before = f.store.workers(&f.caller).await.unwrap();
    for stranger in [&other, &f] {
        let word = WorkerInfo { host: "elsewhere".to_owned(), kinds: None, ..info("w1") };
        let errors = [
            refused(f.store.see_worker(&stranger.caller, &word).await),
            refused(f.store.forget_worker(&stranger.caller, &worker("w1")).await),
        ];
        for error in errors {
            assert_eq!(
                (error.code(), error.message()),
                (ErrorCode::Conflict, "the worker id is already in use")
            );
        }
    }
    assert_eq!(f.store.workers(&f.caller).await.unwrap(), before);
    f.store.drain_worker(&f.caller, &worker("w1")).await.unwrap();
    assert!(own.store.see_worker(&own.caller, &info("w1")).await.unwrap(), "it still speaks for itself");
    f.turn(Worker::GONE_AFTER);
    other.store.see_worker(&other.caller, &info("w1")).await.unwrap();
    assert_eq!(refused(f.store.forget_worker(&own.caller, &worker("w1")).await).code(), ErrorCode::Conflict);
    other.store.forget_worker(&other.caller, &worker("w1")).await.unwrap();
    f.store.forget_worker(&f.caller, &worker("w1")).await.unwrap();
}

/// A paused kind is listed as such, with who did it and when; doing again what is done changes neither.
pub async fn a_kind_is_paused_and_resumed(f: Fixture) {
    let kind = "sync.aux/props".parse().unwrap();
    assert!(f.store.pause_kind(&f.caller, &kind, true).await.unwrap().paused);
    assert!(f.store.kinds(&f.caller).await.unwrap()[0].paused);
    assert!(!f.store.pause_kind(&f.caller, &kind, false).await.unwrap().paused);
    assert!(f.store.kinds(&f.caller).await.unwrap().iter().all(|setting| !setting.paused));

    let amy = Caller::new(f.caller.workspace.clone(), "amy");
    f.turn(Duration::from_secs(5));
    let since = f.now();
    let paused = f.store.pause_kind(&amy, &kind, true).await.unwrap();
    assert_eq!((paused.changed_by.as_deref(), paused.changed_at), (Some("amy"), Some(since)));
    f.turn(Duration::from_secs(5));
    assert_eq!(f.store.pause_kind(&f.caller, &kind, true).await.unwrap(), paused, "it was paused already");
    assert_eq!(f.store.kinds(&f.caller).await.unwrap(), [paused]);
    let resumed = f.store.pause_kind(&f.caller, &kind, false).await.unwrap();
    assert_eq!((resumed.changed_by.as_deref(), resumed.changed_at), (Some("tester"), Some(f.now())));
}

/// The figures count what is due, later, running and ended, each run once.
pub async fn the_figures_count_each_run_once(f: Fixture) {
    let done = f.held(of_kind("a")).await;
    f.turn(Duration::from_secs(4));
    f.finish(&done, success(json!(1))).await.unwrap();
    let again = f.made(of_kind("a")).await;
    for _ in 0..2 {
        f.cancel(again.id).await.unwrap();
        f.retry(again.id).await.unwrap();
    }
    f.cancel(again.id).await.unwrap();
    let waiting = f.held(of_kind("a")).await;
    f.wait(&waiting, None).await.unwrap();
    f.held(of_kind("a")).await;
    f.made(NewRun { due: Due::After(Duration::from_secs(60)), ..of_kind("a") }).await;
    f.made(of_kind("a")).await;
    f.turn(Duration::from_secs(3));
    f.made(of_kind("b")).await;
    f.store.see_worker(&f.caller, &info("w1")).await.unwrap();
    let stats = f.store.stats(&f.caller).await.unwrap();
    let a = &stats.kinds["a"];
    assert_eq!((a.due, a.later, a.waiting, a.running, a.oldest_due_ms), (1, 1, 1, 1, Some(3_000)));
    assert_eq!((stats.kinds["b"].due, stats.workers), (1, 1));
    assert_eq!(stats.ended_last_hour, [(State::Succeeded, 1), (State::Canceled, 1)].into());
    assert_eq!((stats.wait_p50_ms, stats.run_p50_ms), (Some(0), Some(4_000)));
    f.turn(Duration::from_secs(3_601));
    let later = f.store.stats(&f.caller).await.unwrap();
    assert!(later.ended_last_hour.is_empty());
    assert_eq!((later.wait_p50_ms, later.run_p50_ms), (None, None));
}

/// The figures are the same before events are added up, while some are and when all are, for all projects and for one.
pub async fn the_figures_do_not_depend_on_what_was_added_up(f: Fixture) {
    f.store.create_project(&f.caller, &"p".parse().unwrap()).await.unwrap();
    let narrowed = f.narrowed(&["p"]);
    let mut again = Vec::new();
    for number in 0..12_u64 {
        let project = (number % 3 == 0).then(|| "p".parse().unwrap());
        let new = NewRun { project_id: project, max_attempts: Some(1), ..of_kind("a") };
        let id = if number % 4 == 3 {
            f.cancel(f.made(new).await.id).await.unwrap().run.id
        } else {
            let hold = f.held(new).await;
            f.turn(Duration::from_millis(20 + number * 700));
            let tokens = StepReport { tokens_in: Some(number), ..step(0, "ask", StepStatus::Completed) };
            f.record(&hold, vec![tokens], vec![]).await.unwrap();
            let outcome = if number % 4 == 2 { failure("no") } else { success(json!(1)) };
            f.finish(&hold, outcome).await.unwrap().run.id
        };
        if number > 9 {
            again.push(id);
        }
    }
    for id in again {
        f.retry(id).await.unwrap();
        f.cancel(id).await.unwrap();
        f.retry(id).await.unwrap();
    }
    let [all, some] = [&f, &narrowed].map(|f| f.store.stats(&f.caller));
    let (all, some) = (all.await.unwrap(), some.await.unwrap());
    let ended = [(State::Succeeded, 6), (State::Failed, 2), (State::Canceled, 2)];
    assert_eq!(all.ended_last_hour, ended.into());
    assert_eq!(
        some.ended_last_hour,
        [(State::Succeeded, 2), (State::Failed, 1), (State::Canceled, 1)].into()
    );
    assert_eq!((all.wait_p50_ms, all.run_p99_ms), (Some(0), Some(7_020)));
    assert_eq!((some.run_p99_ms, all.kinds["a"].due), (Some(6_320), 2));
    assert_eq!((all.tokens_in_last_hour, some.tokens_in_last_hour), (45, 15));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let added = f.store.roll_up(&f.caller, 7).await.unwrap();
        assert_eq!(f.store.stats(&f.caller).await.unwrap(), all);
        assert_eq!(narrowed.store.stats(&narrowed.caller).await.unwrap(), some);
        let minutes =
            f.store.minutes(&f.caller, Timestamp::from_millis(0), f.now().plus(HOUR)).await.unwrap();
        if added == 0 && minutes.iter().map(|minute| minute.counts.started).sum::<u64>() == 9 {
            break;
        }
        assert!(Instant::now() < deadline, "{minutes:?}");
    }
    f.turn(HOUR * 3);
    f.made(of_kind("a")).await;
    while f.store.roll_up(&f.caller, 7).await.unwrap() > 0 {}
    assert!(f.store.stats(&f.caller).await.unwrap().ended_last_hour.is_empty());
}

/// Agent tasks belong to a project or to all of the workspace. Who is narrowed sees, names and makes those of his projects, and is not
/// told whether another one is there.
pub async fn a_narrowed_caller_knows_the_agent_tasks_of_its_projects_alone(f: Fixture) {
    for project in ["p", "q"] {
        f.store.create_project(&f.caller, &project.parse().unwrap()).await.unwrap();
    }
    let (p, q) = (f.narrowed(&["p"]), f.narrowed(&["q"]));
    let of = |id: &str, project: Option<&str>| NewAgentTask {
        project_id: project.map(|project| project.parse().unwrap()),
        ..NewAgentTask::new(id.parse().unwrap())
    };
    let make = async |f: &Fixture, id: &str, project: Option<&str>| {
        f.store.create_agent_task(&f.caller, &of(id, project)).await
    };
    let mine = make(&p, "mine", Some("p")).await.unwrap();
    let theirs = make(&q, "theirs", Some("q")).await.unwrap();
    assert_eq!(make(&f, "wide", None).await.unwrap().project_id, None);
    assert_eq!(make(&p, "mine", Some("p")).await.unwrap(), mine);
    assert_eq!(make(&f, "theirs", None).await.unwrap(), theirs, "no project named is any");
    assert_eq!(p.store.agent_tasks(&p.caller).await.unwrap(), [mine]);
    assert_eq!(q.store.agent_tasks(&q.caller).await.unwrap(), [theirs]);
    assert_eq!(f.store.agent_tasks(&f.caller).await.unwrap().len(), 3);
    for (asker, id, project) in [(&p, "theirs", "p"), (&p, "wide", "p"), (&f, "mine", "q")] {
        let error = refused(make(asker, id, Some(project)).await);
        assert_eq!((error.code(), error.message()), (ErrorCode::Conflict, "the id or key is taken"));
    }
    let error = refused(make(&f, "new", Some("nowhere")).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::Validation, "no such project: nowhere"));
    let run = |id: &str| NewRun {
        project_id: Some("p".to_owned()),
        agent_task_id: Some(id.to_owned()),
        ..of_kind("work")
    };
    for id in ["theirs", "wide", "nowhere"] {
        let error = refused(p.enqueue_one(run(id)).await);
        let message = format!("no such agent task: {id}");
        assert_eq!((error.code(), error.message()), (ErrorCode::Validation, message.as_str()));
        // The second of two items under one id is looked at by itself.
        let id_of = Some(sprongus_core::values::ids::RunId::new());
        let batch = vec![NewRun { id: id_of, ..run("mine") }, NewRun { id: id_of, ..run(id) }];
        let answers = p.enqueue(batch, Batch::EachAlone).await;
        assert!(answers[0].is_ok());
        assert_eq!(answers[1].as_ref().unwrap_err().message(), message);
    }
    p.made(run("mine")).await;
    f.made(run("theirs")).await;
}
