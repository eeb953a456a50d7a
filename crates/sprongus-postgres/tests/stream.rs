//! The stream where transactions are not committed in the order in which they began: what no case of the suite can bring about.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::stream::{StreamPosition, Streamed};
use sprongus_core::store::Store;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Runs, RunsExt, RunsService};
use sprongus_postgres::{Durability, Options, Postgres, enqueue_in};
use sprongus_throwaway::Database;
use tokio_postgres::{Client, NoTls};

mod scene;

/// A reader, and those who write through the library.
struct Scene {
    store: Arc<dyn Store>,
    runs: Arc<dyn Runs>,
    caller: Caller,
    database: Database,
}

impl Scene {
    async fn set() -> Self {
        let database = scene::migrated();
        let url = database.url("sprongus_app");
        let options = Options { durability: Durability::AsConfigured, ..Options::default() };
        let store: Arc<dyn Store> = Arc::new(Postgres::connect(&url, options).await.unwrap());
        let caller = Caller::new(WorkspaceId::local(), "tester");
        let runs = RunsService::new(Arc::clone(&store)).for_caller(caller.clone());
        Self { store, runs, caller, database }
    }

    /// A program with transactions of its own.
    async fn program(&self) -> Client {
        self.connected("sprongus_app").await
    }

    /// Somebody whom no policy and no grant holds up.
    async fn owner(&self) -> Client {
        self.connected("postgres").await
    }

    async fn connected(&self, role: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.database.url(role), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn made(&self) -> RunId {
        self.runs.enqueue_one(new()).await.unwrap().run.id
    }

    async fn read(&self, after: StreamPosition) -> Vec<Streamed> {
        self.store.stream(&self.caller, after, 100).await.unwrap()
    }

    /// Reads until there are as many. Another test's transaction on the same server may hold events up for a moment.
    async fn read_all(&self, after: StreamPosition, count: usize) -> Vec<RunId> {
        let mut read = Vec::new();
        let mut position = after;
        for _ in 0..2_000 {
            for streamed in self.read(position).await {
                assert!(streamed.position > position);
                position = streamed.position;
                read.push(streamed.run_event().unwrap().run_id);
            }
            if read.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(read.len(), count, "each once");
        assert!(self.read(position).await.is_empty());
        read
    }
}

fn new() -> NewRun {
    NewRun::new("work", Json::empty_object())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_committed_late_is_read_in_its_place_and_once() {
    let scene = Scene::set().await;
    let before = scene.made().await;
    assert_eq!(scene.read_all(StreamPosition::default(), 1).await, [before]);
    let caller = scene.caller.clone();
    let mut client = scene.program().await;
    let transaction = client.transaction().await.unwrap();
    let (late, _) = enqueue_in(&transaction, "sprongus", &caller, &new()).await.unwrap();
    let mut meanwhile = Vec::new();
    for _ in 0..5 {
        meanwhile.push(scene.made().await);
    }

    // The reader is shown none of those that came after it, however often it looks, and the end lies before all of them.
    let mut position = StreamPosition::default();
    let mut read = Vec::new();
    for _ in 0..20 {
        for streamed in scene.read(position).await {
            position = streamed.position;
            read.push(streamed.run_event().unwrap().run_id);
        }
    }
    assert_eq!(read, [before]);
    let end = scene.store.stream_end(&caller).await.unwrap();
    assert!(end > position);

    transaction.commit().await.unwrap();
    let expected: Vec<RunId> = [late].into_iter().chain(meanwhile).collect();
    assert_eq!(scene.read_all(position, 6).await, expected);
    assert_eq!(scene.read_all(end, 6).await, expected, "the end missed nothing that was still to come");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_written_late_is_in_the_place_of_its_transaction() {
    let scene = Scene::set().await;
    let caller = scene.caller.clone();
    let mut client = scene.program().await;
    let transaction = client.transaction().await.unwrap();
    // It has its number now; what it writes will have a higher `pos` than what others commit before.
    transaction.execute("SELECT pg_current_xact_id()", &[]).await.unwrap();
    let first = scene.made().await;
    assert!(scene.read(StreamPosition::default()).await.is_empty());
    let (late, _) = enqueue_in(&transaction, "sprongus", &caller, &new()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(scene.read_all(StreamPosition::default(), 2).await, [late, first]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rolled_back_holds_the_stream_up_and_is_never_read() {
    let scene = Scene::set().await;
    let caller = scene.caller.clone();
    let mut client = scene.program().await;
    let transaction = client.transaction().await.unwrap();
    enqueue_in(&transaction, "sprongus", &caller, &new()).await.unwrap();
    let kept = scene.made().await;
    assert!(scene.read(StreamPosition::default()).await.is_empty());
    transaction.rollback().await.unwrap();
    assert_eq!(scene.read_all(StreamPosition::default(), 1).await, [kept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_only_holds_nothing_up() {
    let scene = Scene::set().await;
    let mut client = scene.program().await;
    let reading = client.transaction().await.unwrap();
    reading.execute("SELECT set_config('sprongus.workspace_id', 'default', true)", &[]).await.unwrap();
    reading.query("SELECT count(*) FROM sprongus.runs", &[]).await.unwrap();
    let made: HashSet<RunId> = [scene.made().await, scene.made().await].into();
    let read = scene.read_all(StreamPosition::default(), 2).await;
    assert_eq!(read.into_iter().collect::<HashSet<_>>(), made);
    drop(reading);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_servers_role_changes_nothing_of_a_token_but_its_use_and_its_end() {
    let scene = Scene::set().await;
    let client = scene.program().await;
    let settings = "SELECT set_config('sprongus.workspace_id', 'default', false)";
    client.execute(settings, &[]).await.unwrap();
    for column in ["hash", "scopes", "projects", "workspace_id", "expires_at", "name", "created_at", "id"] {
        let change = format!("UPDATE sprongus.api_tokens SET {column} = {column}");
        let refused = client.execute(&change, &[]).await.unwrap_err();
        let state = refused.code().unwrap().code().to_owned();
        assert_eq!(state, "42501", "{column}");
    }
    let change = "UPDATE sprongus.api_tokens SET revoked_at = revoked_at, last_used_at = last_used_at";
    client.execute(change, &[]).await.unwrap();
    assert!(client.execute("DELETE FROM sprongus.api_tokens", &[]).await.is_err());
}

/// The server's role may not even try; whoever may is refused by the database itself.
#[tokio::test(flavor = "multi_thread")]
async fn what_operators_did_is_never_changed_or_deleted() {
    let scene = Scene::set().await;
    let client = scene.program().await;
    let noted = "
        SELECT set_config('sprongus.workspace_id', 'default', false);
        INSERT INTO sprongus.operator_events (id, workspace_id, type, at, actor)
        VALUES ('01900000-0000-7000-8000-000000000001', 'default', 'operator.pruned', now(), 'amy')";
    client.batch_execute(noted).await.unwrap();
    for change in
        ["UPDATE sprongus.operator_events SET actor = 'nobody'", "DELETE FROM sprongus.operator_events"]
    {
        let refused = client.execute(change, &[]).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "42501", "{change}");
    }
    let owner = scene.owner().await;
    for change in [
        "UPDATE sprongus.operator_events SET actor = 'nobody'",
        "DELETE FROM sprongus.operator_events",
        "TRUNCATE sprongus.operator_events",
        "SET session_replication_role = replica; DELETE FROM sprongus.operator_events",
    ] {
        let refused = owner.batch_execute(change).await.unwrap_err();
        assert_eq!(refused.code().unwrap().code(), "23001", "{change}: {refused:?}");
    }
    let kept = owner
        .query_one("SELECT count(*) FROM sprongus.operator_events WHERE actor = 'amy'", &[])
        .await
        .unwrap();
    assert_eq!(kept.get::<_, i64>(0), 1);
}
