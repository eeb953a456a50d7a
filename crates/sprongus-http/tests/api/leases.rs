//! Who holds a run: whoever brings the lease token, and nobody else, whatever else they know and may do.

use serde_json::{Value, json};
use sprongus_core::workspace::token::Scope;

use crate::scene::{LEASE_TOKEN, Scene, play};

/// Every report on `run` there is: method, path and body, without a lease token.
fn reports(run: &str) -> Vec<(&'static str, String, Value)> {
    let hold = |more: Value| {
        let mut body = json!({"workerId": "w", "epoch": 1});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let step =
        json!({"ordinal": 0, "name": "s", "phase": "execution", "type": "command", "status": "running"});
    let lines = json!([{"stream": "stdout", "text": "forged"}]);
    let verbs = [
        ("heartbeat", json!({})),
        ("progress", json!({"progress": 50})),
        ("log", json!({"lines": lines})),
        ("step", step.clone()),
        ("record", json!({"steps": [step], "lines": lines})),
        ("wait", json!({"stepId": "01M80754D6E7K919GRYZ8BH27Q"})),
        ("cleaned", json!({"goneAt": "2026-11-21T09:30:00Z"})),
        ("succeed", json!({"result": {"forged": true}})),
        ("fail", json!({"error": "forged"})),
        ("release", json!({})),
    ];
    let mut reports: Vec<_> = verbs
        .into_iter()
        .map(|(verb, more)| ("POST", format!("/v1/runs/{run}:{verb}"), hold(more)))
        .collect();
    let query = "workerId=w&epoch=1";
    reports.extend([
        ("PUT", format!("/v1/runs/{run}/artifacts/report.txt?{query}"), json!("evil")),
        ("PUT", format!("/v1/runs/{run}/workdir?{query}"), json!("evil")),
        ("GET", format!("/v1/runs/{run}/workdir?{query}"), Value::Null),
        ("DELETE", format!("/v1/runs/{run}/workdir?{query}"), Value::Null),
    ]);
    reports
}

fn with_token(mut body: Value, token: Option<&str>) -> Value {
    if let Some(body) = body.as_object_mut().filter(|body| body.contains_key("epoch")) {
        // The scene adds the right token where there is none; an empty one is as good as none.
        body.insert("leaseToken".to_owned(), token.unwrap_or_default().into());
    }
    body
}

/// Worker and epoch stand in the run, for everybody who may read it.
#[test]
fn worker_and_epoch_alone_move_nothing() {
    play(|| async {
        let scene = Scene::new().await;
        let run = scene.held("a").await;
        let stranger = scene.token("default", "stranger", &[Scope::Read, Scope::Work]).await;
        let own = scene.lease_in(&run);
        let other = scene.held("b").await;
        let foreign = scene.lease_in(&other);
        let seen = scene.ask(&stranger, "GET", &format!("/v1/runs/{run}"), None).await.is(200);
        assert_eq!((&seen["claimedBy"], &seen["epoch"]), (&json!("w"), &json!(1)));
        assert!(!seen.to_string().contains(&own) && own.starts_with("spl_"));
        let history = scene.get(&format!("/v1/runs/{run}/events")).await.text();
        assert!(!history.contains(&own) && !history.contains("leaseToken"));
        for token in [None, Some(foreign.as_str()), Some("spl_00000000000000000000000000000000")] {
            for asker in [&scene.all, &stranger] {
                for (method, path, body) in reports(&run) {
                    let body = Some(with_token(body, token)).filter(|body| !body.is_null());
                    let header = [(LEASE_TOKEN, token.unwrap_or_default())];
                    let headers = if path.contains('?') { &header[..] } else { &[] };
                    let reply = scene.ask_with(asker, method, &path, headers, body).await;
                    let problem = reply.refuses(409, "lease_lost");
                    assert!(!problem.to_string().contains("spl_"), "{method} {path}: {problem}");
                }
                let item = json!({"id": run, "epoch": 1, "leaseToken": token.unwrap_or_default()});
                let beats = json!({"workerId": "w", "runs": [item]});
                let beats = scene.ask(asker, "POST", "/v1/runs:heartbeat", Some(beats)).await.is(200);
                assert_eq!(beats["data"][0]["error"]["code"], "lease_lost");
                let item = json!({"id": run, "epoch": 1, "leaseToken": token.unwrap_or_default(), "outcome": "succeed"});
                let ends = json!({"workerId": "w", "reports": [item]});
                let ends = scene.ask(asker, "POST", "/v1/runs:finish", Some(ends)).await.is(200);
                assert_eq!(ends["data"][0]["error"]["code"], "lease_lost");
            }
        }
        assert_eq!(scene.get(&format!("/v1/runs/{run}")).await.is(200), seen);
        assert_eq!(scene.get(&format!("/v1/runs/{run}/events")).await.text(), history);
        let own = json!({"workerId": "w", "epoch": 1, "leaseToken": own, "result": 1});
        scene.post(&format!("/v1/runs/{run}:succeed"), own.clone()).await.is(200);
        scene.post(&format!("/v1/runs/{run}:succeed"), own).await.is(200);
        let forged = json!({"workerId": "w", "epoch": 1, "leaseToken": foreign, "result": 1});
        scene.post(&format!("/v1/runs/{run}:succeed"), forged).await.refuses(409, "lease_lost");
    });
}

/// Worker ids are known to all, and claim ids are what clients make them.
#[test]
fn a_named_claim_is_repeated_with_its_own_api_token_alone() {
    play(|| async {
        let scene = Scene::new().await;
        for project in ["p1", "p2"] {
            scene.post("/v1/projects", json!({"id": project})).await.is(201);
        }
        scene
            .post("/v1/runs", json!({"kind": "a", "projectId": "p1", "input": {"text": "of p1"}}))
            .await
            .is(201);
        let own = scene.narrowed("default", "own", &[Scope::Work], Some(&["p1"])).await;
        let narrow = scene.narrowed("default", "narrow", &[Scope::Work], Some(&["p2"])).await;
        let alike = scene.narrowed("default", "alike", &[Scope::Work], Some(&["p1"])).await;
        let claim = || Some(json!({"workerId": "w1", "claimId": "c1", "limit": 1}));
        let ask = async |token: &str| scene.ask(token, "POST", "/v1/runs:claim", claim()).await;
        let first = ask(&own).await.is(200)["data"][0].clone();
        let (id, old) = (first["id"].as_str().unwrap(), first["lease"]["token"].clone());
        for stranger in [&narrow, &alike, &scene.all] {
            let problem = ask(stranger).await.refuses(409, "conflict").to_string();
            assert!(
                !problem.contains(id) && !problem.contains("p1") && !problem.contains("spl_"),
                "{problem}"
            );
        }
        let repeated = ask(&own).await.is(200)["data"][0].clone();
        assert_eq!(repeated["id"], first["id"]);
        let hold = |token: &Value| Some(json!({"workerId": "w1", "epoch": 1, "leaseToken": token}));
        let beat = format!("/v1/runs/{id}:heartbeat");
        scene.ask(&own, "POST", &beat, hold(&old)).await.refuses(409, "lease_lost");
        scene.ask(&own, "POST", &beat, hold(&repeated["lease"]["token"])).await.is(200);
    });
}

/// A worker speaks with one API token as long as it lives.
#[test]
fn nobody_speaks_for_the_worker_of_another_api_token() {
    play(|| async {
        let scene = Scene::new().await;
        let [own, other] = [
            scene.token("default", "own", &[Scope::Work]).await,
            scene.token("default", "other", &[Scope::Work]).await,
        ];
        let word = |host: &str| Some(json!({"host": host, "pid": 1, "version": "1", "concurrency": 1}));
        scene.ask(&own, "PUT", "/v1/workers/w1", word("here")).await.is(200);
        scene.ask(&other, "PUT", "/v1/workers/w1", word("there")).await.refuses(409, "conflict");
        scene.ask(&other, "DELETE", "/v1/workers/w1", None).await.refuses(409, "conflict");
        let workers = scene.get("/v1/workers").await.is(200);
        assert_eq!(
            (workers["data"].as_array().unwrap().len(), &workers["data"][0]["host"]),
            (1, &json!("here"))
        );
        scene.ask(&own, "DELETE", "/v1/workers/w1", None).await.is(204);
        scene.ask(&other, "PUT", "/v1/workers/w1", word("there")).await.is(200);
    });
}
