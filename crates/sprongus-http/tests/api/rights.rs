//! Who may do what: each route with each scope, and with ids that belong to somebody else.

use serde_json::{Value, json};
use sprongus_core::workspace::token::Scope;

use crate::scene::{Scene, play};

/// Every route that needs a token: method, path with `{run}` or `{schedule}`, the scope, and a sound body.
pub fn routes() -> Vec<(&'static str, &'static str, Scope, Option<Value>)> {
    let hold = |more: Value| {
        let mut body = json!({"workerId": "w", "epoch": 1});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Some(body)
    };
    let step = json!({"name": "s", "phase": "execution", "type": "command", "status": "running"});
    vec![
        ("POST", "/v1/runs", Scope::Write, Some(json!({"kind": "a"}))),
        ("POST", "/v1/runs:batch", Scope::Write, Some(json!({"runs": [{"kind": "a"}]}))),
        ("GET", "/v1/runs", Scope::Read, None),
        ("GET", "/v1/gates", Scope::Read, None),
        ("GET", "/v1/runs/{run}", Scope::Read, None),
        ("GET", "/v1/runs/{run}/steps", Scope::Read, None),
        ("GET", "/v1/runs/{run}/events", Scope::Read, None),
        ("GET", "/v1/runs/{run}/logs", Scope::Read, None),
        ("GET", "/v1/runs/{run}/news", Scope::Read, None),
        ("GET", "/v1/runs/{run}/artifacts", Scope::Read, None),
        ("GET", "/v1/runs/{run}/artifacts/f", Scope::Read, None),
        ("PUT", "/v1/runs/{run}/artifacts/f?workerId=w&epoch=1", Scope::Work, Some(json!("a file"))),
        ("PUT", "/v1/runs/{run}/workdir?workerId=w&epoch=1", Scope::Work, Some(json!("a file"))),
        ("GET", "/v1/runs/{run}/workdir?workerId=w&epoch=1", Scope::Work, None),
        ("DELETE", "/v1/runs/{run}/workdir?workerId=w&epoch=1", Scope::Work, None),
        ("GET", "/v1/runs/{run}/stream", Scope::Read, None),
        ("GET", "/v1/gates", Scope::Read, None),
        ("GET", "/v1/stats", Scope::Read, None),
        ("POST", "/v1/runs/{run}:cancel", Scope::Write, None),
        ("POST", "/v1/runs/{run}:retry", Scope::Write, None),
        ("POST", "/v1/runs/{run}:approve", Scope::Approve, None),
        ("POST", "/v1/runs/{run}:reject", Scope::Approve, Some(json!({"reason": "no"}))),
        ("POST", "/v1/runs:claim", Scope::Work, Some(json!({"workerId": "w", "limit": 1}))),
        ("POST", "/v1/runs:heartbeat", Scope::Work, Some(json!({"workerId": "w", "runs": []}))),
        ("POST", "/v1/runs:finish", Scope::Work, Some(json!({"workerId": "w", "reports": []}))),
        ("POST", "/v1/runs/{run}:heartbeat", Scope::Work, hold(json!({}))),
        ("POST", "/v1/runs/{run}:succeed", Scope::Work, hold(json!({}))),
        ("POST", "/v1/runs/{run}:fail", Scope::Work, hold(json!({"error": "e"}))),
        ("POST", "/v1/runs/{run}:release", Scope::Work, hold(json!({}))),
        ("POST", "/v1/runs/{run}:wait", Scope::Work, hold(json!({"stepId": "01M80754D6E7K919GRYZ8BH27Q"}))),
        ("POST", "/v1/runs/{run}:progress", Scope::Work, hold(json!({"progress": 1}))),
        ("POST", "/v1/runs/{run}:log", Scope::Work, hold(json!({"lines": []}))),
        ("POST", "/v1/runs/{run}:step", Scope::Work, hold(step)),
        ("POST", "/v1/runs/{run}:record", Scope::Work, hold(json!({}))),
        ("POST", "/v1/runs/{run}:cleaned", Scope::Work, hold(json!({"goneAt": "2026-11-21T09:30:00Z"}))),
        ("GET", "/v1/projects", Scope::Read, None),
        ("POST", "/v1/projects", Scope::Write, Some(json!({"id": "p"}))),
        ("GET", "/v1/agent-tasks", Scope::Read, None),
        ("POST", "/v1/agent-tasks", Scope::Write, Some(json!({"id": "t"}))),
        ("GET", "/v1/workers", Scope::Read, None),
        (
            "PUT",
            "/v1/workers/w",
            Scope::Work,
            Some(json!({"host": "h", "pid": 1, "version": "1", "concurrency": 1})),
        ),
        ("DELETE", "/v1/workers/w", Scope::Work, None),
        ("POST", "/v1/workers/w:drain", Scope::Admin, None),
        ("GET", "/v1/kinds", Scope::Read, None),
        ("POST", "/v1/kinds:pause", Scope::Admin, Some(json!({"kind": "zzz"}))),
        ("POST", "/v1/kinds:resume", Scope::Admin, Some(json!({"kind": "zzz"}))),
        ("GET", "/v1/workspaces", Scope::Admin, None),
        ("POST", "/v1/workspaces", Scope::Admin, Some(json!({"id": "made"}))),
        ("DELETE", "/v1/workspaces/never", Scope::Admin, None),
        ("GET", "/v1/tokens", Scope::Admin, None),
        ("GET", "/v1/audit", Scope::Admin, None),
        ("POST", "/v1/tokens", Scope::Admin, Some(json!({"name": "x", "scopes": ["runs:read"]}))),
        ("DELETE", "/v1/tokens/01M80754D6E7K919GRYZ8BH27Q", Scope::Admin, None),
        ("POST", "/v1/runs:prune", Scope::Admin, Some(json!({"dryRun": true}))),
        ("GET", "/v1/schedules", Scope::Read, None),
        (
            "POST",
            "/v1/schedules",
            Scope::Settings,
            Some(json!({"id": "nightly", "kind": "a", "every": "1h"})),
        ),
        ("GET", "/v1/schedules/{schedule}", Scope::Read, None),
        ("PUT", "/v1/schedules/{schedule}", Scope::Settings, Some(json!({"kind": "a", "every": "1h"}))),
        ("DELETE", "/v1/schedules/{schedule}", Scope::Settings, None),
        ("GET", "/v1/schedules/{schedule}/next", Scope::Read, None),
        ("POST", "/v1/schedules/{schedule}:pause", Scope::Settings, None),
        ("POST", "/v1/schedules/{schedule}:resume", Scope::Settings, None),
        ("POST", "/v1/schedules/{schedule}:trigger", Scope::Write, None),
        (
            "POST",
            "/v1/schedules/{schedule}:backfill",
            Scope::Write,
            Some(json!({"from": "2026-11-01T00:00:00Z", "to": "2026-11-02T00:00:00Z", "dryRun": true})),
        ),
        ("POST", "/v1/schedules:preview", Scope::Read, Some(json!({"cron": "@daily"}))),
        ("POST", "/v1/settings:apply", Scope::Settings, Some(json!({"schedules": {}}))),
        ("GET", "/runner-jobs", Scope::Read, None),
        ("POST", "/runner-jobs", Scope::Write, Some(json!({"type": "a"}))),
        ("GET", "/runner-jobs/{run}", Scope::Read, None),
        ("POST", "/runner-jobs/{run}/cancel", Scope::Write, None),
        ("POST", "/runner-jobs/{run}/retry", Scope::Write, None),
    ]
}

#[test]
fn without_the_scope_nothing_is_answered() {
    play(|| async {
        let scene = Scene::new().await;
        let run = scene.enqueue("a").await;
        let mut tokens = Vec::new();
        for scope in Scope::ALL {
            tokens.push((scope, scene.token("default", scope.as_str(), &[scope]).await));
        }
        for (method, path, needed, body) in routes() {
            let path = path.replace("{run}", &run).replace("{schedule}", "nightly");
            for (scope, token) in tokens.iter().filter(|(scope, _)| *scope != needed) {
                let reply = scene.ask(token, method, &path, body.clone()).await;
                let problem = reply.refuses(403, "forbidden");
                assert!(
                    problem["detail"].as_str().unwrap().contains(needed.as_str()),
                    "{method} {path} by {scope}: {problem}"
                );
            }
        }
        assert_eq!(
            scene.get(&format!("/v1/runs/{run}/events")).await.is(200)["data"].as_array().unwrap().len(),
            1
        );
    });
}

#[test]
fn without_a_good_token_all_are_refused_alike() {
    play(|| async {
        let scene = Scene::new().await;
        let run = scene.enqueue("a").await;
        let good = scene.all.clone();
        let mut mistyped = good.clone();
        mistyped.replace_range(10..11, if &good[10..11] == "0" { "1" } else { "0" });
        let unknown = sprongus_core::workspace::token::TokenSecret::generate().unwrap().expose().to_owned();
        for (method, path, _, body) in routes() {
            let path = path.replace("{run}", &run).replace("{schedule}", "nightly");
            let mut bodies = Vec::new();
            for token in ["", "nonsense", mistyped.as_str(), unknown.as_str()] {
                let reply = scene.ask(token, method, &path, body.clone()).await;
                let mut problem = reply.refuses(401, "unauthenticated");
                assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
                problem["requestId"] = Value::Null;
                bodies.push(problem);
            }
            assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{method} {path}: {bodies:?}");
        }
        let request = crate::raw::request("GET", "/v1/runs", &[], b"");
        crate::raw::bytes(scene.address, &request).await.refuses(401, "unauthenticated");
        let basic = [("Authorization", "Basic dTpw")];
        let request = crate::raw::request("GET", "/v1/runs", &basic, b"");
        crate::raw::bytes(scene.address, &request).await.refuses(401, "unauthenticated");
        scene.get(&format!("/v1/runs?token={good}")).await.refuses(400, "malformed");
    });
}

#[test]
fn what_another_workspace_owns_is_like_what_does_not_exist() {
    play(|| async {
        let scene = Scene::new().await;
        let theirs = scene.held("a").await;
        let other = scene.token("other", "them", &Scope::ALL).await;
        let nobody = "01M80754D6E7K919GRYZ8BH27Q";
        for (method, path, _, body) in routes().into_iter().filter(|(_, path, ..)| path.contains("{run}")) {
            let ask = |id: &str| {
                let (path, body, scene, other) = (path.replace("{run}", id), body.clone(), &scene, &other);
                async move { scene.ask(other, method, &path, body).await }
            };
            let (foreign, missing) = (ask(&theirs).await, ask(nobody).await);
            let strip = |reply: &crate::raw::Reply, id: &str| {
                let mut problem = reply.refuses(404, "not_found");
                problem["requestId"] = Value::Null;
                problem.to_string().replace(id, "ID")
            };
            assert_eq!(strip(&foreign, &theirs), strip(&missing, nobody), "{method} {path}");
        }
        let finish = json!({"workerId": "w", "reports": [{"id": theirs, "epoch": 1, "outcome": "succeed"}]});
        let answer = scene.ask(&other, "POST", "/v1/runs:finish", Some(finish)).await.is(200);
        assert_eq!(answer["data"][0]["error"]["code"], "not_found", "{answer}");
        let beat = json!({"workerId": "w", "runs": [{"id": theirs, "epoch": 1}]});
        let answer = scene.ask(&other, "POST", "/v1/runs:heartbeat", Some(beat)).await.is(200);
        assert_eq!(answer["data"][0]["error"]["code"], "not_found", "{answer}");
        for path in
            ["/v1/runs", "/runner-jobs", "/v1/projects", "/v1/workers", "/v1/kinds", "/v1/agent-tasks"]
        {
            assert_eq!(scene.ask(&other, "GET", path, None).await.is(200)["data"], json!([]), "{path}");
        }
        let claim = json!({"workerId": "x", "limit": 10});
        assert_eq!(scene.ask(&other, "POST", "/v1/runs:claim", Some(claim)).await.is(200)["data"], json!([]));
        // An id is one client's choice: another tenant's run under it must not be told apart either.
        let same = scene.ask(&other, "POST", "/v1/runs", Some(json!({"kind": "a", "id": theirs}))).await;
        assert!(!same.text().contains("running") && same.status != 500, "{}", same.text());
        assert_eq!(scene.get(&format!("/v1/runs/{theirs}")).await.is(200)["state"], "running");
    });
}

#[test]
fn only_operators_manage_workspaces() {
    play(|| async {
        let scene = Scene::new().await;
        let tenant = scene.token("tenant", "their admin", &Scope::ALL).await;
        scene.post("/v1/workspaces", json!({"id": "third"})).await.is(201);
        let all = scene.get("/v1/workspaces").await.is(200);
        assert_eq!(all["data"].as_array().unwrap().len(), 3, "{all}");
        let own = scene.ask(&tenant, "GET", "/v1/workspaces", None).await.is(200);
        assert_eq!(own["data"].as_array().unwrap().len(), 1, "{own}");
        scene
            .ask(&tenant, "POST", "/v1/workspaces", Some(json!({"id": "fourth"})))
            .await
            .refuses(403, "forbidden");
        scene.ask(&tenant, "DELETE", "/v1/workspaces/third", None).await.refuses(404, "not_found");
        scene.ask(&tenant, "DELETE", "/v1/workspaces/tenant", None).await.refuses(403, "forbidden");
        let named = [("Sprongus-Workspace", "third")];
        scene.ask_with(&tenant, "GET", "/v1/runs", &named, None).await.refuses(404, "not_found");
        scene.ask_with(&scene.all, "POST", "/v1/runs", &named, Some(json!({"kind": "a"}))).await.is(201);
        assert_eq!(scene.get("/v1/runs").await.is(200)["data"], json!([]));
        scene
            .ask_with(&scene.all, "GET", "/v1/runs", &[("Sprongus-Workspace", "fifth")], None)
            .await
            .refuses(404, "not_found");
        scene.ask(&scene.all, "DELETE", "/v1/workspaces/default", None).await.refuses(409, "conflict");
        scene.ask(&scene.all, "DELETE", "/v1/workspaces/tenant", None).await.is(204);
        scene.ask(&tenant, "GET", "/v1/runs", None).await.refuses(401, "unauthenticated");
    });
}

#[test]
fn a_narrowed_token_knows_its_projects_alone() {
    play(|| async {
        let scene = Scene::new().await;
        for project in ["ours", "theirs"] {
            scene.post("/v1/projects", json!({"id": project})).await.is(201);
        }
        let [mine, yours] = ["ours", "theirs"].map(|project| json!({"kind": "a", "projectId": project}));
        let foreign = scene.post("/v1/runs", yours.clone()).await.is(201)["id"].as_str().unwrap().to_owned();
        let scopes = [Scope::Read, Scope::Write, Scope::Approve, Scope::Work];
        let narrow = scene.narrowed("default", "narrow", &scopes, Some(&["ours"])).await;
        let own = scene.ask(&narrow, "POST", "/v1/runs", Some(mine)).await.is(201)["id"].clone();
        scene.ask(&narrow, "POST", "/v1/runs", Some(yours)).await.refuses(404, "not_found");
        scene.ask(&narrow, "POST", "/v1/runs", Some(json!({"kind": "a"}))).await.refuses(422, "validation");
        scene
            .ask(&narrow, "POST", "/v1/projects", Some(json!({"id": "new"})))
            .await
            .refuses(403, "forbidden");
        for (method, path, needed, body) in
            routes().into_iter().filter(|(_, path, ..)| path.contains("{run}"))
        {
            assert_ne!(needed, Scope::Admin);
            scene
                .ask(&narrow, method, &path.replace("{run}", &foreign), body)
                .await
                .refuses(404, "not_found");
        }
        let listed = scene.ask(&narrow, "GET", "/v1/runs", None).await.is(200);
        assert_eq!(listed["data"].as_array().unwrap().len(), 1, "{listed}");
        let claimed = scene
            .ask(&narrow, "POST", "/v1/runs:claim", Some(json!({"workerId": "w", "limit": 9})))
            .await
            .is(200);
        assert_eq!((claimed["data"].as_array().unwrap().len(), &claimed["data"][0]["id"]), (1, &own));
        assert_eq!(
            scene.ask(&narrow, "GET", "/v1/projects", None).await.is(200)["data"].as_array().unwrap().len(),
            1
        );
    });
}

#[test]
fn every_route_of_the_document_is_tried_here() {
    let tried: Vec<String> = routes()
        .into_iter()
        .map(|(method, path, ..)| format!("{} {}", method.to_ascii_lowercase(), shape(path)))
        .collect();
    let document = sprongus_http::server::openapi::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let is_open = operation["security"]
                .as_array()
                .is_none_or(|all| all.iter().all(|one| one.get("token").is_none()));
            let is_exempt = is_open || path == "/metrics" || path == "/v1/stream" || path == "/v1/token";
            let name = format!("{method} {}", shape(path));
            assert!(is_exempt || tried.contains(&name), "{name} is tried with no token");
        }
    }
}

/// A path with its parameters made alike.
fn shape(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default().replace("/artifacts/f", "/artifacts/*");
    let segments = path.split('/').map(|segment| match segment.split_once(':') {
        Some((name, verb)) if name != "runs" && name != "kinds" => format!("*:{verb}"),
        None if segment.starts_with('{') => "*".to_owned(),
        Some(_) | None => segment.to_owned(),
    });
    let joined = segments.collect::<Vec<_>>().join("/");
    let known = ["/v1/workers/w", "/v1/workspaces/never", "/v1/tokens/01M80754D6E7K919GRYZ8BH27Q"];
    if known.contains(&joined.as_str()) {
        format!("{}/*", joined.rsplit_once('/').unwrap().0)
    } else {
        joined
    }
}
