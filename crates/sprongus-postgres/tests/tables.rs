//! What tables hold besides what the rules say: whose what belongs to a run is, and what is forgotten in time.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::sync::Arc;
use std::time::Duration;

use sprongus_conformance::TurnedClock;
use sprongus_core::json::Json;
use sprongus_core::run::{ClaimRequest, NewRun};
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, RunsExt, RunsService};
use sprongus_postgres::{Durability, Options, Postgres};
use sprongus_throwaway::Database;
use tokio_postgres::{Client, NoTls};

mod scene;

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn store(database: &Database, clock: &TurnedClock) -> Arc<dyn Store> {
    let options = Options {
        durability: Durability::AsConfigured,
        clock: Some(Arc::new(clock.clone())),
        ..Options::default()
    };
    Arc::new(Postgres::connect(&database.url("sprongus_app"), options).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_a_run_is_in_its_workspace() {
    let database = scene::migrated();
    let store = store(&database, &TurnedClock::new()).await;
    let local = Caller::new(WorkspaceId::local(), "tester");
    let other = Caller::new("other".parse().unwrap(), "tester");
    store.create_workspace(&local, &other.workspace).await.unwrap();
    let service = RunsService::new(store);
    let work = || NewRun::new("work", Json::empty_object());
    let own = service.for_caller(local).enqueue_one(work()).await.unwrap().run.id.to_uuid_text();
    let theirs = service.for_caller(other).enqueue_one(work()).await.unwrap().run.id.to_uuid_text();
    // The server's role, and the owner, who is held to it too.
    for role in ["sprongus_app", "sprongus_owner"] {
        let client = connect(&database.url(role)).await;
        client
            .batch_execute("SET search_path = sprongus; SET sprongus.workspace_id = 'default'")
            .await
            .unwrap();
        for (table, columns, values) in [
            (
                "run_steps",
                "epoch, ordinal, id, attempt, phase, name, type, status",
                "1, 0, gen_random_uuid(), 1, 'execution', 's', 'command', 'running'",
            ),
            ("run_logs", "first, lines, attempt, body", "1, 1, 1, '[]'"),
            (
                "run_artifacts",
                "name, size, sha256, content_type, location, created_at",
                "'a', 1, 'ab', 'text/plain', 'l', now()",
            ),
        ] {
            let insert = |run: &str| {
                format!(
                    "INSERT INTO {table} (workspace_id, run_id, {columns}) VALUES ('default', '{run}', {values})"
                )
            };
            let refused = client.batch_execute(&insert(&theirs)).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{role}, {table}: {refused:?}");
            client.batch_execute(&format!("BEGIN; {}", insert(&own))).await.unwrap();
            let moved = format!("UPDATE {table} SET run_id = '{theirs}' WHERE run_id = '{own}'");
            let refused = client.batch_execute(&moved).await.unwrap_err();
            assert_eq!(refused.code().unwrap().code(), "42501", "{role}, {table}: {refused:?}");
            client.batch_execute("ROLLBACK").await.unwrap();
        }
    }
}

/// A worker that says nothing but claims leaves nothing behind either.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_named_claim_gave_is_kept_for_an_hour() {
    let (database, clock) = (scene::migrated(), TurnedClock::new());
    let (store, caller) = (store(&database, &clock).await, Caller::new(WorkspaceId::local(), "tester"));
    let runs = RunsService::new(Arc::clone(&store)).for_caller(caller.clone());
    let client = connect(&database.url("postgres")).await;
    let kept = async || {
        store.roll_up(&caller, 2).await.unwrap();
        client.query_one("SELECT count(*) FROM sprongus.claims", &[]).await.unwrap().get::<_, i64>(0)
    };
    for number in 0..5 {
        runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
        let claim_id = Some(format!("claim-{number}").parse().unwrap());
        let claim = ClaimRequest { claim_id, ..ClaimRequest::new("worker".parse().unwrap(), 1) };
        assert_eq!(runs.claim(claim).await.unwrap().len(), 1);
    }
    clock.turn(Duration::from_secs(3_600));
    assert_eq!(kept().await, 5);
    clock.turn(Duration::from_millis(1));
    // Some at a time, with nothing new in the stream too.
    for left in [3, 1, 0] {
        assert_eq!(kept().await, left);
    }
}
