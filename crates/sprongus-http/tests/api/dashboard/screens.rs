//! What each screen shows, and to whom.

use std::sync::Arc;

use serde_json::{Value, json};
use sprongus_conformance::clock::TurnedClock;
use sprongus_conformance::model::Model;
use sprongus_core::workspace::token::Scope;
use sprongus_postgres::{Durability, Options, Postgres, migrate};
use sprongus_throwaway::Database;

use super::browser::Browser;
use crate::scene::{Scene, play};

/// A workspace in which something of everything has happened; the runs' ids.
pub struct Seeded {
    pub queued: String,
    pub running: String,
    pub succeeded: String,
    pub failed: String,
    pub waiting: String,
}

pub async fn seed(scene: &Scene) -> Seeded {
    let hold = |more: Value| {
        let mut body = json!({"workerId": "w", "epoch": 1});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let worker =
        json!({"host": "builder", "pid": 7, "version": "1.2.3", "concurrency": 4, "kinds": ["run.long"]});
    scene.ask(&scene.all, "PUT", "/v1/workers/w", Some(worker)).await;
    scene.post("/v1/projects", json!({"id": "films"})).await.is(201);
    let body = json!({
        "kind": "script.pull", "projectId": "films", "input": {"path": "a.txt", "deep": {"list": [1, 2]}},
        "tags": {"team": "blue"}, "idempotencyKey": "key-1"
    });
    let queued = scene.post("/v1/runs", body).await.is(201)["id"].as_str().unwrap().to_owned();
    let running = scene.held("run.long").await;
    let verb = |id: &str, verb: &str| format!("/v1/runs/{id}:{verb}");
    scene.post(&verb(&running, "progress"), hold(json!({"progress": 40}))).await.is(200);
    let step = json!({"name": "fetch", "phase": "execution", "type": "ai_action", "status": "completed", "ordinal": 0,
        "output": "fetched it", "tokensIn": 1200, "tokensOut": 34});
    scene.post(&verb(&running, "step"), hold(step)).await.is(200);
    let lines = json!({"lines": [{"stream": "stdout", "step": "fetch", "text": "hello log"}, {"stream": "stderr", "text": "oh no"}]});
    scene.post(&verb(&running, "log"), hold(lines)).await.is(200);
    let succeeded = scene.held("run.short").await;
    scene.post(&verb(&succeeded, "succeed"), hold(json!({"result": {"answer": 42}}))).await.is(200);
    let failed = scene.held("run.bad").await;
    let error = json!({"error": "the disk is on fire", "retryable": false});
    scene.post(&verb(&failed, "fail"), hold(error)).await.is(200);
    let waiting = scene.held("run.gated").await;
    let step =
        json!({"name": "sign-off", "phase": "validation", "type": "gate", "status": "running", "ordinal": 0});
    scene.post(&verb(&waiting, "step"), hold(step)).await.is(200);
    let id = scene.get(&format!("/v1/runs/{waiting}/steps")).await.is(200)["data"][0]["id"].clone();
    scene.post(&verb(&waiting, "wait"), hold(json!({"stepId": id}))).await.is(200);
    Seeded { queued, running, succeeded, failed, waiting }
}

#[track_caller]
pub fn shows(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "{part:?} is not on\n{page}");
    }
}

async fn every_screen(scene: Scene) {
    let runs = seed(&scene).await;
    let browser = Browser::of(&scene, &scene.all).await;
    let overview = browser.page("/").await;
    shows(
        &overview,
        &[
            "script.pull",
            "builder",
            "the disk is on fire",
            &runs.running,
            "40 %",
            "succeeded",
            "in, last hour · 34 out",
            "· 1,200 tokens in, 34 out",
            "As a table",
            "no worker",
        ],
    );
    let list = browser.page("/runs").await;
    for id in [&runs.queued, &runs.running, &runs.succeeded, &runs.failed, &runs.waiting] {
        shows(&list, &[id]);
    }
    shows(&list, &["team=blue", "waiting for approval, ", "Selected runs"]);
    let run = browser.page(&format!("/runs/{}", runs.running)).await;
    shows(
        &run,
        &["hello log", "oh no", "fetched it", "1,200 tokens in, 34 out", "Attempt 1 on w", "Cancel…"],
    );
    assert!(!run.contains("run.progressed"), "progress is left out of the history");
    let everything = browser.page(&format!("/runs/{}?what=everything&step=fetch", runs.running)).await;
    let live = format!("data-live=\"/live/runs/{}?what=everything\"", runs.running);
    shows(&everything, &["run.progressed", "Hide it", "Attempt 1 on w", &live]);
    let queued = browser.page(&format!("/runs/{}", runs.queued)).await;
    shows(
        &queued,
        &[
            "Waiting for a worker: no worker serves its kind",
            "key-1",
            "films",
            "a.txt",
            "2 items",
            "Not started",
        ],
    );
    let failed = browser.page(&format!("/runs/{}", runs.failed)).await;
    shows(&failed, &["the disk is on fire", "Failed <time", "Retry…"]);
    let succeeded = browser.page(&format!("/runs/{}", runs.succeeded)).await;
    shows(&succeeded, &["answer", "42"]);
    assert!(
        !succeeded.contains("Cancel…") && !succeeded.contains("Retry…"),
        "there is nothing to do about it"
    );
    let waiting = browser.page(&format!("/runs/{}", runs.waiting)).await;
    shows(&waiting, &["Waiting for approval of sign-off", "Approve", "Reject"]);
    shows(&browser.page("/kinds").await, &["script.pull", "Pause"]);
    let schedule = json!({"kind": "script.pull", "cron": "30 2 * * *", "timeZone": "Europe/Berlin"});
    scene.ask(&scene.all, "PUT", "/v1/schedules/nightly", Some(schedule)).await.is(200);
    shows(&browser.page("/schedules").await, &["nightly", "30 2 * * *", "active"]);
    shows(
        &browser.page("/schedules/nightly").await,
        &["At 02:30 every day", "comes twice and fires the first"],
    );
    shows(&browser.page("/workers").await, &["builder", "1.2.3", &runs.running, "Drain"]);
    shows(&browser.page("/tokens").await, &["(this session)", "runs:approve"]);
    shows(
        &browser.page(&format!("/runs/{}/cancel", runs.running)).await,
        &["Cancel this run?", &runs.running],
    );
    shows(&browser.page(&format!("/runs/{}/retry", runs.failed)).await, &["Retry this run?"]);
    shows(&browser.page("/workers/w/drain").await, &["Drain this worker?"]);
}

#[test]
fn every_screen_shows_what_there_is() {
    play(|| async { every_screen(Scene::new().await).await });
}

#[test]
fn every_screen_shows_what_the_model_says() {
    play(|| async {
        let model = Arc::new(Model::new(Arc::new(TurnedClock::new())));
        every_screen(Scene::on(model).await).await;
    });
}

#[test]
fn every_screen_shows_what_postgres_says() {
    play(|| async {
        let database = migrated();
        let options = Options { durability: Durability::AsConfigured, ..Options::default() };
        let store = Postgres::connect(&database.url("sprongus_app"), options).await.unwrap();
        every_screen(Scene::on(Arc::new(store)).await).await;
        drop(database);
    });
}

fn migrated() -> Database {
    Database::copy_of("template_of_dashboards", |url| {
        // A thread of its own, for the caller is inside of a runtime.
        std::thread::scope(|scope| {
            let migrating = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(migrate(url, &Options::default(), Some("sprongus_app"))).unwrap();
            });
            migrating.join().unwrap();
        });
    })
}

#[test]
fn a_run_page_says_why_the_run_is_in_its_state() {
    play(|| async {
        let scene = Scene::new().await;
        let browser = Browser::of(&scene, &scene.all).await;
        let says = async |id: &str, what: &str| shows(&browser.page(&format!("/runs/{id}")).await, &[what]);
        let id = scene.enqueue("a").await;
        says(&id, "Waiting for a worker: no worker serves its kind").await;
        let worker = json!({"host": "h", "pid": 7, "version": "1", "concurrency": 4});
        scene.ask(&scene.all, "PUT", "/v1/workers/w", Some(worker)).await;
        says(&id, "Waiting for a worker").await;
        scene.post("/v1/kinds:pause", json!({"kind": "a"})).await.is(200);
        says(&id, "Waiting for its kind, paused by").await;
        let later = scene.post("/v1/runs", json!({"kind": "b", "delayMs": 60_000})).await.is(201);
        says(later["id"].as_str().unwrap(), "Waiting for its scheduled time, due").await;
        let held = scene.held("c").await;
        says(&held, "Started").await;
        let failure = json!({"workerId": "w", "epoch": 1, "error": "once more", "retryInMs": 60_000});
        scene.post(&format!("/v1/runs/{held}:fail"), failure).await.is(200);
        says(&held, "Waiting for its next attempt, after a failure, due").await;
        let claim = json!({"workerId": "silent", "limit": 1, "kinds": ["d"]});
        let lost = scene.enqueue("d").await;
        scene.post("/v1/runs:claim", claim).await.is(200);
        says(&lost, "Its worker is not responding").await;
    });
}

#[test]
fn where_there_is_nothing_a_page_says_so() {
    play(|| async {
        let scene = Scene::new().await;
        let browser = Browser::of(&scene, &scene.all).await;
        shows(
            &browser.page("/").await,
            &["No runs are running", "No failed runs", "No workers are running", "No activity"],
        );
        shows(&browser.page("/runs").await, &["No runs yet"]);
        shows(&browser.page("/runs?state=failed").await, &["No runs match these filters"]);
        shows(&browser.page("/kinds").await, &["No runs are queued or running"]);
    });
}

#[test]
fn a_list_is_filtered_by_its_url() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        for (query, found) in [
            ("state=failed", &runs.failed),
            ("kind=run.short&state=", &runs.succeeded),
            ("projectId=films", &runs.queued),
            ("tag=team%3Dblue", &runs.queued),
            ("state=running&since=2h", &runs.running),
            ("idempotencyKey=key-1", &runs.queued),
        ] {
            let page = browser.page(&format!("/runs?{query}")).await;
            let all = [&runs.queued, &runs.running, &runs.succeeded, &runs.failed, &runs.waiting];
            let there: Vec<_> = all.into_iter().filter(|id| page.contains(id.as_str())).collect();
            assert_eq!(there, [found], "{query}");
        }
        assert_eq!(browser.page("/runs?before=2h").await.matches("class=\"id\"").count(), 0);
        let bad = browser.ask("/runs?state=done").await;
        assert_eq!(bad.status, 422);
        shows(&super::browser::well_made("/runs", &bad), &["not a state: done"]);
    });
}

#[test]
fn a_run_is_found_by_its_id_in_both_forms_and_by_its_key() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        let uuid = runs.queued.parse::<sprongus_core::values::ids::RunId>().unwrap().to_uuid_text();
        for search in [runs.queued.as_str(), uuid.as_str(), "key-1", "%20key-1%20"] {
            let reply = browser.ask(&format!("/runs?q={search}")).await;
            assert_eq!(
                (reply.status, reply.header("location")),
                (303, Some(format!("/runs/{}", runs.queued).as_str()))
            );
        }
        shows(&browser.page("/runs?q=nobody").await, &["No run has the id or key <code>nobody</code>"]);
    });
}

#[test]
fn a_long_list_is_paged_without_a_gap() {
    play(|| async {
        let scene = Scene::new().await;
        let many: Vec<Value> = (0..120).map(|_| json!({"kind": "a"})).collect();
        let made = scene.post("/v1/runs:batch", json!({"runs": many})).await.is(201);
        let mut left: Vec<String> = made["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["run"]["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(left.len(), 120);
        let browser = Browser::of(&scene, &scene.all).await;
        let (mut path, mut pages) = ("/runs?kind=a&since=1d".to_owned(), 0);
        loop {
            let page = browser.page(&path).await;
            pages += 1;
            left.retain(|id| !page.contains(id));
            let Some(place) = page.find("rel=\"next\" href=\"") else { break };
            path = page[place + 17..].split('"').next().unwrap().replace("&amp;", "&");
        }
        assert_eq!((left.len(), pages), (0, 3));
    });
}

#[test]
fn what_another_workspace_owns_is_not_there() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let token = scene.token("other", "them", &Scope::ALL).await;
        let them = Browser::of(&scene, &token).await;
        let below = ["", "/log", "/cancel", "/retry", "/artifacts/a.txt"];
        for path in below.map(|end| format!("/runs/{}{end}", runs.running)) {
            let (foreign, missing) = (
                them.ask(&path).await,
                them.ask(&path.replace(&runs.running, "01M80754D6E7K919GRYZ8BH27Q")).await,
            );
            assert_eq!((foreign.status, missing.status), (404, 404), "{path}");
            super::browser::well_made(&path, &foreign);
        }
        for verb in ["cancel", "retry", "approve", "reject"] {
            let fields = [("epoch", "1"), ("stepId", "01M80754D6E7K919GRYZ8BH27Q"), ("reason", "no")];
            assert_eq!(
                them.post(&format!("/runs/{}/{verb}", runs.running), &fields).await.status,
                404,
                "{verb}"
            );
        }
        assert_eq!(them.ask(&format!("/live/runs/{}", runs.running)).await.status, 404);
        for path in ["/", "/runs", "/kinds", "/workers", "/audit", "/tokens", "/runs?q=key-1"] {
            let page = them.page(path).await;
            for word in ["script.pull", "builder", "films", "fire"] {
                assert!(!page.contains(word), "{word} on {path}");
            }
        }
        assert_eq!(scene.get(&format!("/v1/runs/{}", runs.running)).await.is(200)["state"], "running");
    });
}

#[test]
fn a_narrowed_token_sees_its_projects_alone() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let scopes = [Scope::Read, Scope::Write];
        let token = scene.narrowed("default", "narrow", &scopes, Some(&["films"])).await;
        let narrow = Browser::of(&scene, &token).await;
        let overview = narrow.page("/").await;
        shows(&overview, &["script.pull", "limited to some"]);
        assert!(!overview.contains(&runs.running) && !overview.contains("fire"), "{overview}");
        let list = narrow.page("/runs").await;
        assert!(list.contains(&runs.queued) && !list.contains(&runs.running));
        assert_eq!(narrow.ask(&format!("/runs/{}", runs.running)).await.status, 404);
        assert_eq!(narrow.ask(&format!("/runs/{}", runs.queued)).await.status, 200);
    });
}

#[test]
fn a_reader_is_offered_no_actions_and_refused_them() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let token = scene.token("default", "reader", &[Scope::Read]).await;
        let reader = Browser::of(&scene, &token).await;
        for path in ["/".to_owned(), "/runs".to_owned(), "/kinds".to_owned(), "/workers".to_owned()]
            .into_iter()
            .chain([&runs.running, &runs.failed, &runs.waiting].map(|id| format!("/runs/{id}")))
        {
            let page = reader.page(&path).await;
            let forms = page.matches("<form").count();
            let other = page.matches("action=\"/logout\"").count() + page.matches("method=\"get\"").count();
            assert_eq!(forms, other, "{path} has a form that does something\n{page}");
            for word in ["Cancel…", "Retry…", "Drain", "Pause", ">Tokens<"] {
                assert!(!page.contains(word), "{word} on {path}");
            }
        }
        let one = format!("{}:1", runs.running);
        let posts: [(String, &[(&str, &str)]); 8] = [
            (format!("/runs/{}/cancel", runs.running), &[]),
            (format!("/runs/{}/retry", runs.failed), &[("epoch", "1")]),
            (format!("/runs/{}/approve", runs.waiting), &[("stepId", "01M80754D6E7K919GRYZ8BH27Q")]),
            (
                format!("/runs/{}/reject", runs.waiting),
                &[("stepId", "01M80754D6E7K919GRYZ8BH27Q"), ("reason", "no")],
            ),
            ("/runs/bulk".to_owned(), &[("act", "cancel"), ("sure", "yes"), ("run", &one)]),
            ("/kinds".to_owned(), &[("act", "pause"), ("kind", "a")]),
            ("/workers/w/drain".to_owned(), &[]),
            ("/tokens".to_owned(), &[("name", "x"), ("scope", "admin")]),
        ];
        for (path, fields) in posts {
            assert_eq!(reader.post(&path, fields).await.status, 403, "{path}");
        }
        for path in
            ["/tokens".to_owned(), "/workers/w/drain".to_owned(), format!("/runs/{}/cancel", runs.running)]
        {
            assert_eq!(reader.ask(&path).await.status, 403, "{path}");
        }
        assert_eq!(scene.get(&format!("/v1/runs/{}", runs.running)).await.is(200)["state"], "running");
        let blind = scene.token("default", "worker", &[Scope::Work]).await;
        let blind = Browser::of(&scene, &blind).await;
        for path in ["/", "/runs", "/kinds", "/workers", "/live/overview"] {
            assert_eq!(blind.ask(path).await.status, 403, "{path}");
        }
    });
}

#[test]
fn a_log_is_kept_whole_and_shown_by_its_end() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.held("a").await;
        for page in 0..8 {
            let lines: Vec<Value> = (0..400)
                .map(|line| json!({"stream": "stdout", "step": "s", "text": format!("line-{page}-{line};")}))
                .collect();
            let body = json!({"workerId": "w", "epoch": 1, "lines": lines});
            scene.post(&format!("/v1/runs/{id}:log"), body).await.is(200);
        }
        let browser = Browser::of(&scene, &scene.all).await;
        let page = browser.page(&format!("/runs/{id}")).await;
        assert_eq!(page.matches("<li id=\"l").count(), 500);
        assert!(
            page.contains("line-7-399;") && page.contains("line-6-300;") && !page.contains("line-6-299;")
        );
        assert!(page.contains("data-last=\"3200\""));
        let none = browser.page(&format!("/runs/{id}?step=other")).await;
        assert_eq!(none.matches("<li id=\"l").count(), 0);
        shows(&none, &["No lines of this step"]);
        let whole = browser.ask(&format!("/runs/{id}/log")).await;
        assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(
            whole.header("content-disposition"),
            Some(format!("attachment; filename=\"{id}.log\"").as_str())
        );
        let text = whole.text();
        assert_eq!(text.matches("line-").count(), 3_200);
        assert!(text.find("line-0-0;").unwrap() < text.find("line-7-399;").unwrap());
    });
}

#[test]
fn charts_tell_what_happened() {
    play(|| async {
        let scene = Scene::new().await;
        seed(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        let page = browser.page("/").await;
        shows(
            &page,
            &["Last hour: 1 succeeded, 1 failed", "Last 24 hours: 1 succeeded, 1 failed", "(50.0 %)"],
        );
        assert_eq!(page.matches("<rect class=\"good\"").count(), 2, "one minute, one hour");
    });
}
