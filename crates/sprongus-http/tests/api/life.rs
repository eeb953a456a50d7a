//! A run's life over HTTP, call by call, and the same in the words of the runner jobs.

use serde_json::{Value, json};

use crate::scene::{Scene, play};

#[test]
fn a_run_is_made_watched_and_worked_on() {
    play(|| async {
        let scene = Scene::new().await;
        let made = scene.post("/v1/runs", json!({"kind": "script.pull", "input": {"path": "a.md"}})).await;
        let run = made.is(201);
        let id = run["id"].as_str().unwrap();
        assert_eq!(made.header("location"), Some(format!("/v1/runs/{id}").as_str()));
        assert_eq!(
            (&run["state"], &run["result"], &run["input"]),
            (&json!("queued"), &Value::Null, &json!({"path": "a.md"}))
        );
        // Whoever looks is told what it waits for; whoever enqueues is not.
        let mut seen = scene.get(&format!("/v1/runs/{id}")).await.is(200);
        assert_eq!(
            (&seen["waiting"]["reason"], seen["waiting"]["workers"].is_null()),
            (&json!("worker"), false)
        );
        seen["waiting"] = Value::Null;
        assert_eq!(seen, run);

        let claim = json!({"workerId": "w", "limit": 5, "kinds": ["script.pull"], "leaseMs": 5000});
        let claimed = scene.post("/v1/runs:claim", claim).await.is(200)["data"][0].clone();
        assert_eq!((&claimed["id"], &claimed["state"]), (&run["id"], &json!("running")));
        assert_eq!((&claimed["lease"]["epoch"], &claimed["lease"]["leaseMs"]), (&json!(1), &json!(5000)));
        assert_eq!((&claimed["resume"], &claimed["cleanup"]), (&Value::Null, &json!(false)));

        let hold = |more: Value| {
            let mut body = json!({"workerId": "w", "epoch": 1});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            body
        };
        let at = |verb: &str| format!("/v1/runs/{id}:{verb}");
        let beat = scene.post(&at("heartbeat"), hold(json!({"leaseMs": 9000}))).await.is(200);
        assert_eq!(beat, json!({"leaseMs": 9000, "cancel": false, "drain": false}));
        let step = json!({"name": "pull", "phase": "execution", "type": "command", "status": "running"});
        scene.post(&at("step"), hold(step)).await.is(200);
        let done = json!({"name": "pull", "phase": "execution", "type": "command", "status": "completed", "output": "ok"});
        scene.post(&at("step"), hold(done)).await.is(200);
        let lines = json!({"step": "pull", "lines": [{"stream": "stdout", "text": "hello"}, {"stream": "stderr", "text": "oh"}]});
        scene.post(&at("log"), hold(lines)).await.is(200);
        assert_eq!(scene.post(&at("progress"), hold(json!({"progress": 40}))).await.is(200)["progress"], 40);
        let end = hold(json!({"result": {"pages": 3}, "outputRef": "file:out.md"}));
        let ended = scene.post(&at("succeed"), end.clone()).await.is(200);
        assert_eq!((&ended["state"], &ended["outputRef"]), (&json!("succeeded"), &json!("file:out.md")));
        assert_eq!(scene.post(&at("succeed"), end).await.is(200), ended, "the same again");
        scene.post(&at("succeed"), hold(json!({"result": 1}))).await.refuses(409, "conflict");
        scene.post(&at("fail"), hold(json!({"error": "no"}))).await.refuses(409, "lease_lost");

        let steps = scene.get(&format!("/v1/runs/{id}/steps")).await.is(200);
        assert_eq!(steps["data"].as_array().unwrap().len(), 1, "{steps}");
        assert_eq!(
            (&steps["data"][0]["status"], &steps["data"][0]["output"]),
            (&json!("completed"), &json!("ok"))
        );
        let logs = scene.get(&format!("/v1/runs/{id}/logs?limit=1")).await.is(200);
        assert_eq!(logs["data"][0]["text"], "hello");
        let events = scene.get(&format!("/v1/runs/{id}/events")).await.is(200);
        let types: Vec<_> =
            events["data"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(
            types,
            [
                "run.enqueued",
                "run.started",
                "step.started",
                "step.completed",
                "run.progressed",
                "run.succeeded"
            ]
        );
        assert_eq!(events["data"][0]["actor"], "all", "the actor is the token's name");
        let news = scene.get(&format!("/v1/runs/{id}/news?events=5&lines=1")).await.is(200);
        assert_eq!(
            (news["events"].as_array().unwrap().len(), news["lines"].as_array().unwrap().len()),
            (1, 1)
        );
        assert_eq!(news["read"], json!({"events": 6, "lines": 2}));
    });
}

#[test]
fn a_key_gives_one_run_and_says_that_it_did() {
    play(|| async {
        let scene = Scene::new().await;
        let body = json!({"kind": "a", "input": {"x": 1}});
        let keyed = |key: &'static str, body: Value| {
            let scene = &scene;
            async move {
                scene.ask_with(&scene.all, "POST", "/v1/runs", &[("Idempotency-Key", key)], Some(body)).await
            }
        };
        let first = keyed("k", body.clone()).await;
        let run = first.is(201);
        assert_eq!(first.header("idempotency-replayed"), None);
        let repeated = keyed("\"k\"", json!({"kind": "a", "input": {"x": 1.0}})).await;
        assert_eq!(repeated.is(200), run);
        assert_eq!(repeated.header("idempotency-replayed"), Some("true"));
        keyed("k", json!({"kind": "a", "input": {"x": 2}})).await.refuses(422, "idempotency_key_reused");
        let mut both = body.clone();
        both["idempotencyKey"] = json!("other");
        keyed("k", both).await.refuses(422, "validation");
        let long: &'static str = Box::leak("k".repeat(256).into_boxed_str());
        for bad in ["", long, "a\tb"] {
            keyed(bad, body.clone()).await.refuses(400, "malformed");
        }
        let bearer = format!("Bearer {}", scene.all);
        let twice = [
            ("Authorization", bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "a"),
            ("Idempotency-Key", "b"),
        ];
        let request = crate::raw::request("POST", "/v1/runs", &twice, body.to_string().as_bytes());
        crate::raw::bytes(scene.address, &request).await.refuses(400, "malformed");
        let found = scene.get("/v1/runs?idempotencyKey=k").await.is(200);
        assert_eq!(found["data"], json!([run]));
    });
}

#[test]
fn thirty_at_once_with_one_key_make_one_run() {
    play(|| async {
        let scene = std::sync::Arc::new(Scene::new().await);
        let asking = (0..30).map(|_| {
            let scene = std::sync::Arc::clone(&scene);
            tokio::spawn(async move {
                let body = json!({"kind": "a", "idempotencyKey": "one"});
                scene.post("/v1/runs", body).await
            })
        });
        let replies = futures_util::future::join_all(asking).await;
        let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1);
        assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 29);
        assert!(replies.iter().all(|reply| reply.json()["id"] == replies[0].json()["id"]));
        assert_eq!(scene.get("/v1/runs").await.is(200)["data"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_batch_is_made_whole_or_each_item_for_itself() {
    play(|| async {
        let scene = Scene::new().await;
        let mixed = json!([{"kind": "a"}, {"kind": "../b"}, {"kind": "c", "priority": 101}, {"kind": "d"}]);
        let refused = scene.post("/v1/runs:batch", json!({"runs": mixed})).await.refuses(422, "validation");
        let pointers: Vec<_> = refused["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["pointer"].as_str().unwrap())
            .collect();
        assert_eq!(pointers, ["/runs/1/kind", "/runs/2/priority"]);
        assert_eq!(
            (&refused["items"][0]["index"], &refused["items"][1]["problem"]["code"]),
            (&json!(1), &json!("validation"))
        );
        let twice = json!([{"kind": "../b"}, {"kind": "a", "delayMs": 1, "runAt": "2030-01-01T00:00:00Z"}]);
        let refused = scene.post("/v1/runs:batch", json!({"runs": twice})).await.refuses(422, "validation");
        assert_eq!(refused["errors"].as_array().unwrap().len(), 2, "{refused}");
        assert_eq!(scene.get("/v1/runs").await.is(200)["data"], json!([]));
        let mixed_answers =
            scene.post("/v1/runs:batch", json!({"runs": mixed, "atomic": false})).await.is(201);
        assert_eq!(
            (&mixed_answers["data"][0]["run"]["kind"], &mixed_answers["data"][1]["error"]["code"]),
            (&json!("a"), &json!("validation"))
        );
        assert_eq!(mixed_answers["data"][3]["replayed"], false);
        let whole =
            scene.post("/v1/runs:batch", json!({"runs": vec![json!({"kind": "a"}); 1_000]})).await.is(201);
        assert_eq!(whole["data"].as_array().unwrap().len(), 1_000);
        scene
            .post("/v1/runs:batch", json!({"runs": vec![json!({"kind": "a"}); 1_001]}))
            .await
            .refuses(422, "validation");
    });
}

#[test]
fn lists_are_pages_that_lead_on() {
    play(|| async {
        let scene = Scene::new().await;
        let runs: Vec<_> = (0..7)
            .map(|n| json!({"kind": if n % 2 == 0 { "even" } else { "odd" }, "tags": {"n": n.to_string()}}))
            .collect();
        scene.post("/v1/runs:batch", json!({"runs": runs})).await.is(201);
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
            let page = scene.get(&format!("/v1/runs?limit=3{next}")).await.is(200);
            seen.extend(page["data"].as_array().unwrap().iter().map(|run| run["id"].clone()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen.len(), 7);
        let even = scene.get("/v1/runs?kind=even&state=queued&state=running&sort=createdAt").await.is(200);
        assert_eq!(even["data"].as_array().unwrap().len(), 4);
        assert_eq!(even["data"][0]["tags"]["n"], "0");
        assert_eq!(scene.get("/v1/runs?tag=n%3D5").await.is(200)["data"][0]["kind"], "odd");
        let page = scene.get("/v1/runs?limit=3").await.is(200);
        let cursor = page["nextCursor"].as_str().unwrap();
        scene.get(&format!("/v1/runs?kind=odd&cursor={cursor}")).await.refuses(422, "validation");
        for bad in [
            "limit=0",
            "limit=101",
            "limit=x",
            "state=done",
            "sort=kind",
            "cursor=abc",
            "since=yesterday",
            "limit=1&limit=2",
            "nope=1",
        ] {
            scene.get(&format!("/v1/runs?{bad}")).await.refuses(422, "validation");
        }
    });
}

#[test]
fn the_runner_jobs_speak_their_own_words() {
    play(|| async {
        let scene = Scene::new().await;
        scene.post("/v1/agent-tasks", json!({"id": "task-1", "title": "T"})).await.is(201);
        let made = scene
            .post(
                "/runner-jobs",
                json!({"type": "agent.review", "agentTaskId": "task-1", "priority": 7, "data": {"pr": 1}}),
            )
            .await;
        let job = made.is(201);
        let id = job["id"].as_str().unwrap();
        assert_eq!(id.len(), 36, "a UUID");
        assert_eq!(
            (&job["status"], &job["data"], &job["progressPercent"]),
            (&json!("QUEUED"), &json!({"pr": 1}), &json!(0))
        );
        assert_eq!(scene.get(&format!("/v1/runs/{id}")).await.is(200)["kind"], "agent.review");
        scene.post("/v1/runs", json!({"kind": "later", "delayMs": 60_000})).await.is(201);
        for (query, count) in [
            ("", 2),
            ("?status=QUEUED", 1),
            ("?status=PENDING", 1),
            ("?type=later", 1),
            ("?agentTaskId=task-1", 1),
            ("?status=FAILED", 0),
        ] {
            let page = scene.get(&format!("/runner-jobs{query}")).await.is(200);
            assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}: {page}");
        }
        let claim = json!({"workerId": "w", "limit": 1, "kinds": ["agent.review"]});
        let token = scene.post("/v1/runs:claim", claim).await.is(200)["data"][0]["lease"]["token"].clone();
        let step = json!({"workerId": "w", "epoch": 1, "leaseToken": token, "name": "ask", "phase": "execution", "type": "ai_action", "status": "completed", "tokensIn": 5, "tokensOut": 7});
        scene.post(&format!("/v1/runs/{id}:step"), step).await.is(200);
        let detail = scene.get(&format!("/runner-jobs/{id}")).await.is(200);
        assert_eq!((&detail["status"], &detail["runnerId"]), (&json!("RUNNING"), &json!("w")));
        assert_eq!(
            (&detail["steps"][0]["type"], &detail["steps"][0]["tokensOutput"]),
            (&json!("AI_ACTION"), &json!(7))
        );
        assert_eq!(
            (&detail["events"][0]["type"], &detail["events"][0]["jobId"]),
            (&json!("run.enqueued"), &json!(id))
        );
        assert_eq!(
            scene.ask(&scene.all, "POST", &format!("/runner-jobs/{id}/cancel"), None).await.is(200)["status"],
            "CANCELLED"
        );
        assert_eq!(
            scene.ask(&scene.all, "POST", &format!("/runner-jobs/{id}/retry"), None).await.is(200)["status"],
            "QUEUED"
        );
        scene.get("/runner-jobs?status=queued").await.refuses(422, "validation");
        scene.post("/runner-jobs", json!({"data": {}})).await.refuses(422, "validation");
    });
}

#[test]
fn projects_agent_tasks_workers_and_kinds_are_created_and_listed() {
    play(|| async {
        let scene = Scene::new().await;
        scene.post("/v1/projects", json!({"id": "p"})).await.is(201);
        scene.post("/v1/projects", json!({"id": "p"})).await.is(201);
        assert_eq!(scene.get("/v1/projects").await.is(200)["data"].as_array().unwrap().len(), 1);
        let made = scene.post("/v1/agent-tasks", json!({})).await.is(201);
        assert_eq!(made["id"].as_str().unwrap().len(), 26, "an id of its own");
        let refused =
            scene.post("/v1/runs", json!({"kind": "a", "projectId": "q"})).await.refuses(422, "validation");
        assert!(refused["hint"].as_str().unwrap().contains("sprongus projects create q"), "{refused}");
        let word = json!({"host": "h", "pid": 1, "version": "1", "concurrency": 4, "kinds": ["a"]});
        assert_eq!(
            scene.ask(&scene.all, "PUT", "/v1/workers/w1", Some(word.clone())).await.is(200),
            json!({"drain": false})
        );
        scene.ask(&scene.all, "POST", "/v1/workers/w1:drain", None).await.is(204);
        assert_eq!(
            scene.ask(&scene.all, "PUT", "/v1/workers/w1", Some(word)).await.is(200),
            json!({"drain": true})
        );
        assert_eq!(scene.get("/v1/workers").await.is(200)["data"][0]["draining"], true);
        scene.ask(&scene.all, "DELETE", "/v1/workers/w1", None).await.is(204);
        assert_eq!(scene.get("/v1/workers").await.is(200)["data"], json!([]));
        scene.ask(&scene.all, "POST", "/v1/workers/w9:drain", None).await.refuses(404, "not_found");
        let paused = scene.post("/v1/kinds:pause", json!({"kind": "sync.aux/props"})).await.is(200).clone();
        assert_eq!((&paused["kind"], &paused["paused"]), (&json!("sync.aux/props"), &json!(true)));
        assert_eq!(scene.get("/v1/kinds").await.is(200)["data"], json!([paused]));
        scene.post("/v1/kinds:resume", json!({"kind": "sync.aux/props"})).await.is(200);
        assert_eq!(scene.get("/v1/stats").await.is(200)["workers"], 0);
        let pruned = scene.post("/v1/runs:prune", json!({"dryRun": true})).await.is(200);
        assert_eq!(pruned, json!({"runs": {}, "kinds": {}}));
        let own = json!({"failedMs": 0, "kinds": {"script.pull": {"failedMs": 86_400_000}}, "dryRun": true});
        scene.post("/v1/runs:prune", own).await.is(200);
        for (kinds, pointer) in [
            (json!({"a b": {"failedMs": 1}}), "/kinds/a b"),
            (json!({"a": {"failedMs": -1}}), "/kinds/a/failedMs"),
            (json!({"a": {"canceledMs": 1}}), "/kinds/a/canceledMs"),
        ] {
            let refused = scene.post("/v1/runs:prune", json!({"kinds": kinds})).await;
            let refused = refused.refuses(422, "validation");
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
        }
        assert_eq!(scene.get("/livez").await.is(200)["status"], "ok");
        let ready = scene.get("/readyz").await.is(200);
        assert_eq!((&ready["status"], &ready["durable"]), (&json!("ok"), &json!(true)));
    });
}

#[test]
fn a_verb_may_be_named_behind_an_escaped_colon() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.enqueue("a").await;
        let claim = json!({"workerId": "w:1", "limit": 1});
        assert_eq!(scene.post("/v1/runs%3Aclaim", claim).await.is(200)["data"][0]["id"], json!(id));
        assert_eq!(
            scene.post(&format!("/v1/runs/{id}%3acancel"), json!({})).await.is(200)["state"],
            "canceled"
        );
        let worker = json!({"kinds": null, "host": "h", "pid": 1, "version": "1", "concurrency": 1});
        scene.ask(&scene.all, "PUT", "/v1/workers/w%3A2", Some(worker)).await.is(200);
        assert_eq!(scene.post("/v1/workers/w%3A2%3Adrain", json!({})).await.status, 204);
        scene.ask(&scene.all, "DELETE", "/v1/workers/w%3A2", None).await.is(204);
        scene.post(&format!("/v1/runs/{id}%253Acancel"), json!({})).await.refuses(405, "method_not_allowed");
    });
}
