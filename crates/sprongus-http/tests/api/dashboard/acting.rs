//! What can be done from the dashboard, each through the form that offers it.

use std::time::Duration;

use serde_json::json;
use sprongus_core::workspace::token::Scope;

use super::browser::{Browser, hidden, well_made};
use super::screens::{seed, shows};
use crate::scene::{Scene, play};

async fn state(scene: &Scene, id: &str) -> String {
    scene.get(&format!("/v1/runs/{id}")).await.is(200)["state"].as_str().unwrap().to_owned()
}

#[test]
fn a_run_is_canceled_and_retried_and_its_history_says_by_whom() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.enqueue("a").await;
        let token = scene.token("default", "olga", &[Scope::Read, Scope::Write]).await;
        let olga = Browser::of(&scene, &token).await;
        let (cancel, retry) = (format!("/runs/{id}/cancel"), format!("/runs/{id}/retry"));
        let done = olga.post(&cancel, &[]).await;
        assert_eq!((done.status, done.header("location")), (303, Some(format!("/runs/{id}").as_str())));
        assert_eq!(state(&scene, &id).await, "canceled");
        let question = olga.page(&retry).await;
        let epoch = hidden(&question, "epoch").unwrap();
        assert_eq!(olga.post(&retry, &[("epoch", &epoch)]).await.status, 303);
        assert_eq!(state(&scene, &id).await, "queued");
        let repeated = olga.post(&retry, &[("epoch", &epoch)]).await;
        assert_eq!(repeated.status, 303, "a form that is sent twice");
        assert_eq!(olga.post(&retry, &[("epoch", "x")]).await.status, 422);
        let page = olga.page(&format!("/runs/{id}")).await;
        assert!(
            page.contains("run.canceled")
                && page.contains("run.retried")
                && page.contains("<td data-name=\"by\">olga</td>")
        );
    });
}

#[test]
fn a_gate_is_answered_with_a_reason_where_one_is_due() {
    play(|| async {
        let scene = Scene::new().await;
        let (one, other) = (seed(&scene).await.waiting, Browser::of(&scene, &scene.all).await);
        let page = other.page(&format!("/runs/{one}")).await;
        let step = hidden(&page, "stepId").unwrap();
        let reject = format!("/runs/{one}/reject");
        assert_eq!(other.post(&reject, &[("stepId", &step), ("reason", "  ")]).await.status, 422);
        assert_eq!(other.post(&reject, &[("reason", "no")]).await.status, 422, "a form without its step");
        assert_eq!(state(&scene, &one).await, "queued");
        assert_eq!(
            other.post(&reject, &[("stepId", &step), ("reason", "not good enough")]).await.status,
            303
        );
        let run = scene.get(&format!("/v1/runs/{one}")).await.is(200);
        assert_eq!(run["state"], "failed");
        assert!(run["error"].as_str().unwrap().contains("not good enough"), "{run}");
        let late = other.post(&format!("/runs/{one}/approve"), &[("stepId", &step)]).await;
        assert_eq!(late.status, 409);
    });
}

#[test]
fn a_gate_is_passed() {
    play(|| async {
        let scene = Scene::new().await;
        let id = seed(&scene).await.waiting;
        let browser = Browser::of(&scene, &scene.all).await;
        let step = hidden(&browser.page(&format!("/runs/{id}")).await, "stepId").unwrap();
        let fields = [("stepId", step.as_str()), ("comment", "fine by me")];
        assert_eq!(browser.post(&format!("/runs/{id}/approve"), &fields).await.status, 303);
        let page = browser.page(&format!("/runs/{id}")).await;
        assert!(!page.contains("Waiting for approval") && page.contains("fine by me"), "{page}");
    });
}

#[test]
fn many_are_asked_about_by_name_and_then_done_each_alone() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = seed(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        let chosen = [&runs.queued, &runs.running, &runs.succeeded].map(|id| {
            let epoch = u8::from(id != &runs.queued);
            format!("{id}:{epoch}")
        });
        let mut fields = vec![("act", "cancel")];
        fields.extend(chosen.iter().map(|run| ("run", run.as_str())));
        let asked = browser.post("/runs/bulk", &fields).await;
        assert_eq!(asked.status, 200);
        let page = well_made("/runs/bulk", &asked);
        assert!(page.contains("Cancel these runs?") && page.contains("2 runs:"), "{page}");
        assert!(
            page.contains(&runs.queued) && page.contains(&runs.running) && !page.contains(&runs.succeeded)
        );
        assert_eq!(state(&scene, &runs.queued).await, "queued", "nothing is done before it is confirmed");
        fields.push(("sure", "yes"));
        let done = browser.post("/runs/bulk", &fields).await;
        let page = well_made("/runs/bulk", &done);
        assert!(page.contains("Canceled: 2") && page.contains("1 not changed"), "{page}");
        for id in [&runs.queued, &runs.running] {
            assert_eq!(state(&scene, id).await, "canceled");
        }
        assert_eq!(state(&scene, &runs.succeeded).await, "succeeded");
        let retry = [("act", "retry"), ("run", chosen[0].as_str()), ("sure", "yes")];
        assert!(browser.post("/runs/bulk", &retry).await.text().contains("Queued again: 1"));
        assert_eq!(state(&scene, &runs.queued).await, "queued");
        for (bad, status) in [
            (vec![("act", "cancel")], 422),
            (vec![("act", "delete"), ("run", chosen[0].as_str())], 422),
            (vec![("act", "cancel"), ("run", "x:1")], 422),
            (vec![("act", "retry"), ("run", chosen[2].as_str())], 409),
        ] {
            assert_eq!(browser.post("/runs/bulk", &bad).await.status, status, "{bad:?}");
        }
    });
}

#[test]
fn all_that_match_are_counted_first_and_what_is_made_later_is_left_alone() {
    play(|| async {
        let scene = Scene::new().await;
        let runs = vec![json!({"kind": "a"}); 130];
        scene.post("/v1/runs:batch", json!({"runs": runs})).await.is(201);
        let other = scene.enqueue("b").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let browser = Browser::of(&scene, &scene.all).await;
        let asked = browser.post("/runs/bulk", &[("act", "cancel_all"), ("filter", "kind=a")]).await;
        let page = well_made("/runs/bulk", &asked);
        assert!(page.contains("130 runs match"), "{page}");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let late = scene.enqueue("a").await;
        let filter = hidden(&page, "filter").unwrap().replace("&amp;", "&");
        let sure = [("act", "cancel_all"), ("sure", "yes"), ("filter", filter.as_str())];
        let page = well_made("/runs/bulk", &browser.post("/runs/bulk", &sure).await);
        assert!(page.contains("Canceled: 100") && page.contains("30 more to do"), "{page}");
        let cursor = hidden(&page, "cursor").unwrap();
        let next = sure.into_iter().chain([("cursor", cursor.as_str())]).collect::<Vec<_>>();
        let page = well_made("/runs/bulk", &browser.post("/runs/bulk", &next).await);
        assert!(page.contains("Canceled: 30") && !page.contains("more to do"), "{page}");
        assert_eq!([state(&scene, &late).await, state(&scene, &other).await], ["queued", "queued"]);
        let none = [("act", "retry_all"), ("filter", "state=queued")];
        assert_eq!(browser.post("/runs/bulk", &none).await.status, 409);
    });
}

#[test]
fn a_kind_is_paused_and_resumed_and_a_worker_drained() {
    play(|| async {
        let scene = Scene::new().await;
        seed(&scene).await;
        let browser = Browser::of(&scene, &scene.all).await;
        assert_eq!(browser.post("/kinds", &[("kind", "script.pull"), ("act", "pause")]).await.status, 303);
        let kinds = scene.get("/v1/kinds").await.is(200)["data"].clone();
        let (by, at) = (kinds[0]["changedBy"].as_str().unwrap(), kinds[0]["changedAt"].as_str().unwrap());
        let paused = json!([{"kind": "script.pull", "paused": true, "changedAt": at, "changedBy": by}]);
        assert_eq!(kinds, paused);
        shows(&browser.page("/kinds").await, &["paused</span>", &format!(">by {by}<"), at]);
        assert_eq!(browser.post("/kinds", &[("kind", "script.pull"), ("act", "resume")]).await.status, 303);
        assert_eq!(scene.get("/v1/kinds").await.is(200)["data"][0]["paused"], false);
        assert_eq!(browser.post("/kinds", &[("kind", "../x"), ("act", "pause")]).await.status, 422);
        assert_eq!(browser.post("/workers/w/drain", &[]).await.status, 303);
        assert!(browser.page("/workers").await.contains("draining"));
        assert_eq!(browser.post("/workers/nobody/drain", &[]).await.status, 404);
    });
}

#[test]
fn a_token_is_shown_once() {
    play(|| async {
        let scene = Scene::new().await;
        let browser = Browser::of(&scene, &scene.all).await;
        let fields = [("name", "ci"), ("scope", "runs:read"), ("scope", "runs:write"), ("days", "30")];
        let made = browser.post("/tokens", &fields).await;
        assert_eq!(made.status, 200);
        let page = well_made("/tokens", &made);
        let token = page.split("value=\"spr_").nth(1).unwrap().split('"').next().unwrap();
        let token = format!("spr_{token}");
        assert!(!browser.page("/tokens").await.contains(&token[..12]));
        let known = scene.ask(&token, "GET", "/v1/token", None).await.is(200);
        assert_eq!((&known["name"], &known["scopes"]), (&json!("ci"), &json!(["runs:read", "runs:write"])));
        assert!(known["expiresAt"].is_string());
        assert_eq!(browser.post("/tokens", &[("name", "none")]).await.status, 422);
        assert_eq!(browser.post("/tokens", &[("name", "x"), ("scope", "root")]).await.status, 422);
    });
}

#[test]
fn acting_is_limited_as_it_is_for_the_api() {
    play(|| async {
        let limit = sprongus_http::server::RateLimit { per_second: 0.01, burst: 3.0 };
        let options = sprongus_http::server::Options { rate_limit: Some(limit), ..Default::default() };
        let scene = Scene::with(options).await;
        let id = scene.enqueue("a").await;
        let token = scene.token("default", "eager", &Scope::ALL).await;
        let browser = Browser::of(&scene, &token).await;
        let mut last = 0;
        for _ in 0..4 {
            last = browser.post(&format!("/runs/{id}/cancel"), &[]).await.status;
        }
        assert_eq!(last, 429);
    });
}
