//! Callers of the SQL functions: what they are set to, what they call themselves, and what they hand in that the command line refuses.

use super::*;

/// What is not what it was by the time a command reads it is refused, as the command line does.
#[tokio::test(flavor = "multi_thread")]
async fn a_whole_number_that_would_be_rounded_is_refused() {
    let scene = Scene::set().await;
    let ask = "SELECT outcome FROM sprongus.enqueue('work', $1::text::jsonb)";
    for number in ["12345678901234567890123", "18446744073709551616", "-9223372036854775809", "1e400"] {
        let error = scene.client.query_one(ask, &[&format!("{{\"a\": [{number}]}}")]).await.unwrap_err();
        let refused = error.as_db_error().unwrap();
        assert_eq!(refused.code().code(), "SP400", "{number}: {refused:?}");
        assert_eq!(refused.message(), "number out of range, send it as a string");
    }
    for number in ["18446744073709551615", "-9223372036854775808", "1e20", "1.5e300", "0.1", "-2.5"] {
        scene.client.query_one(ask, &[&format!("{{\"a\": [{number}]}}")]).await.unwrap();
    }
    for time in ["infinity", "-infinity", "20000-01-01Z", "0001-01-01 BC"] {
        let ask = format!("SELECT outcome FROM sprongus.enqueue('work', run_at => '{time}')");
        let error = scene.client.query_one(&ask, &[]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "SP422", "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_name_is_refused_and_not_repeated() {
    let scene = Scene::set().await;
    let token = format!("ghp_{}", "a1B2".repeat(9));
    for (place, ask) in [
        ("/kind", "enqueue($1::text)"),
        ("/idempotencyKey", "enqueue('work', idempotency_key => $1::text)"),
        ("/agentTaskId", "enqueue('work', agent_task_id => $1::text)"),
        ("/actor", "enqueue('work', actor => $1::text)"),
    ] {
        let ask = format!("SELECT outcome FROM sprongus.{ask}");
        let error = scene.client.query_one(&ask, &[&token]).await.unwrap_err();
        let refused = error.as_db_error().unwrap();
        assert_eq!(refused.message(), format!("the input holds a secret at {place}"));
        assert!(!format!("{refused:?}").contains(&token), "{refused:?}");
    }
}

/// Whatever a caller's session is set to, it finds the run that a session with the usual settings made.
#[tokio::test(flavor = "multi_thread")]
async fn no_setting_of_the_caller_changes_what_is_computed() {
    let scene = Scene::set().await;
    let input = json!({
        "numbers": [0.30000000000000004, 123456.789, 1e-7, 1e20, -2.5e-300, 5, 0.1],
        "text": "a\\b'\u{1}é\n",
        "null": null
    });
    let ask = "SELECT outcome FROM sprongus.enqueue('work', $1::jsonb, idempotency_key => 'a-1', run_at => $2::text::timestamptz,
        delay_ms => NULL, expire_at => '2031-05-06 07:08:09.123+02', tags => '{\"a\": \"b\"}')";
    let many = "SELECT outcome FROM sprongus.enqueue_many(jsonb_build_array(jsonb_build_object('kind', 'work', 'input', $1::jsonb,
        'idempotencyKey', 'many', 'runAt', $2::text, 'delayMs', null)))";
    let at = "2031-02-03T04:05:06.789+05:45";
    let outcome = async |client: &Client, ask: &str| -> String {
        client.query_one(ask, &[&input, &at]).await.unwrap_or_else(|error| panic!("{error:?}")).get(0)
    };
    for ask in [ask, many] {
        assert_eq!(outcome(&scene.client, ask).await, "created");
    }
    for setting in [
        "extra_float_digits = 0",
        "extra_float_digits = -15",
        "extra_float_digits = 3",
        "standard_conforming_strings = off",
        "escape_string_warning = on",
        "backslash_quote = on",
        "DateStyle = 'SQL, DMY'",
        "DateStyle = 'German'",
        "IntervalStyle = sql_standard",
        "IntervalStyle = iso_8601",
        "TimeZone = 'Asia/Kathmandu'",
        "TimeZone = '+11:30'",
        "bytea_output = escape",
        "xmlbinary = hex",
        "xmloption = document",
        "row_security = off",
        "search_path = pg_temp",
        "lc_numeric = 'C'",
        "lc_monetary = 'C'",
        "lc_time = 'C'",
        "transform_null_equals = on",
        "quote_all_identifiers = on",
        "array_nulls = off",
        "default_text_search_config = 'simple'",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "plan_cache_mode = force_generic_plan",
        "plan_cache_mode = force_custom_plan",
        "jit = on",
        "enable_seqscan = off",
        "gin_fuzzy_search_limit = 1",
        "client_min_messages = error",
        "check_function_bodies = off",
        "synchronize_seqscans = off",
        "constraint_exclusion = on",
        "plpgsql.extra_errors = 'none'",
    ] {
        let other = connect(&scene.database.url("sprongus_app")).await;
        other.batch_execute(&format!("SET {setting}")).await.unwrap();
        for ask in [ask, many] {
            assert_eq!(outcome(&other, ask).await, "existing", "{setting}");
        }
    }
    // Nor in a database that is set so, for whoever looks at it from the library.
    let runs = scene.runs.list(&sprongus_core::run::list::ListFilter::default()).await.unwrap().data;
    for run in runs {
        assert_eq!(run.input.as_str(), Json::from_value(input.clone()).as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_actor_cannot_be_forged_and_who_may_not_look_is_told_of_no_run() {
    let scene = Scene::set().await;
    let owner = scene.owner().await;
    owner
        .batch_execute(
            "CREATE ROLE \"shop as admin\" LOGIN; GRANT USAGE ON SCHEMA sprongus TO \"shop as admin\";
             GRANT EXECUTE ON FUNCTION sprongus.enqueue, sprongus.enqueue_many TO \"shop as admin\"",
        )
        .await
        .unwrap();
    let shop = connect(&scene.database.url("shop as admin")).await;
    let ask = "SELECT run_id FROM sprongus.enqueue('work', actor => $1, idempotency_key => $2)";
    for (key, given, expected) in [
        ("1", None, "sql:\"shop as admin\""),
        ("2", Some(" "), "sql:\"shop as admin\""),
        ("3", Some("admin@corp"), "sql:\"shop as admin\" as admin@corp"),
        ("4", Some("system\nsql:postgres"), "sql:\"shop as admin\" as system?sql:postgres"),
    ] {
        let id: uuid::Uuid = shop.query_one(ask, &[&given, &key]).await.unwrap().get(0);
        let events = scene.runs.events(id.to_string().parse().unwrap(), 0, 9).await.unwrap();
        assert_eq!(events[0].actor, expected);
    }
    let ask = "SELECT * FROM sprongus.enqueue('work', priority => 3, idempotency_key => '1')";
    let refused = shop.query_one(ask, &[]).await.unwrap_err();
    let refused = refused.as_db_error().unwrap();
    assert_eq!(
        (refused.code().code(), refused.message()),
        ("SP422", "the idempotency key belongs to another request")
    );
    drop(shop);
    owner.batch_execute("DROP OWNED BY \"shop as admin\"; DROP ROLE \"shop as admin\"").await.unwrap();
}

/// What a caller who is narrowed to some projects is told of others' runs, and of their agent tasks, is what the service tells it.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrowed_caller_is_told_of_nothing_in_another_project() {
    let mut scene = Scene::set().await;
    for project in ["p", "q"] {
        scene.runs.create_project(&project.parse().unwrap()).await.unwrap();
    }
    for (task, project) in [("P-1", Some("p")), ("Q-1", Some("q")), ("ALL", None)] {
        let project_id = project.map(|project| project.parse().unwrap());
        let task = NewAgentTask { project_id, ..NewAgentTask::new(task.parse().unwrap()) };
        scene.runs.create_agent_task(task).await.unwrap();
    }
    let of = |project: Option<&str>| NewRun {
        project_id: project.map(str::to_owned),
        ..NewRun::new("work", Json::empty_object())
    };
    let keyed = |project, key: &str| NewRun { idempotency_key: Some(key.to_owned()), ..of(project) };
    let theirs = scene.runs.enqueue_one(keyed(Some("q"), "theirs")).await.unwrap().run;
    let systems = scene.runs.enqueue_one(keyed(None, "systems")).await.unwrap().run;
    let own = scene.runs.enqueue_one(keyed(Some("p"), "own")).await.unwrap().run;
    let mine = Some("p");
    let tasked = |task: &str| NewRun { agent_task_id: Some(task.to_owned()), ..of(mine) };
    let narrowed = Caller {
        projects: Some(vec!["p".parse().unwrap()]),
        ..Caller::new(WorkspaceId::local(), "narrowed")
    };
    let options = Options { durability: Durability::AsConfigured, ..Options::default() };
    let store = Postgres::connect(&scene.database.url("sprongus_app"), options).await.unwrap();
    let service = RunsService::new(Arc::new(store)).for_caller(narrowed.clone());
    for (what, request) in [
        ("its key", keyed(mine, "theirs")),
        ("a key without a project", keyed(mine, "systems")),
        ("its id", NewRun { id: Some(theirs.id), ..of(mine) }),
        ("an id without a project", NewRun { id: Some(systems.id), ..of(mine) }),
        ("its agent task", tasked("Q-1")),
        ("an agent task without a project", tasked("ALL")),
        ("its project", of(Some("q"))),
        ("no project", of(None)),
        ("its own key with another request", NewRun { priority: Some(1), ..keyed(mine, "own") }),
        ("its own id with another request", NewRun { id: Some(own.id), priority: Some(1), ..of(mine) }),
    ] {
        let transaction = scene.client.transaction().await.unwrap();
        let refusal = enqueue_in(&transaction, "sprongus", &narrowed, &request).await.unwrap_err();
        transaction.rollback().await.unwrap();
        let error = service.enqueue_one(request).await.unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.message(), refusal.hint()),
            (error.code(), error.message(), error.hint()),
            "{what}"
        );
    }
    // What is its own it finds, and whoever comes after it in the transaction is not narrowed.
    let transaction = scene.client.transaction().await.unwrap();
    let found = enqueue_in(&transaction, "sprongus", &narrowed, &keyed(mine, "own")).await.unwrap();
    assert_eq!(found, (own.id, Enqueue::Existing));
    enqueue_in(&transaction, "sprongus", &narrowed, &tasked("P-1")).await.unwrap();
    let everything = Caller::new(WorkspaceId::local(), "everything");
    let found = enqueue_in(&transaction, "sprongus", &everything, &keyed(Some("q"), "theirs")).await.unwrap();
    assert_eq!(found, (theirs.id, Enqueue::Existing));
    transaction.commit().await.unwrap();
}
