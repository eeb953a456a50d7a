//! The bad days that metrics are for: the database is away, and somebody's transaction stays open.

use std::time::{Duration, Instant};

use sprongus_throwaway::Server;

use super::{PROMETHEUS, Scene};
use crate::backing::Backing;
use crate::sandbox::block_on;

const PARSER: &str = "prometheus_client.openmetrics.parser";

#[test]
fn a_server_whose_database_is_away_tells_so_in_time() {
    let scene = Scene::new(Backing::Postgres);
    let database = scene.sandbox.database().unwrap();
    let shut = format!(
        "ALTER DATABASE \"{database}\" ALLOW_CONNECTIONS false;
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}';"
    );
    Server::shared().execute("postgres", &shut).unwrap();
    // What was just asked by another scrape is still told.
    std::thread::sleep(Duration::from_secs(6));
    let began = Instant::now();
    let text = scene.scrape(PROMETHEUS);
    assert!(began.elapsed() < Duration::from_secs(8), "a scrape has ten seconds: {:?}", began.elapsed());
    let parsed = scene.parsed(PARSER, &text);
    let value = |key: &str| *parsed.samples.get(key).unwrap_or_else(|| panic!("no {key} in {text}"));
    assert_eq!(value("sprongus_store_answers{}"), 0.0);
    assert!(value("sprongus_store_connections_most{}") > 0.0 && value("sprongus_http_connections{}") >= 1.0);
    assert!(value("sprongus_housekeeping_idle_seconds{chore=timers}") > 1.0);
    assert!(!parsed.samples.keys().any(|key| key.starts_with("sprongus_runs_due")), "{text}");
}

#[test]
fn an_open_transaction_of_somebody_else_is_seen_by_what_it_holds_back() {
    let scene = Scene::new(Backing::Postgres);
    let database = scene.sandbox.database().unwrap();
    let behind = || {
        let parsed = scene.parsed(PARSER, &scene.scrape(PROMETHEUS));
        parsed.samples["sprongus_store_oldest_snapshot_transactions{}"]
    };
    assert!(behind() < 20.0, "{}", behind());
    let url = Server::shared().url(database, "postgres");
    let sum = block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
            .await
            .unwrap();
        let others = "DO $$ BEGIN FOR n IN 1..40 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$";
        Server::shared().execute(database, others).unwrap();
        behind()
    });
    assert!(sum >= 40.0, "{sum}");
}
