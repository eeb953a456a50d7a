//! History cannot be rewritten, by whatever program holds the file.
#![expect(clippy::unwrap_used, reason = "a test panics when its file cannot be made")]

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::retention::{PruneMode, Retention};
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, Runs, RunsExt, RunsService};
use sprongus_sqlite::{Options, Sqlite};

/// A file with one canceled run, and a connection of somebody who means ill.
async fn history() -> (tempfile::TempDir, Arc<dyn Runs>, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.db");
    let store = Sqlite::open(&file, Options::default()).unwrap();
    let runs = RunsService::new(Arc::new(store)).for_caller(Caller::new(WorkspaceId::local(), "test"));
    let made = runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
    runs.cancel(made.run.id).await.unwrap();
    let connection = Connection::open(&file).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    (folder, runs, connection)
}

#[tokio::test]
async fn an_event_is_never_changed_deleted_or_replaced() {
    let (_folder, _runs, connection) = history().await;
    for attack in [
        "UPDATE run_events SET actor = 'nobody'",
        "UPDATE run_events SET seq = seq + 1",
        "DELETE FROM run_events",
        "DELETE FROM run_events WHERE seq = 2",
        "INSERT OR REPLACE INTO run_events (run_id, seq, type, at, actor)
         SELECT run_id, seq, 'run.succeeded', at, 'nobody' FROM run_events WHERE seq = 2",
        "INSERT OR REPLACE INTO run_events (pos, run_id, seq, type, at, actor)
         SELECT pos, run_id, 99, 'run.succeeded', at, 'nobody' FROM run_events WHERE seq = 2",
        "UPDATE OR REPLACE run_events SET seq = 1 WHERE seq = 2",
    ] {
        let refused = connection.execute_batch(attack).unwrap_err().to_string();
        assert!(refused.contains("event"), "{attack}: {refused}");
    }
    let left: (i64, i64) = connection
        .query_row("SELECT count(*), count(DISTINCT actor) FROM run_events", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(left, (2, 1));
}

#[tokio::test]
async fn what_operators_did_is_never_changed_deleted_or_replaced() {
    let (_folder, runs, connection) = history().await;
    runs.pause_kind(&"work".parse().unwrap(), true).await.unwrap();
    for attack in [
        "UPDATE operator_events SET actor = 'nobody'",
        "DELETE FROM operator_events",
        "INSERT OR REPLACE INTO operator_events SELECT id, workspace_id, type, at, 'nobody', NULL, NULL, NULL, NULL, NULL FROM operator_events",
    ] {
        let refused = connection.execute_batch(attack).unwrap_err().to_string();
        assert!(refused.contains("operator's event"), "{attack}: {refused}");
    }
    let left: (i64, String) = connection
        .query_row("SELECT count(*), min(actor) FROM operator_events", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(left, (1, "test".to_owned()));
}

#[tokio::test]
async fn a_run_goes_by_retention_or_with_its_workspace_only() {
    let (_folder, runs, connection) = history().await;
    let live = runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap().run;
    for attack in [
        "DELETE FROM runs".to_owned(),
        "INSERT OR REPLACE INTO runs SELECT * FROM runs".to_owned(),
        format!("INSERT INTO pruning (run_id) VALUES ('{}')", live.id),
    ] {
        assert!(connection.execute_batch(&attack).is_err(), "{attack}");
    }
    let retention = Retention::new(Duration::ZERO, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(runs.prune(&retention, PruneMode::Checked).await.unwrap().runs.values().sum::<u64>(), 1);
    let left = |table: &str| -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((left("runs"), left("run_events")), (1, 1));
    connection.execute_batch("DELETE FROM workspaces WHERE id = 'default'").unwrap();
    assert_eq!((left("runs"), left("run_events")), (0, 0));
}

#[tokio::test]
async fn the_database_itself_refuses_what_cannot_be() {
    let (_folder, _runs, connection) = history().await;
    for nonsense in [
        "UPDATE runs SET state = 'lost'",
        "UPDATE runs SET priority = 101",
        "UPDATE runs SET progress = -1",
        "UPDATE runs SET workspace_id = 'elsewhere'",
        "UPDATE runs SET project_id = 'elsewhere'",
        "UPDATE runs SET max_attempts = 'many'",
    ] {
        assert!(connection.execute_batch(nonsense).is_err(), "{nonsense}");
    }
}

/// Whoever takes an artifact's row leaves word of where its bytes lie.
#[tokio::test]
async fn an_artifact_leaves_its_place_behind_whoever_takes_it() {
    let (_folder, _runs, connection) = history().await;
    let put = |name: &str| {
        format!(
            "INSERT OR REPLACE INTO run_artifacts (run_id, name, size, sha256, content_type, location, created_at)
             SELECT id, '{name}', 1, '', 'text/plain', 'l/' || '{name}', created_at FROM runs"
        )
    };
    ["a", "b"].iter().for_each(|name| connection.execute_batch(&put(name)).unwrap());
    let refused = connection.execute_batch(&put("a")).unwrap_err().to_string();
    assert_eq!(refused, "the artifact exists", "a row that is replaced would leave no word");
    let left = || -> String {
        let listed = "SELECT coalesce(group_concat(location), '') FROM unwanted_blobs";
        connection.query_row(listed, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(left(), "");
    connection.execute_batch("DELETE FROM run_artifacts WHERE name = 'a'").unwrap();
    assert_eq!(left(), "l/a");
    connection.execute_batch("DELETE FROM workspaces").unwrap();
    assert_eq!(left(), "l/a,l/b");
}
