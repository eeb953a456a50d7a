//! The inputs of the security checklist, each with the one answer it gets; and nothing of it is half done.

use serde_json::{Value, json};

use crate::raw;
use crate::scene::{Scene, play};

struct Case {
    name: &'static str,
    path: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    pointer: Option<&'static str>,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Case {
    Case { name, path: "/v1/runs", body: body.into(), status, code, pointer: None }
}

fn at(pointer: &'static str, case: Case) -> Case {
    Case { pointer: Some(pointer), ..case }
}

fn cases() -> Vec<Case> {
    let deep = format!("{{\"kind\":\"a\",\"input\":{}1{}}}", "[".repeat(80), "]".repeat(80));
    let large = format!("{{\"kind\":\"a\",\"input\":\"{}\"}}", "x ".repeat(700_000));
    // Put together here, so that no scanner takes this file for a leak.
    let secret = format!("{}_{}", "ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8");
    vec![
        case("nothing", "", 415, "unsupported_media_type"),
        case("only spaces", "  ", 400, "malformed"),
        case("cut short", "{\"kind\":", 400, "malformed"),
        case("something behind it", "{\"kind\":\"a\"} x", 400, "malformed"),
        case("duplicate keys", "{\"kind\":\"a\",\"kind\":\"b\"}", 400, "malformed"),
        case("duplicate keys within", "{\"kind\":\"a\",\"input\":{\"x\":1,\"x\":2}}", 400, "malformed"),
        case("a NUL", "{\"kind\":\"a\",\"input\":\"\\u0000\"}", 400, "malformed"),
        case("half a surrogate", "{\"kind\":\"a\",\"input\":\"\\ud800\"}", 400, "malformed"),
        case("no UTF-8", b"{\"kind\":\"\xff\"}".to_vec(), 400, "malformed"),
        case("too deep", deep, 400, "malformed"),
        case("a number over all", "{\"kind\":\"a\",\"input\":1e400}", 400, "malformed"),
        case("a number of no type", "{\"kind\":\"a\",\"input\":NaN}", 400, "malformed"),
        case("too large", large, 413, "payload_too_large"),
        case("an array", "[]", 422, "validation"),
        case("fields without names", "[null, \"a\"]", 422, "validation"),
        Case {
            path: "/v1/runs:batch",
            ..at("/runs/0", case("an item without names", "{\"runs\":[[null,\"a\"]]}", 422, "validation"))
        },
        at("/kind", case("no kind", "{\"kind\":\"\"}", 422, "validation")),
        at("/kind", case("a kind that is a path", "{\"kind\":\"../etc/passwd\"}", 422, "validation")),
        at("/kind", case("a kind that is SQL", "{\"kind\":\"a'; DROP TABLE runs; --\"}", 422, "validation")),
        at("/kind", case("a kind that is a number", "{\"kind\":7}", 422, "validation")),
        at("/kind", case("an escape", "{\"kind\":\"\\u001b[2J\"}", 422, "validation")),
        at("/state", case("an unknown field", "{\"kind\":\"a\",\"state\":\"succeeded\"}", 422, "validation")),
        at(
            "/workspaceId",
            case("another workspace", "{\"kind\":\"a\",\"workspaceId\":\"b\"}", 422, "validation"),
        ),
        at("/priority", case("a priority over 100", "{\"kind\":\"a\",\"priority\":101}", 422, "validation")),
        at("/priority", case("a priority below 0", "{\"kind\":\"a\",\"priority\":-1}", 422, "validation")),
        at("/maxAttempts", case("no attempts", "{\"kind\":\"a\",\"maxAttempts\":0}", 422, "validation")),
        at("/runAt", case("no time", "{\"kind\":\"a\",\"runAt\":\"tomorrow\"}", 422, "validation")),
        at(
            "/delayMs",
            case(
                "two times",
                "{\"kind\":\"a\",\"delayMs\":1,\"runAt\":\"2030-01-01T00:00:00Z\"}",
                422,
                "validation",
            ),
        ),
        at(
            "/idempotencyKey",
            case("a key with a newline", "{\"kind\":\"a\",\"idempotencyKey\":\"a\\nb\"}", 422, "validation"),
        ),
        at(
            "/projectId",
            case("an unknown project", "{\"kind\":\"a\",\"projectId\":\"p\"}", 422, "validation"),
        ),
        at(
            "/tags/x",
            case("a tag that is an object", "{\"kind\":\"a\",\"tags\":{\"x\":{}}}", 422, "validation"),
        ),
        at(
            "/input/token",
            case(
                "a secret",
                json!({"kind": "a", "input": {"token": secret}}).to_string(),
                422,
                "secret_in_input",
            ),
        ),
        Case {
            path: "/v1/runs:claim",
            ..at("/workerId", case("a claim by nobody", "{\"workerId\":\"\",\"limit\":1}", 422, "validation"))
        },
        Case {
            path: "/v1/runs:claim",
            ..case("a claim of none", "{\"workerId\":\"w\",\"limit\":0}", 422, "validation")
        },
        Case {
            path: "/v1/runs:claim",
            ..case(
                "a lease of a day",
                "{\"workerId\":\"w\",\"limit\":1,\"leaseMs\":86400000}",
                422,
                "validation",
            )
        },
        Case {
            path: "/v1/runs:claim",
            ..case(
                "a wait of an hour",
                "{\"workerId\":\"w\",\"limit\":1,\"waitMs\":3600000}",
                422,
                "validation",
            )
        },
        Case {
            path: "/v1/tokens",
            ..at(
                "/scopes/0",
                case("an unknown scope", "{\"name\":\"x\",\"scopes\":[\"root\"]}", 422, "validation"),
            )
        },
        Case {
            path: "/v1/workspaces",
            ..at("/id", case("a workspace that is a path", "{\"id\":\"../x\"}", 422, "validation"))
        },
    ]
}

#[test]
fn every_bad_input_has_its_answer() {
    play(|| async {
        let scene = Scene::new().await;
        let bearer = format!("Bearer {}", scene.all);
        for case in cases() {
            let mut headers = vec![("Authorization", bearer.as_str())];
            if !case.body.is_empty() {
                headers.push(("Content-Type", "application/json"));
            }
            let reply =
                raw::bytes(scene.address, &raw::request("POST", case.path, &headers, &case.body)).await;
            assert_eq!(reply.status, case.status, "{}: {}", case.name, reply.text());
            let problem = reply.refuses(case.status, case.code);
            if let Some(pointer) = case.pointer {
                let pointers: Vec<_> =
                    problem["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
                assert!(pointers.contains(&&json!(pointer)), "{}: {problem}", case.name);
            }
            assert!(
                !reply.text().contains("ghp_") && !reply.text().contains('\u{1b}'),
                "{}: {}",
                case.name,
                reply.text()
            );
        }
        assert_eq!(scene.get("/v1/runs").await.is(200)["data"], json!([]), "nothing was half done");
    });
}

#[test]
fn bodies_of_another_sort_are_refused() {
    play(|| async {
        let scene = Scene::new().await;
        let bearer = format!("Bearer {}", scene.all);
        let sorts: [&[(&str, &str)]; 5] = [
            &[],
            &[("Content-Type", "text/plain")],
            &[("Content-Type", "application/x-www-form-urlencoded")],
            &[("Content-Type", "application/json; charset=utf-16")],
            &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")],
        ];
        for sort in sorts {
            let mut headers = vec![("Authorization", bearer.as_str())];
            headers.extend_from_slice(sort);
            let request = raw::request("POST", "/v1/runs", &headers, b"{\"kind\":\"a\"}");
            raw::bytes(scene.address, &request).await.refuses(415, "unsupported_media_type");
        }
        let charset =
            [("Authorization", bearer.as_str()), ("Content-Type", "application/json; charset=UTF-8")];
        raw::bytes(scene.address, &raw::request("POST", "/v1/runs", &charset, b"{\"kind\":\"a\"}"))
            .await
            .is(201);
    });
}

#[test]
fn a_body_without_end_is_cut_off() {
    play(|| async {
        let scene = Scene::new().await;
        let mut request = format!(
            "POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            scene.all
        )
        .into_bytes();
        for _ in 0..40 {
            request.extend_from_slice(format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536)).as_bytes());
        }
        raw::bytes(scene.address, &request).await.refuses(413, "payload_too_large");
    });
}

#[test]
fn routes_that_are_not_there_and_methods_they_do_not_have() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.enqueue("a").await;
        for (method, path) in [
            ("GET", "/v2/runs".to_owned()),
            ("POST", format!("/v1/runs/{id}:explode")),
            ("POST", format!("/v1/runs/{id}/@cancel")),
            ("GET", format!("/v1/runs/{id}/nothing")),
            ("GET", "/v1/runs/".to_owned()),
            ("GET", "//".to_owned()),
            ("GET", "/v1/runs/..%2f..%2fetc".to_owned()),
        ] {
            scene.ask(&scene.all, method, &path, None).await.refuses(404, "not_found");
        }
        for (method, path, allowed) in [
            ("DELETE", "/v1/runs".to_owned(), "GET,HEAD,POST"),
            ("PATCH", format!("/v1/runs/{id}"), "GET,HEAD"),
            ("GET", format!("/v1/runs/{id}:cancel"), "POST"),
            ("DELETE", format!("/v1/runs/{id}/events"), "GET,HEAD"),
            ("PUT", "/v1/runs:claim".to_owned(), "POST"),
        ] {
            let reply = scene.ask(&scene.all, method, &path, None).await;
            reply.refuses(405, "method_not_allowed");
            assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
        }
        assert_eq!(scene.get(&format!("/v1/runs/{id}")).await.is(200)["state"], "queued");
    });
}

#[test]
fn heads_that_are_too_large_or_broken_are_refused_before_us() {
    play(|| async {
        let scene = Scene::new().await;
        let long = "x".repeat(20_000);
        let reply =
            raw::bytes(scene.address, &raw::request("GET", "/livez", &[("X-Long", &long)], b"")).await;
        assert_eq!(reply.status, 431);
        let names: Vec<String> = (0..200).map(|n| format!("X-{n}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1")).collect();
        let reply = raw::bytes(scene.address, &raw::request("GET", "/livez", &many, b"")).await;
        assert_eq!(reply.status, 431);
        assert_eq!(raw::bytes(scene.address, b"NONSENSE\r\n\r\n").await.status, 400);
        scene.get("/livez").await.is(200);
    });
}

#[test]
fn a_report_in_words_of_another_outcome_is_refused() {
    play(|| async {
        let scene = Scene::new().await;
        let id = scene.held("a").await;
        let report = |report: Value| json!({"workerId": "w", "reports": [report]});
        for bad in [
            json!({"id": id, "epoch": 1, "outcome": "fail"}),
            json!({"id": id, "epoch": 1, "outcome": "succeed", "error": "x"}),
            json!({"id": id, "epoch": 1, "outcome": "release", "result": 1}),
            json!({"id": id, "epoch": 1, "outcome": "explode"}),
        ] {
            scene.post("/v1/runs:finish", report(bad)).await.refuses(422, "validation");
        }
        let reports = json!({"workerId": "w", "reports": [
            {"id": id, "epoch": 7, "outcome": "succeed"}, {"id": id, "epoch": 1, "outcome": "succeed", "result": [1]},
        ]});
        let answers = scene.post("/v1/runs:finish", reports).await.is(200);
        assert_eq!(answers["data"][0]["error"]["code"], "lease_lost", "{answers}");
        assert_eq!(answers["data"][1]["run"]["state"], "succeeded", "{answers}");
    });
}
