//! Enqueueing from SQL is held to the Rust path: the same checks, spelling, fingerprints, answers, rows and events.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test panics when its database cannot be made")]

use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::run::{ClaimRequest, Due, Enqueue, NewRun, Run};
use sprongus_core::secrets::{self, RULES};
use sprongus_core::store::{Events as _, Reads as _};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::NewAgentTask;
use sprongus_core::{Caller, Error, Runs, RunsExt, RunsService};
use sprongus_postgres::{Durability, Options, Postgres, enqueue_in};
use sprongus_throwaway::Database;
use tokio_postgres::{Client, NoTls};

mod callers;
mod scene;

/// A database seen from both sides: as a program with SQL of its own, and through the library.
struct Scene {
    client: Client,
    store: Arc<Postgres>,
    runs: Arc<dyn Runs>,
    database: Database,
}

impl Scene {
    async fn set() -> Self {
        let database = scene::migrated();
        let url = database.url("sprongus_app");
        let client = connect(&url).await;
        let options = Options { durability: Durability::AsConfigured, ..Options::default() };
        let store = Arc::new(Postgres::connect(&url, options).await.unwrap());
        let runs = RunsService::new(Arc::<Postgres>::clone(&store)).for_caller(caller());
        Self { client, store, runs, database }
    }

    /// A run as the store has it: what callers do not see must be the same too.
    async fn row(&self, id: RunId) -> Run {
        self.store.get(&caller(), id).await.unwrap()
    }

    /// The superuser, for functions that nobody else may call.
    async fn owner(&self) -> Client {
        let client = connect(&self.database.url("postgres")).await;
        client.batch_execute("SET search_path = sprongus").await.unwrap();
        client
    }

    /// `SELECT … FROM sprongus.enqueue_many` with one request.
    async fn enqueue(&self, request: &Value) -> Result<(String, String), (String, String)> {
        let ask = "SELECT run, outcome FROM sprongus.enqueue_many(jsonb_build_array($1::jsonb))";
        match self.client.query_one(ask, &[request]).await {
            Ok(row) => Ok((row.get(0), row.get(1))),
            Err(error) => {
                let refused = error.as_db_error().unwrap_or_else(|| panic!("{error:?}"));
                let detail: Value = serde_json::from_str(refused.detail().unwrap_or("{}"))
                    .unwrap_or_else(|_| panic!("{refused:?}"));
                let code = detail["code"].as_str().unwrap_or_else(|| panic!("{refused:?}"));
                assert_eq!(&refused.code().code()[..2], "SP");
                Err((code.to_owned(), refused.message().to_owned()))
            }
        }
    }
}

fn caller() -> Caller {
    Caller::new(WorkspaceId::local(), "tester")
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// The request as the HTTP API takes it.
fn written(new: &NewRun) -> Value {
    let mut request = json!({"kind": new.kind});
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            request[name] = value;
        }
    };
    put("input", new.input.as_ref().map_or(Value::Null, Json::to_value));
    put("projectId", json!(new.project_id));
    put("agentTaskId", json!(new.agent_task_id));
    put("idempotencyKey", json!(new.idempotency_key));
    put("maxAttempts", json!(new.max_attempts));
    put("priority", json!(new.priority));
    put("expireAt", json!(new.expire_at));
    put("id", new.id.map_or(Value::Null, |id| json!(id.to_uuid_text())));
    if !new.tags.is_empty() {
        put("tags", json!(new.tags));
    }
    match new.due {
        Due::Now => {}
        Due::At(time) => put("runAt", json!(time)),
        Due::After(delay) => put("delayMs", json!(u64::try_from(delay.as_millis()).unwrap())),
    }
    request
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn requests() -> Vec<NewRun> {
    let work =
        || NewRun::new("script.pull", Json::from_value(json!({"b": [1, 2.5, "é\n"], "a": {"x": null}})));
    let tags = [("team".to_owned(), "blue".to_owned())].into();
    vec![
        NewRun::new("work", Json::empty_object()),
        work(),
        NewRun { max_attempts: Some(7), priority: Some(100), tags, ..work() },
        NewRun { due: Due::After(std::time::Duration::from_secs(60)), ..work() },
        NewRun { due: Due::At(time("2031-01-02T03:04:05.678Z")), ..work() },
        NewRun { due: Due::At(time("2001-01-02T03:04:05.678Z")), ..work() },
        NewRun { expire_at: Some(time("2031-01-02T03:04:05.678Z")), ..work() },
        NewRun { project_id: Some("p".to_owned()), agent_task_id: Some("T.1".to_owned()), ..work() },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_rust_make_the_same_run() {
    let scene = Scene::set().await;
    scene.runs.create_project(&"p".parse().unwrap()).await.unwrap();
    scene.runs.create_agent_task(NewAgentTask::new("T.1".parse().unwrap())).await.unwrap();
    for (number, request) in requests().into_iter().enumerate() {
        let [by_sql, by_rust] =
            [0, 1].map(|way| NewRun { idempotency_key: Some(format!("{number}-{way}")), ..request.clone() });
        let (run, outcome) = scene.enqueue(&written(&by_sql)).await.unwrap();
        assert_eq!(outcome, "created");
        let made = scene.runs.enqueue_one(by_rust.clone()).await.unwrap().run;
        // Each finds what the other made by the same key and request, so their fingerprints are the same.
        let found = scene.runs.enqueue_one(by_sql).await.unwrap();
        assert_eq!((found.run.id.to_string(), found.outcome), (run, Enqueue::Existing));
        assert_eq!(
            scene.enqueue(&written(&by_rust)).await.unwrap(),
            (made.id.to_string(), "existing".to_owned())
        );

        let (mut mine, made) = (scene.row(found.run.id).await, scene.row(made.id).await);
        let late = mine.run_at.since(mine.created_at);
        assert!(late == made.run_at.since(made.created_at) || matches!(request.due, Due::At(_)));
        let due = mine.due_at.since(mine.created_at);
        assert!(due == made.due_at.since(made.created_at) || matches!(request.due, Due::At(_)));
        let events = scene.runs.events(mine.id, 0, 9).await.unwrap();
        let theirs = scene.runs.events(made.id, 0, 9).await.unwrap();
        assert_eq!(
            (events.len(), events[0].kind, events[0].actor.as_str()),
            (1, theirs[0].kind, "sql:sprongus_app")
        );
        if !matches!(request.due, Due::After(_)) {
            assert_eq!(events[0].payload, theirs[0].payload);
            mine.run_at = made.run_at;
        }
        mine.id = made.id;
        mine.idempotency_key.clone_from(&made.idempotency_key);
        (mine.created_at, mine.updated_at) = (made.created_at, made.updated_at);
        (mine.run_at, mine.due_at) = (made.run_at, made.due_at);
        assert_eq!(mine, made);
    }
    let worker = "worker".parse().unwrap();
    let claimed = scene.runs.claim(ClaimRequest::new(worker, 100)).await.unwrap();
    assert_eq!(claimed.len(), 2 * 6, "all but the delayed ones");
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_and_rust_refuse_alike() {
    let scene = Scene::set().await;
    let work = || NewRun::new("work", Json::empty_object());
    let of = |input: Value| NewRun { input: Some(Json::from_value(input)), ..work() };
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let bad = vec![
        NewRun { kind: "no good".to_owned(), ..work() },
        NewRun { kind: String::new(), priority: Some(101), max_attempts: Some(0), ..work() },
        NewRun { project_id: Some("NO".to_owned()), agent_task_id: Some("-".to_owned()), ..work() },
        NewRun { project_id: Some("nobody-made-it".to_owned()), ..work() },
        NewRun { agent_task_id: Some("nobody.made.it".to_owned()), ..work() },
        NewRun { idempotency_key: Some(String::new()), ..work() },
        NewRun { idempotency_key: Some("a\u{1b}b".to_owned()), ..work() },
        NewRun { idempotency_key: Some("a\nb".to_owned()), ..work() },
        NewRun { idempotency_key: Some("a\tb".to_owned()), ..work() },
        NewRun { tags: [("x".repeat(65), String::new())].into(), ..work() },
        NewRun { tags: (0..17).map(|n| (n.to_string(), String::new())).collect(), ..work() },
        of(json!("x".repeat((1 << 20) - 1))),
        of(json!({"a": {"b/c": ["fine", token]}})),
        of(json!({"dbPassword": "hunter2", "max_tokens": 5, "key": [{"name": "API_KEY", "value": 7}]})),
        of(json!(["ghp_", "a1B2".repeat(9)])),
        NewRun { tags: [("t".to_owned(), token.clone())].into(), ..work() },
        of(json!({token: 1})),
    ];
    for request in bad {
        let refusal = scene.enqueue(&written(&request)).await.unwrap_err();
        let error: Error = scene.runs.enqueue_one(request).await.unwrap_err();
        assert_eq!(refusal, (error.code().as_str().to_owned(), error.message().to_owned()));
    }
    for (request, code) in [
        (json!({"kind": "work", "input": deep}), "malformed"),
        (json!({"kind": "work", "inptu": {}}), "validation"),
        (json!(7), "validation"),
        (json!({"kind": 7}), "validation"),
        (json!({"kind": "work", "maxAttempts": "many"}), "validation"),
        (json!({"kind": "work", "maxAttempts": 1.5e10}), "validation"),
        (json!({"kind": "work", "runAt": "soon"}), "validation"),
        (json!({"kind": "work", "runAt": "tomorrow"}), "validation"),
        (json!({"kind": "work", "runAt": "2031-01-02T03:04:05"}), "validation"),
        (json!({"kind": "work", "runAt": "01/02/2031 03:04:05Z"}), "validation"),
        (json!({"kind": "work", "expireAt": "infinity"}), "validation"),
        (json!({"kind": "work", "id": "no id"}), "validation"),
        (json!({"kind": "work", "tags": ["a"]}), "validation"),
    ] {
        assert_eq!(scene.enqueue(&request).await.unwrap_err().0, code);
    }
    scene.enqueue(&json!({"kind": "work", "idempotencyKey": "k"})).await.unwrap();
    let refusal =
        scene.enqueue(&json!({"kind": "work", "idempotencyKey": "k", "priority": 1})).await.unwrap_err();
    let again = NewRun { idempotency_key: Some("k".to_owned()), priority: Some(1), ..work() };
    let error = scene.runs.enqueue_one(again).await.unwrap_err();
    assert_eq!(refusal, (error.code().as_str().to_owned(), error.message().to_owned()));
    let reference = json!({"kind": "work", "input": {"token": "secret://env/TOKEN"}});
    scene.enqueue(&reference).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_part_of_the_callers_transaction() {
    let mut scene = Scene::set().await;
    let ask =
        "SELECT run_id, run, outcome FROM sprongus.enqueue('work', '{\"n\": 1}', idempotency_key => 'k')";
    scene.client.batch_execute("SET sprongus.workspace_id = ''; SET search_path = pg_catalog").await.unwrap();
    let transaction = scene.client.transaction().await.unwrap();
    transaction.query_one(ask, &[]).await.unwrap();
    let settings = "SELECT current_setting('search_path') || current_setting('sprongus.workspace_id')";
    let settings: String = transaction.query_one(settings, &[]).await.unwrap().get(0);
    assert_eq!(settings, "pg_catalog", "the caller's settings are as before");
    transaction.rollback().await.unwrap();
    assert!(scene.runs.find_by_key("k").await.unwrap().is_none(), "rolled back, it was never there");

    let generation = scene.store.generation();
    scene.client.query_one(ask, &[]).await.unwrap();
    let limit = std::time::Duration::from_secs(60);
    let hears = async {
        while scene.store.generation() == generation {
            scene.store.changed(generation, limit).await;
        }
    };
    tokio::time::timeout(limit, hears).await.expect("who waits hears of it");
    let request = ClaimRequest::new("worker".parse().unwrap(), 1);
    assert_eq!(scene.runs.claim(request).await.unwrap().len(), 1);

    let (run, text): (uuid::Uuid, String) = {
        let row = scene.client.query_one(ask, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(run.to_string().parse::<RunId>().unwrap().to_string(), text);
    let other = "SELECT * FROM sprongus.enqueue('work', workspace => 'nobody')";
    let refused = scene.client.query_one(other, &[]).await.unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().message(), "no such workspace: nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rust_program_enqueues_in_its_own_transaction() {
    let mut scene = Scene::set().await;
    let caller = Caller::new(WorkspaceId::local(), "orders");
    let due = Due::After(std::time::Duration::from_millis(1_500));
    let new = NewRun {
        idempotency_key: Some("order-7".to_owned()),
        due,
        ..NewRun::new("mail", Json::empty_object())
    };
    let transaction = scene.client.transaction().await.unwrap();
    let (id, outcome) = enqueue_in(&transaction, "sprongus", &caller, &new).await.unwrap();
    assert_eq!(outcome, Enqueue::Created);
    transaction.rollback().await.unwrap();
    assert!(scene.runs.get(id).await.is_err());

    let transaction = scene.client.transaction().await.unwrap();
    let (id, _) = enqueue_in(&transaction, "sprongus", &caller, &new).await.unwrap();
    assert_eq!(enqueue_in(&transaction, "sprongus", &caller, &new).await.unwrap(), (id, Enqueue::Existing));
    transaction.commit().await.unwrap();
    let found = scene.runs.enqueue_one(new.clone()).await.unwrap();
    assert_eq!((found.run.id, found.outcome), (id, Enqueue::Existing));
    assert_eq!(scene.runs.events(id, 0, 9).await.unwrap()[0].actor, "sql:sprongus_app as orders");

    let transaction = scene.client.transaction().await.unwrap();
    let other = NewRun { priority: Some(3), ..new };
    let error = enqueue_in(&transaction, "sprongus", &caller, &other).await.unwrap_err();
    let expected = scene.runs.enqueue_one(other).await.unwrap_err();
    assert_eq!(
        (error.code(), error.message(), error.hint()),
        (expected.code(), expected.message(), expected.hint())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_speak_the_second_vocabulary() {
    let scene = Scene::set().await;
    let run = scene.runs.enqueue_one(NewRun::new("pull", Json::empty_object())).await.unwrap().run;
    let later = Due::After(std::time::Duration::from_secs(60));
    scene
        .runs
        .enqueue_one(NewRun { due: later, ..NewRun::new("later", Json::empty_object()) })
        .await
        .unwrap();
    let jobs = "SELECT type, status FROM sprongus.runner_jobs ORDER BY type";
    let statuses = async || {
        let rows = scene.client.query(jobs, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(1)).collect::<Vec<_>>()
    };
    let unnamed = scene.client.query(jobs, &[]).await.unwrap_err();
    assert_eq!(unnamed.code().unwrap().code(), "42704", "whoever names no workspace is refused");
    scene.client.batch_execute("SET sprongus.workspace_id = 'default'").await.unwrap();
    assert_eq!(statuses().await, ["PENDING", "QUEUED"]);
    let claimed = scene.runs.claim_next(&"worker".parse().unwrap(), 1).await.unwrap().remove(0);
    assert_eq!(statuses().await, ["PENDING", "RUNNING"]);
    assert_eq!(claimed.run.id, run.id);
    scene.runs.succeed(&claimed.hold(), None, None).await.unwrap();
    assert_eq!(statuses().await, ["PENDING", "COMPLETED"]);
    let events = "SELECT id FROM sprongus.job_events WHERE job_id = $1 ORDER BY seq";
    let id = uuid::Uuid::from_u128(run.id.to_bits());
    let ids = scene.client.query(events, &[&id]).await.unwrap();
    let ids: Vec<String> = ids.iter().map(|row| row.get::<_, uuid::Uuid>(0).to_string()).collect();
    let events = scene.runs.events(run.id, 0, 9).await.unwrap();
    let events: Vec<String> = events.iter().map(|event| event.id().to_uuid_text()).collect();
    assert_eq!(ids, events);
    scene.client.query("SELECT * FROM sprongus.job_steps", &[]).await.unwrap();
}

/// Whole floats from 2^53 to 2^64 aside, of which `jsonb` forgets that they were floats.
fn any_value() -> impl Strategy<Value = Value> {
    let is_kept = |number: &f64| number.fract() != 0.0 || !(9.0e15..1.9e19).contains(&number.abs());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("kept", is_kept).prop_map(Value::from),
        (-1_000_000i32..1_000_000).prop_map(|number| Value::from(f64::from(number) / 4.0)),
        (0u64..10_000, -30i32..30)
            .prop_map(|(digits, power)| digits as f64 * 10f64.powi(power))
            .prop_filter("kept", is_kept)
            .prop_map(Value::from),
        "[^\0]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,8}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "password", "Token", "api", "Key", "API", "max", "page", "secret", "next", "auth", "PWD", "tokens",
        "x", "2", "S",
    ]);
    prop::collection::vec((word, prop::sample::select(vec!["", "_", "-", ".", "é"])), 1..5)
        .prop_map(|parts| parts.into_iter().flat_map(|(word, between)| [word, between]).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_spells_and_judges_as_rust_does() {
    let scene = Scene::set().await;
    let owner = scene.owner().await;
    let values: Vec<Value> = drawn(any_value(), 300);
    let spelt =
        "SELECT canonical_json(v) FROM unnest($1::jsonb[]) WITH ORDINALITY AS t (v, place) ORDER BY place";
    for (row, value) in owner.query(spelt, &[&values]).await.unwrap().iter().zip(&values) {
        assert_eq!(row.get::<_, String>(0), Json::from_value(value.clone()).as_str());
    }
    let keys = drawn(key(), 1_000);
    let judged =
        "SELECT is_credential_name(k) FROM unnest($1::text[]) WITH ORDINALITY AS t (k, place) ORDER BY place";
    for (row, key) in owner.query(judged, &[&keys]).await.unwrap().iter().zip(&keys) {
        assert_eq!(row.get::<_, bool>(0), secrets::is_credential_name(key), "{key}");
    }
    let source = "SELECT prosrc FROM pg_proc WHERE proname = 'secret_rule'";
    let source: String = owner.query_one(source, &[]).await.unwrap().get(0);
    let table: Vec<&str> = source.lines().map(str::trim).filter(|line| line.starts_with('(')).collect();
    let rule = |(place, rule): (usize, &secrets::Rule)| {
        format!("({}, '{}', '{}')", place + 1, rule.name, rule.regex.replace('\'', "''"))
    };
    let rules: Vec<String> = RULES.iter().enumerate().map(rule).collect();
    assert_eq!(table.iter().map(|line| line.trim_end_matches(',')).collect::<Vec<_>>(), rules);
}

fn drawn<T: std::fmt::Debug>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = TestRunner::new(Config::default());
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}
