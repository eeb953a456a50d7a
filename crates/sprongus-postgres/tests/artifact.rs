//! Rows of artifacts where several transactions are open at once, and what the server's role may do with them: what no case of the
//! suite can bring about.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use sprongus_core::json::Json;
use sprongus_core::rules::enqueue::prepare;
use sprongus_core::run::artifact::{FileName, NewFile};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::{ClaimRequest, Hold, NewRun};
use sprongus_core::store::{Batch, Files, RunStore};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Caller, ErrorCode};
use sprongus_postgres::{Durability, Options, Postgres};
use sprongus_throwaway::Database;
use tokio_postgres::{Client, NoTls};

mod scene;

struct Scene {
    store: Postgres,
    caller: Caller,
    database: Database,
}

impl Scene {
    async fn set() -> Self {
        let database = scene::migrated();
        let options = Options { durability: Durability::AsConfigured, ..Options::default() };
        let store = Postgres::connect(&database.url("sprongus_app"), options).await.unwrap();
        Self { store, caller: Caller::new(WorkspaceId::local(), "tester"), database }
    }

    /// Somebody else with the rights of a server.
    async fn other(&self) -> Client {
        let (client, connection) =
            tokio_postgres::connect(&self.database.url("sprongus_app"), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("SET search_path = sprongus").await.unwrap();
        client
    }

    async fn held(&self) -> Hold {
        let new = prepare(&NewRun::new("work", Json::empty_object()), None).unwrap();
        self.store.enqueue(&self.caller, vec![new], Batch::EachAlone).await.unwrap();
        let request = ClaimRequest::new("w".parse().unwrap(), 1);
        let token = LeaseToken::generate().unwrap();
        let answer = self.store.claim(&self.caller, &request, &token).await.unwrap();
        answer.claimed[0].hold()
    }

    async fn unwanted(&self) -> Vec<String> {
        self.store.unwanted_blobs(9).await.unwrap()
    }
}

fn file(location: &str) -> NewFile {
    NewFile {
        name: FileName::Artifact("a.md".parse().unwrap()),
        size: 1,
        sha256: String::new(),
        content_type: "text/plain".to_owned(),
        location: location.to_owned(),
    }
}

/// A sweep passes over bytes that are being given their row just now, however late it is: else it would delete what the row is about
/// to promise.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_passes_over_what_is_getting_its_row() {
    let scene = Scene::set().await;
    let long_ago = Timestamp::from_millis(0);
    scene.store.expect_blob("l/1", long_ago).await.unwrap();
    scene.store.expect_blob("l/2", long_ago).await.unwrap();
    let mut other = scene.other().await;
    let putting = other.transaction().await.unwrap();
    let lock = "SELECT due_at FROM unwanted_blobs WHERE location = 'l/1' FOR UPDATE";
    putting.query(lock, &[]).await.unwrap();
    assert_eq!(scene.unwanted().await, ["l/2"]);
    putting.rollback().await.unwrap();
    assert_eq!(scene.unwanted().await, ["l/1", "l/2"]);
}

/// Whether there is still time is asked when the place is locked, not when the call began.
#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_upload_may_run_out_while_it_waits() {
    let scene = Scene::set().await;
    let hold = scene.held().await;
    let soon = scene.store.now().await.unwrap().plus(std::time::Duration::from_secs(2));
    scene.store.expect_blob("l/1", soon).await.unwrap();
    let (mut other, watching) = (scene.other().await, scene.other().await);
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let sweeping = other.transaction().await.unwrap();
    sweeping.query("SELECT 1 FROM unwanted_blobs FOR UPDATE", &[]).await.unwrap();
    let refusing = async {
        tokio::join!(scene.store.put_file(&scene.caller, &hold, file("l/1")), async {
            while !watching.query_one(waiting, &[]).await.unwrap().get::<_, bool>(0) {}
            while scene.store.now().await.unwrap() <= soon {}
            sweeping.commit().await.unwrap();
        })
    };
    let limit = std::time::Duration::from_secs(60);
    let (refused, ()) = tokio::time::timeout(limit, refusing).await.expect("it waits for the lock");
    assert_eq!(refused.unwrap_err().code(), ErrorCode::Unavailable);
    assert_eq!(scene.unwanted().await, ["l/1"]);
}

/// Row-level security holds for the rows of artifacts: the server's role takes none of a workspace that it does not name.
#[tokio::test(flavor = "multi_thread")]
async fn the_servers_role_takes_artifacts_of_the_workspace_it_names_alone() {
    let scene = Scene::set().await;
    let hold = scene.held().await;
    let later = scene.store.now().await.unwrap().plus(std::time::Duration::from_secs(60));
    scene.store.expect_blob("l/1", later).await.unwrap();
    scene.store.put_file(&scene.caller, &hold, file("l/1")).await.unwrap();
    let other = scene.other().await;
    other.batch_execute("SET sprongus.workspace_id = ''").await.unwrap();
    let unnamed = other.execute("DELETE FROM run_artifacts", &[]).await.unwrap_err();
    assert_eq!(unnamed.code().unwrap().code(), "42704", "without a workspace nothing is answered");
    for (workspace, taken) in [("other", 0), ("default", 1)] {
        let named = format!("SET sprongus.workspace_id = '{workspace}'");
        other.batch_execute(&named).await.unwrap();
        assert_eq!(other.execute("DELETE FROM run_artifacts", &[]).await.unwrap(), taken, "{workspace:?}");
    }
    assert_eq!(scene.unwanted().await, ["l/1"]);
    let called = other.batch_execute("SELECT artifacts_leave_their_place()").await.unwrap_err();
    assert!(called.as_db_error().is_some_and(|error| error.message().contains("permission denied")));
}
