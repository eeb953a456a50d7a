//! A database with rows in it, brought up from every earlier schema: each row is as it was, and the program works with it.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::sync::Arc;

use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::run::artifact::FileName;
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::store::Store;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::{Caller, RunsExt, RunsService};
use sprongus_postgres::{Durability, Migration, Options, Postgres, migrate, migrate_to, pending};
use sprongus_throwaway::Database;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const RUN: &str = "01940000-0000-7000-8000-000000000001";

/// A run that waits, one that is held and one that has ended, with all that a run has.
const ROWS: &str = "
    SELECT set_config('sprongus.workspace_id', 'default', false);
    INSERT INTO projects (workspace_id, id) VALUES ('default', 'p');
    INSERT INTO agent_tasks (workspace_id, id) VALUES ('default', 't');
    INSERT INTO runs (id, workspace_id, project_id, agent_task_id, kind, input, state, max_attempts, run_at, fingerprint, lease_ms,
        last_seq, created_at, updated_at, ended_as, idempotency_key)
    SELECT ('01940000-0000-7000-8000-00000000000' || n)::uuid, 'default', 'p', 't', 'work', '{\"n\": 1.50}', state, 3,
        '2026-01-01Z', '', 30000, 1, '2026-01-01Z', '2026-01-01Z', CASE state WHEN 'failed' THEN state END, 'key-' || n
    FROM (VALUES (1, 'queued'), (2, 'running'), (3, 'failed')) AS t (n, state);
    INSERT INTO run_queue (workspace_id, kind, rank, run_at, id, project_id, plain)
    SELECT workspace_id, kind, 100, run_at, id, project_id, true FROM runs WHERE state = 'queued';
    INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
    SELECT workspace_id, '2030-01-01Z', ARRAY[id], ARRAY[epoch] FROM runs WHERE state = 'running';
    INSERT INTO run_events (workspace_id, run_id, seq, type, at, actor)
    SELECT workspace_id, id, 1, 'run.enqueued', created_at, 'test' FROM runs;
    INSERT INTO run_steps (workspace_id, run_id, epoch, ordinal, id, attempt, phase, name, type, status)
    SELECT workspace_id, id, 1, 0, id, 1, 'execution', 'step', 'command', 'running' FROM runs WHERE state = 'running';
    INSERT INTO run_logs (workspace_id, run_id, first, lines, attempt, body)
    SELECT workspace_id, id, 1, 1, 1, '[]' FROM runs;
    INSERT INTO run_artifacts (workspace_id, run_id, name, size, sha256, content_type, location, created_at)
    SELECT workspace_id, id, 'a.md', 3, 'ab', 'text/markdown', 'l/' || state, created_at FROM runs;
    INSERT INTO api_tokens (id, workspace_id, name, hash, created_at)
    SELECT id, workspace_id, 'token', 'hash', created_at FROM runs LIMIT 1;
    INSERT INTO kinds (workspace_id, kind, paused) VALUES ('default', 'paused', true);";

const TABLES: [&str; 12] = [
    "workspaces",
    "projects",
    "agent_tasks",
    "runs",
    "run_queue",
    "run_timers",
    "run_steps",
    "run_events",
    "run_logs",
    "api_tokens",
    "kinds",
    "run_artifacts",
];

async fn connect(database: &Database) -> Client {
    let (client, connection) = tokio_postgres::connect(&database.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET search_path = sprongus").await.unwrap();
    client
}

/// Every row of every table, as JSON. A later schema may add to a row, and must not change what was there.
async fn rows(client: &Client) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    for table in TABLES {
        let ask = format!("SELECT to_jsonb(t) FROM {table} AS t ORDER BY t::text");
        for message in client.simple_query(&ask).await.unwrap() {
            if let SimpleQueryMessage::Row(row) = message {
                all.push(serde_json::from_str(row.get(0).unwrap()).unwrap());
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_from_every_earlier_schema_keeps_every_row() {
    let options = || Options { durability: Durability::AsConfigured, ..Options::default() };
    let every: Vec<Migration> = pending(&Database::empty().url("sprongus_owner"), &options()).await.unwrap();
    assert!(every.len() > 1);
    for (place, earlier) in every[..every.len() - 1].iter().enumerate() {
        let database = Database::empty();
        let owner = database.url("sprongus_owner");
        migrate_to(&owner, &options(), earlier.number).await.unwrap();
        let client = connect(&database).await;
        client.batch_execute(ROWS).await.unwrap();
        let before = rows(&client).await;
        let refused = Postgres::connect(&owner, options()).await.map(drop).unwrap_err();
        assert!(refused.message().starts_with("the database has schema"), "{refused}");

        // By what every version has granted it, a role is known to have served; and what those before the third granted too widely.
        let granted = "GRANT UPDATE ON api_tokens TO sprongus_app; GRANT SELECT, INSERT, UPDATE, DELETE ON run_queue TO sprongus_app";
        client.batch_execute(granted).await.unwrap();
        let applied = migrate(&owner, &options(), None).await.unwrap();
        assert_eq!(applied.len(), every.len() - 1 - place);
        assert_eq!(migrate(&owner, &options(), None).await.unwrap(), []);
        let after = rows(&client).await;
        assert_eq!(after.len(), before.len());
        for (after, before) in after.iter().zip(&before) {
            let kept = before.as_object().unwrap().iter().all(|(name, value)| after.get(name) == Some(value));
            assert!(kept, "{before} became {after}");
        }

        // A role that served goes on serving, though nobody named it.
        let store: Arc<dyn Store> =
            Arc::new(Postgres::connect(&database.url("sprongus_app"), options()).await.unwrap());
        let caller = Caller::new(WorkspaceId::local(), "tester");
        let runs = RunsService::new(Arc::clone(&store)).for_caller(caller.clone());
        let run = runs.get(RUN.parse().unwrap()).await.unwrap();
        assert_eq!(runs.events(run.id, 0, 10).await.unwrap().len(), 1);
        let claimed = runs.claim_next(&"worker".parse().unwrap(), 9).await.unwrap();
        assert_eq!(claimed[0].run.id, run.id);
        let hold = claimed[0].hold();
        let kept = runs.artifacts(run.id).await.unwrap();
        assert_eq!((kept.len(), kept[0].name.as_str(), kept[0].size), (1, "a.md", 3));
        store.drop_file(&caller, &hold, &FileName::Artifact(kept[0].name.clone())).await.unwrap();
        assert_eq!(store.unwanted_blobs(9).await.unwrap(), ["l/queued"]);
        let truncated = client.batch_execute("TRUNCATE run_artifacts").await.unwrap_err();
        assert_eq!(
            truncated.as_db_error().unwrap().message(),
            "an artifact goes by itself or with its run",
            "no word would be left of their bytes"
        );
        runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();

        let token = store.token_by_hash("hash").await.unwrap().unwrap();
        assert_eq!(store.tokens(&caller).await.unwrap(), [token]);
        let wide = "SELECT has_table_privilege('sprongus_app', 'api_tokens', 'UPDATE')";
        assert!(
            !client.query_one(wide, &[]).await.unwrap().get::<_, bool>(0),
            "a grant too wide is taken back"
        );
        let streamed = store.stream(&caller, StreamPosition::default(), 10).await.unwrap();
        assert_eq!(streamed.len(), 5, "the three of before, one claimed and one made");
    }
}
