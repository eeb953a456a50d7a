//! What stands around the runs, and the refusals that are the same however they are asked for.

use std::time::Duration;

use serde_json::json;
use sprongus_core::calendar::zone::ZoneData;
use sprongus_core::json::Json;
use sprongus_core::rules;
use sprongus_core::rules::enqueue::{prepare, unknown_agent_task, unknown_project};
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{StepReport, StepStatus};
use sprongus_core::run::{ClaimRequest, Due, NewRun};
use sprongus_core::store::Batch;
use sprongus_core::values::names::{AgentTaskId, ProjectId};
use sprongus_core::workspace::directory::{NewAgentTask, WorkerInfo};
use sprongus_core::{Error, ErrorCode, RunsExt};

use super::Api;
use crate::fixture::{numbered, of_kind, only, refused, step, worker};

fn info(id: &str) -> WorkerInfo {
    let kinds = Some(vec!["work".parse().unwrap()]);
    let (host, version) = ("host".to_owned(), "1.2.3".to_owned());
    let zone_data = Some(ZoneData { source: "/zones".to_owned(), version: "2026f".to_owned() });
    WorkerInfo { id: worker(id), kinds, host, pid: 77, version, concurrency: 4, zone_data }
}

/// Two errors say the same to a caller, the hint included.
fn assert_same(error: &Error, wanted: &Error) {
    assert_eq!(error, wanted);
    assert_eq!(error.hint(), wanted.hint());
}

/// A run is made for what is there; the refusal says how to make it.
pub async fn what_a_run_is_made_for_must_be_there(api: Api) {
    let (project, task): (ProjectId, AgentTaskId) = ("drafts".parse().unwrap(), "T-1".parse().unwrap());
    let titled = |id: &AgentTaskId, title: &str| NewAgentTask {
        title: Some(title.to_owned()),
        ..NewAgentTask::new(id.clone())
    };
    let of_project = || NewRun { project_id: Some("drafts".to_owned()), ..of_kind("work") };
    let of_task = || NewRun { agent_task_id: Some("T-1".to_owned()), ..of_kind("work") };
    assert_same(&refused(api.runs.enqueue_one(of_project()).await), &unknown_project(&project));
    assert_same(&refused(api.runs.enqueue_one(of_task()).await), &unknown_agent_task(&task));
    let made = api.runs.create_project(&project).await.unwrap();
    let described = api.runs.create_agent_task(titled(&task, "the first")).await.unwrap();
    api.clock.turn(Duration::from_secs(1));
    assert_eq!(api.runs.create_project(&project).await.unwrap(), made, "the same again is no error");
    assert_eq!(api.runs.create_agent_task(titled(&task, "another")).await.unwrap(), described);
    assert_eq!(api.runs.projects().await.unwrap(), [made]);
    assert_eq!(api.runs.agent_tasks().await.unwrap(), [described]);
    let run = api.runs.enqueue_one(of_project()).await.unwrap().run;
    assert_eq!(run.project_id, Some(project));
    assert_eq!(api.runs.enqueue_one(of_task()).await.unwrap().run.agent_task_id, Some(task));
    let long = "x".repeat(513);
    let error = refused(api.runs.create_agent_task(titled(&"T-2".parse().unwrap(), &long)).await);
    assert_eq!(error.message(), "a title must be at most 512 bytes of printable text");
}

/// A worker says that it lives, is told to stop claiming, and says that it has stopped. Its name may hold what a path may not.
pub async fn a_worker_is_seen_drained_and_forgotten(api: Api) {
    let name = "build-7:4@rack.1:drain";
    assert!(!api.runs.see_worker(&info(name)).await.unwrap());
    api.runs.enqueue_one(of_kind("work")).await.unwrap();
    let hold = api.runs.claim_next(&worker(name), 1).await.unwrap()[0].hold();
    assert!(!api.runs.heartbeat(vec![hold.clone()], None).await.unwrap()[0].as_ref().unwrap().drain);
    api.runs.drain_worker(&worker(name)).await.unwrap();
    assert!(api.runs.see_worker(&info(name)).await.unwrap(), "it is told to drain");
    assert!(api.runs.heartbeat(vec![hold], None).await.unwrap()[0].as_ref().unwrap().drain);
    let workers = api.runs.workers().await.unwrap();
    let [one] = &workers[..] else { panic!("one worker: {workers:?}") };
    assert_eq!((one.id.as_str(), one.draining, one.seen_at), (name, true, api.now()));
    assert_eq!(
        (one.pid, one.concurrency, one.host.as_deref(), &*one.version),
        (Some(77), 4, Some("host"), "1.2.3")
    );
    assert_eq!((&one.kinds, &one.zone_data), (&info(name).kinds, &info(name).zone_data));
    api.runs.forget_worker(&worker(name)).await.unwrap();
    api.runs.forget_worker(&worker(name)).await.unwrap();
    assert!(api.runs.workers().await.unwrap().is_empty());
    let error = refused(api.runs.drain_worker(&worker("w9")).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "no such worker: w9"));
}

/// The figures count what is due, later, running and ended.
pub async fn the_figures_are_told(api: Api) {
    let done = api.held(of_kind("a")).await;
    api.clock.turn(Duration::from_secs(4));
    let asked =
        StepReport { tokens_in: Some(1_840), tokens_out: Some(212), ..step(0, "ask", StepStatus::Completed) };
    api.runs.record(&done, vec![asked], vec![]).await.unwrap();
    api.runs.succeed(&done, None, None).await.unwrap();
    api.held(of_kind("a")).await;
    api.runs.enqueue_one(of_kind("a")).await.unwrap();
    let later = NewRun { due: Due::After(Duration::from_secs(60)), ..of_kind("a") };
    let run = api.runs.enqueue_one(later).await.unwrap().run;
    assert_eq!(run.run_at, api.now().plus(Duration::from_secs(60)));
    api.clock.turn(Duration::from_secs(3));
    api.runs.see_worker(&info("w1")).await.unwrap();
    let stats = api.runs.stats().await.unwrap();
    let a = &stats.kinds["a"];
    assert_eq!((a.due, a.later, a.running, a.oldest_due_ms), (1, 1, 1, Some(3_000)));
    assert_eq!(stats.ended_last_hour, [(State::Succeeded, 1)].into());
    assert_eq!((stats.wait_p50_ms, stats.run_p99_ms, stats.workers), (Some(0), Some(4_000), 1));
    assert_eq!((stats.tokens_in_last_hour, stats.tokens_out_last_hour), (1_840, 212));
}

/// What is refused is refused in the rule's own words: code, message, hint and every field.
pub async fn a_refusal_has_the_words_of_its_rule(api: Api) {
    let tags = (0..17).map(|n| (format!("t{n}"), String::new())).collect();
    let (secret, key) = (format!("{}_{}", "ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"), "k".repeat(256));
    let bad = [
        NewRun { kind: "-x".to_owned(), priority: Some(101), max_attempts: Some(0), ..NewRun::default() },
        NewRun { project_id: Some("No".to_owned()), agent_task_id: Some("no no".to_owned()), ..of_kind("a") },
        NewRun { idempotency_key: Some(key), ..of_kind("a") },
        NewRun { due: Due::After(Duration::from_secs(u64::MAX / 1_000)), ..of_kind("a") },
        NewRun { tags, ..of_kind("a") },
        NewRun::new("a", Json::from_value(json!({"a": {"token": secret}}))),
    ];
    for new in bad {
        let wanted = prepare(&new, None).unwrap_err();
        for batch in [Batch::EachAlone, Batch::AllOrNothing] {
            let alone = only(api.runs.enqueue(vec![new.clone()], batch).await.unwrap());
            assert_same(&refused(alone), &wanted);
            let with_others = vec![numbered("work", 1), new.clone()];
            let mut answers = api.runs.enqueue(with_others, batch).await.unwrap();
            assert_same(&refused(answers.remove(1)), &wanted);
        }
    }
    let claims = [
        ClaimRequest { limit: 0, ..ClaimRequest::new(worker("w"), 1) },
        ClaimRequest { wait: Duration::from_secs(61), ..ClaimRequest::new(worker("w"), 1) },
        ClaimRequest { lease: Duration::from_millis(999), ..ClaimRequest::new(worker("w"), 1) },
    ];
    for request in claims {
        let wanted = rules::claim::check(&request).unwrap_err();
        assert_same(&refused(api.runs.claim(request).await), &wanted);
    }
    let filter = ListFilter { limit: 101, ..ListFilter::default() };
    let wanted = filter.position(&"default".parse().unwrap()).unwrap_err();
    assert_same(&refused(api.runs.list(&filter).await), &wanted);
}
