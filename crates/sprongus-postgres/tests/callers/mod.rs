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
    let runs = scene.runs.list(&sprongus_core::list::ListFilter::default()).await.unwrap().data;
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
    for (key, given, told) in [
        ("1", None, "sql:\"shop as admin\""),
        ("2", Some(" "), "sql:\"shop as admin\""),
        ("3", Some("admin@corp"), "sql:\"shop as admin\" as admin@corp"),
        ("4", Some("system\nsql:postgres"), "sql:\"shop as admin\" as system?sql:postgres"),
    ] {
        let id: uuid::Uuid = shop.query_one(ask, &[&given, &key]).await.unwrap().get(0);
        let events = scene.runs.events(id.to_string().parse().unwrap(), 0, 9).await.unwrap();
        assert_eq!(events[0].actor, told);
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
