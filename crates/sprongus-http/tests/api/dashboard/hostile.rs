//! What runs say is text, whatever it looks like.

use serde_json::{Value, json};

use super::browser::Browser;
use crate::scene::{Scene, play};

const HOSTILE: &str =
    "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u{1b}[31m\u{202e}gnp\u{200b}";

/// What must never come out as it went in.
fn is_harmless(path: &str, text: &str) {
    for raw in
        ["<script>alert", "<img", "onerror=alert(2)>&amp;\u{1b}", "\u{1b}", "\u{202e}", "\u{200b}", "'><"]
    {
        assert!(!text.contains(raw), "{raw:?} on {path}");
    }
}

#[test]
fn what_runs_say_is_never_markup() {
    play(|| async {
        let scene = Scene::new().await;
        let input = json!({"kind": "a", "input": {HOSTILE: [HOSTILE]}, "tags": {"x": "<b>\"bold\"</b>"}, "idempotencyKey": "<script>alert(1)</script>"});
        let id = scene.post("/v1/runs", input).await.is(201)["id"].as_str().unwrap().to_owned();
        scene.post("/v1/runs:claim", json!({"workerId": "w", "limit": 1})).await.is(200);
        let worker =
            json!({"host": "<script>alert(1)</script>", "pid": 7, "version": "<img>", "concurrency": 4});
        scene.ask(&scene.all, "PUT", "/v1/workers/w", Some(worker)).await;
        let hold = |more: Value| {
            let mut body = json!({"workerId": "w", "epoch": 1});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            Some(body)
        };
        let report = async |verb: &str, body: Option<Value>| {
            scene.ask(&scene.all, "POST", &format!("/v1/runs/{id}:{verb}"), body).await
        };
        let name = "<script>alert(1)</script>";
        let step = json!({"name": name, "phase": "execution", "type": "command", "status": "completed", "output": HOSTILE});
        report("step", hold(step)).await.is(200);
        report("log", hold(json!({"lines": [{"stream": "stdout", "step": name, "text": HOSTILE}]})))
            .await
            .is(200);
        report("progress", hold(json!({"progress": 3, "message": HOSTILE}))).await.is(200);
        let browser = Browser::of(&scene, &scene.all).await;
        let page = format!("/runs/{id}");
        for path in [
            "/",
            "/runs",
            "/workers",
            &page,
            "/runs?q=%3Cscript%3Ealert(1)",
            "/login?next=%22%3E%3Cscript%3Ealert(1)",
        ] {
            is_harmless(path, &browser.page(path).await);
        }
        for path in [
            "/runs?state=%3Cscript%3Ealert(1)",
            "/runs/%3Cscript%3Ealert(1)",
            "/runs?%3Cscript%3Ealert(1)=1",
            "/%3Cscript%3Ealert(1)",
        ] {
            let reply = browser.ask(path).await;
            assert!((400..500).contains(&reply.status), "{path}: {}", reply.status);
            is_harmless(path, &super::browser::well_made(path, &reply));
        }
        report("fail", hold(json!({"error": HOSTILE, "retryable": false}))).await.is(200);
        for path in ["/", "/runs", &page] {
            is_harmless(path, &browser.page(path).await);
        }
        let shown = browser.page(&page).await;
        assert!(shown.contains("\\u{202e}") && shown.contains("&lt;img src=x"), "it is shown, as text");
        let log = browser.ask(&format!("{page}/log")).await.text();
        assert!(log.contains("\\u{1b}") && !log.contains('\u{1b}'), "a terminal that shows it is safe too");
    });
}
