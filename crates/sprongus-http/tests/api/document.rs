//! The OpenAPI document, held to the router, to the words of the core, and to what is really answered.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sprongus_core::ErrorCode;
use sprongus_core::rules::record::MAX_TOKENS;
use sprongus_core::run::state::State;
use sprongus_core::run::step::{Phase, StepStatus, StepType, Stream};
use sprongus_core::workspace::operator::OperatorEventType;
use sprongus_core::workspace::token::Scope;
use sprongus_http::server::openapi::{document, text};

use crate::scene::{LEASE_TOKEN, Scene, play};

fn words(schema: &str) -> BTreeSet<String> {
    let words = document()["components"]["schemas"][schema]["enum"].as_array().expect(schema).iter();
    words.map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn set<T: ToString>(all: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    all.into_iter().map(|word| word.to_string()).collect()
}

#[test]
fn it_knows_the_words_of_the_core() {
    assert_eq!(words("StateName"), set(State::ALL));
    assert_eq!(words("PhaseName"), set(Phase::ALL));
    assert_eq!(words("StepTypeName"), set(StepType::ALL));
    assert_eq!(words("StepStatusName"), set(StepStatus::ALL));
    assert_eq!(words("StreamName"), set(Stream::ALL));
    assert_eq!(words("ScopeName"), set(Scope::ALL));
    assert_eq!(words("OperatorEventName"), set(OperatorEventType::ALL));
    assert_eq!(words("CodeName"), set(ErrorCode::ALL));
}

#[test]
fn it_has_the_bounds_of_the_core() {
    for schema in ["StepRequest", "StepUpdate"] {
        for name in ["tokensIn", "tokensOut"] {
            let field = &document()["components"]["schemas"][schema]["properties"][name];
            assert_eq!(field["maximum"], MAX_TOKENS, "{schema}.{name}: {field}");
        }
    }
}

#[test]
fn every_operation_says_what_it_does_who_may_and_how_it_refuses() {
    let mut ids = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{name}");
            assert!(operation["security"].is_array(), "{name}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
            assert!(responses.contains_key("500"), "{name}");
            let is_open = ["/livez", "/readyz", "/openapi.json", "/errors"].contains(&path.as_str());
            assert_eq!(responses.contains_key("401"), !is_open, "{name}");
        }
    }
    assert!(ids.len() > 40);
}

/// What generators trip over, whatever their language: names that clash, nulls that cannot be sent, lists of nothing.
#[test]
fn its_names_and_types_fit_every_language() {
    let schemas = document()["components"]["schemas"].as_object().unwrap();
    // Go's constructors are `New` and the type's name; the others hide built-in types of TypeScript, Python or Rust.
    let taken = [
        "Record", "Partial", "Pick", "Omit", "Error", "Date", "Event", "Object", "String", "Option",
        "Result", "List", "Any",
    ];
    for name in schemas.keys() {
        assert!(!name.starts_with("New") || name == "News", "{name}");
        assert!(!taken.contains(&name.as_str()), "{name}");
    }
    let mut constants = BTreeSet::new();
    for (name, schema) in schemas.iter().filter(|(_, schema)| schema["enum"].is_array()) {
        let names = schema["x-enum-varnames"].as_array().unwrap_or_else(|| panic!("{name}"));
        assert_eq!(names.len(), schema["enum"].as_array().unwrap().len(), "{name}");
        for constant in names {
            let constant = constant.as_str().unwrap();
            assert!(constants.insert(constant.to_owned()), "{constant} twice");
            assert!(!schemas.contains_key(constant), "{constant} is a schema too");
        }
    }
    for (path, item) in document()["paths"].as_object().unwrap() {
        for parameter in item
            .as_object()
            .unwrap()
            .values()
            .flat_map(|operation| operation["parameters"].as_array())
            .flatten()
        {
            let types = &parameter["schema"]["type"];
            assert!(
                *types != "null" && !types.as_array().is_some_and(|all| all.contains(&json!("null"))),
                "{path}: {parameter}"
            );
        }
    }
    assert_eq!(document()["servers"][0]["url"], "http://127.0.0.1:3000");
}

/// Tools that play the server make what they answer from patterns and examples; a pattern alone is too much for some.
#[test]
fn whatever_has_a_pattern_has_an_example_that_fits_it() {
    fn walk(at: &str, value: &Value, missing: &mut Vec<String>) {
        let is_patterned = value["pattern"].is_string();
        if is_patterned && !jsonschema::is_valid(value, &value["example"]) {
            missing.push(at.to_owned());
        }
        let parts: Vec<(String, &Value)> = match value {
            Value::Object(all) => all.iter().map(|(name, part)| (name.clone(), part)).collect(),
            Value::Array(all) => all.iter().enumerate().map(|(at, part)| (at.to_string(), part)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
        for (name, part) in parts {
            walk(&format!("{at}/{name}"), part, missing);
        }
    }
    let mut missing = Vec::new();
    walk("", &document()["components"]["schemas"], &mut missing);
    walk("", &document()["paths"], &mut missing);
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn it_is_sent_only_when_it_has_changed() {
    play(|| async {
        let scene = Scene::new().await;
        let first = scene.get("/openapi.json").await;
        let tag = first.header("etag").unwrap().to_owned();
        assert!(text().len() < 300_000, "{} bytes", text().len());
        let repeated = scene.ask_with("", "GET", "/openapi.json", &[("If-None-Match", &tag)], None).await;
        assert_eq!((repeated.status, repeated.text().len()), (304, 0));
        let other = scene.ask_with("", "GET", "/openapi.json", &[("If-None-Match", "\"other\"")], None).await;
        assert_eq!(other.status, 200);
    });
}

/// Paths with verbs in the order of the router's page; a route that is not described, or described and not there, fails.
#[test]
fn it_has_every_route_and_no_other() {
    let page = include_str!("../../src/server/router.rs");
    let mut routed = BTreeSet::new();
    for line in page.lines().filter(|line| line.trim_start().starts_with(".route(")) {
        let path = line.split('"').nth(1).unwrap().replace("/@", ":").replace("{*", "{");
        for method in ["get", "post", "put", "delete"] {
            if line.contains(&format!("{method}(")) {
                routed.insert(format!("{method} {path}"));
            }
        }
    }
    let paths = document()["paths"].as_object().unwrap().iter();
    let described: BTreeSet<String> = paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(described, routed);
}

/// Checks a body against the schema that the document has for it.
#[track_caller]
fn fits(path: &str, method: &str, status: &str, body: &Value) {
    let response = &document()["paths"][path][method]["responses"][status];
    let response = match response["$ref"].as_str() {
        Some(reference) => &document()["components"]["responses"][reference.rsplit('/').next().unwrap()],
        None => response,
    };
    let content = response["content"].as_object().unwrap_or_else(|| panic!("{method} {path} {status}"));
    let schema = content.values().next().unwrap()["schema"].clone();
    let whole = json!({"allOf": [schema], "components": document()["components"]});
    let validator = jsonschema::validator_for(&whole).unwrap();
    let faults: Vec<String> =
        validator.iter_errors(body).map(|fault| format!("{} at {}", fault, fault.instance_path())).collect();
    assert!(faults.is_empty(), "{method} {path} {status}: {faults:?}\n{body:#}");
}

#[test]
fn what_is_answered_is_as_described() {
    play(|| async {
        let scene = Scene::new().await;
        assert_eq!(scene.get("/openapi.json").await.text(), text());
        let id = scene.held("a").await;
        let hold = json!({"workerId": "w", "epoch": 1});
        let step = json!({"workerId": "w", "epoch": 1, "name": "s", "phase": "setup", "type": "command", "status": "completed"});
        let lines = json!({"workerId": "w", "epoch": 1, "lines": [{"stream": "stdout", "text": "x"}]});
        let word = json!({"host": "h", "pid": 1, "version": "1", "concurrency": 1});
        scene.post("/v1/projects", json!({"id": "p"})).await.is(201);
        scene.post("/v1/kinds:pause", json!({"kind": "z"})).await.is(200);
        let calls = [
            ("post", "/v1/runs", Some(json!({"kind": "b", "tags": {"x": "y"}})), "201"),
            (
                "post",
                "/v1/runs:batch",
                Some(json!({"runs": [{"kind": "b"}, {"kind": "/"}], "atomic": false})),
                "201",
            ),
            ("post", "/v1/runs:batch", Some(json!({"runs": [{"kind": "b"}, {"kind": "/"}]})), "422"),
            ("get", "/v1/runs", None, "200"),
            ("get", "/v1/runs/{id}", None, "200"),
            ("post", "/v1/runs/{id}:heartbeat", Some(hold.clone()), "200"),
            (
                "post",
                "/v1/runs:heartbeat",
                Some(
                    json!({"workerId": "w", "runs": [{"id": id, "epoch": 1}, {"id": id.replace('0', "1"), "epoch": 1}]}),
                ),
                "200",
            ),
            ("post", "/v1/runs/{id}:step", Some(step), "200"),
            ("post", "/v1/runs/{id}:log", Some(lines), "200"),
            ("get", "/v1/runs/{id}/steps", None, "200"),
            ("get", "/v1/runs/{id}/events", None, "200"),
            ("get", "/v1/runs/{id}/logs", None, "200"),
            ("get", "/v1/runs/{id}/news", None, "200"),
            ("put", "/v1/runs/{id}/artifacts/{name}?workerId=w&epoch=1", Some(json!("a file")), "201"),
            ("get", "/v1/runs/{id}/artifacts", None, "200"),
            ("get", "/v1/runs/{id}/artifacts/{name}", None, "200"),
            ("get", "/v1/runs/{id}/workdir?workerId=w&epoch=1", None, "404"),
            ("put", "/v1/workers/{id}", Some(word), "200"),
            ("get", "/v1/workers", None, "200"),
            ("get", "/v1/kinds", None, "200"),
            ("get", "/v1/projects", None, "200"),
            ("get", "/v1/agent-tasks", None, "200"),
            ("get", "/v1/workspaces", None, "200"),
            ("get", "/v1/stats", None, "200"),
            ("get", "/v1/tokens", None, "200"),
            ("post", "/v1/tokens", Some(json!({"name": "x", "scopes": ["admin"]})), "201"),
            ("get", "/v1/token", None, "200"),
            ("get", "/v1/audit", None, "200"),
            ("post", "/v1/runs:prune", None, "200"),
            ("post", "/v1/runs/{id}:approve", None, "409"),
            ("post", "/v1/runs:claim", Some(json!({"workerId": "w2", "limit": 1})), "200"),
            (
                "post",
                "/v1/runs:finish",
                Some(json!({"workerId": "w", "reports": [{"id": id, "epoch": 9, "outcome": "release"}]})),
                "200",
            ),
            ("post", "/v1/runs/{id}:fail", Some(json!({"workerId": "w", "epoch": 1, "error": "e"})), "200"),
            ("post", "/v1/runs/{id}:succeed", Some(hold), "409"),
            ("post", "/v1/runs/{id}:cancel", None, "200"),
            ("post", "/v1/runs/{id}:retry", None, "200"),
            ("post", "/runner-jobs", Some(json!({"type": "a"})), "201"),
            ("get", "/runner-jobs", None, "200"),
            ("get", "/runner-jobs/{id}", None, "200"),
            ("get", "/livez", None, "200"),
            ("get", "/readyz", None, "200"),
        ];
        for (method, path, body, status) in calls {
            let at = path.replace("{id}", &id).replace("{name}", "out/report.md");
            let path = path.split('?').next().unwrap();
            let reply = scene.ask(&scene.all, &method.to_ascii_uppercase(), &at, body).await;
            assert_eq!(reply.status.to_string(), status, "{method} {path}: {}", reply.text());
            fits(path, method, status, &reply.json());
        }
    });
}

/// What streams is described as bytes, in and out, with the statuses and headers that a client has to know.
#[test]
fn files_are_described_as_bytes() {
    let path = &document()["paths"]["/v1/runs/{id}/artifacts/{name}"];
    let workdir = &document()["paths"]["/v1/runs/{id}/workdir"];
    let schema = |at: &Value| at["content"]["application/octet-stream"]["schema"].clone();
    for body in [
        &path["put"]["requestBody"],
        &path["get"]["responses"]["200"],
        &path["get"]["responses"]["206"],
        &workdir["put"]["requestBody"],
        &workdir["get"]["responses"]["200"],
    ] {
        assert_eq!(
            (&schema(body)["type"], &schema(body)["format"]),
            (&json!("string"), &json!("binary")),
            "{body}"
        );
    }
    for (operation, statuses) in [
        (&path["put"], vec!["201", "408", "409", "413", "415", "422"]),
        (&path["get"], vec!["200", "206", "304", "404", "416"]),
        (&workdir["put"], vec!["204", "408", "409", "413", "415"]),
        (&workdir["get"], vec!["200", "404", "409"]),
        (&workdir["delete"], vec!["204", "409"]),
    ] {
        for status in statuses {
            assert!(!operation["responses"][status].is_null(), "{status} of {}", operation["operationId"]);
        }
    }
    assert!(!path["put"]["responses"]["201"]["headers"]["Location"].is_null());
    for (status, header) in
        [("200", "ETag"), ("200", "Accept-Ranges"), ("206", "Content-Range"), ("416", "Content-Range")]
    {
        assert!(!path["get"]["responses"][status]["headers"][header].is_null(), "{header} of {status}");
    }
    for operation in [&path["put"], &workdir["put"], &workdir["get"], &workdir["delete"]] {
        let parameters = operation["parameters"].as_array().unwrap();
        for name in ["workerId", "epoch"] {
            assert!(
                parameters
                    .iter()
                    .any(|one| one["name"] == name && one["in"] == "query" && one["required"] == true)
            );
        }
        // Not required: without it the answer is `lease_lost`, as with a wrong one.
        let is_token =
            |one: &Value| one["name"] == LEASE_TOKEN && one["in"] == "header" && one["required"] == false;
        assert!(parameters.iter().any(is_token));
    }
}

#[test]
fn every_code_is_explained_where_its_type_leads() {
    play(|| async {
        let scene = Scene::new().await;
        let page = scene.get("/errors").await;
        assert_eq!(page.status, 200);
        for code in ErrorCode::ALL {
            assert!(page.text().contains(&format!("id=\"{code}\"")), "{code}");
        }
    });
}
