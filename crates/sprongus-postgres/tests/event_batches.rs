//! Events of many runs in one row: read as if each had its own, never changed, and gone with the last of their runs.
#![expect(clippy::unwrap_used, reason = "a test panics when its database cannot be made")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sprongus_conformance::TurnedClock;
use sprongus_core::json::Json;
use sprongus_core::run::stream::{StreamPosition, Streamed, StreamedEvent};
use sprongus_core::run::{NewRun, Outcome};
use sprongus_core::store::{Batch, Store};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::{WorkerId, WorkspaceId};
use sprongus_core::{Caller, Runs, RunsExt, RunsService};
use sprongus_postgres::{Durability, Options, Postgres};
use sprongus_throwaway::Database;
use tokio_postgres::{Client, NoTls};

mod scene;

const RUNS: usize = 40;
const MONTH: Duration = Duration::from_secs(31 * 24 * 3_600);
/// What retention takes: at most so many of what succeeded before now, by the clock of the server.
const PRUNE: &str = "
    SELECT coalesce(sum(taken), 0)::bigint
    FROM sprongus.prune_kinds('default', 'succeeded', now() + interval '100 years', '{}', '{}', NULL, $1)";

struct Scene {
    store: Arc<dyn Store>,
    runs: Arc<dyn Runs>,
    caller: Caller,
    clock: TurnedClock,
    database: Database,
}

impl Scene {
    /// So many runs of a workspace, claimed together and ended together.
    async fn new(workspace: &str) -> (Self, Vec<RunId>) {
        let (database, clock) = (scene::migrated(), TurnedClock::new());
        let options = Options {
            durability: Durability::AsConfigured,
            clock: Some(Arc::new(clock.clone())),
            ..Options::default()
        };
        let url = database.url("sprongus_app");
        let store: Arc<dyn Store> = Arc::new(Postgres::connect(&url, options).await.unwrap());
        let caller = Caller::new(workspace.parse().unwrap(), "tester");
        if caller.workspace != WorkspaceId::local() {
            let local = Caller::new(WorkspaceId::local(), "tester");
            store.create_workspace(&local, &caller.workspace).await.unwrap();
        }
        let runs = RunsService::new(Arc::clone(&store)).for_caller(caller.clone());
        let new = (0..RUNS).map(|_| NewRun::new("work", Json::empty_object())).collect();
        let made = runs.enqueue(new, Batch::EachAlone).await.unwrap();
        let ids = made.into_iter().map(|one| one.unwrap().run.id).collect();
        let worker: WorkerId = "worker".parse().unwrap();
        let claimed = runs.claim_next(&worker, 100).await.unwrap();
        assert_eq!(claimed.len(), RUNS);
        clock.turn(Duration::from_millis(70));
        let done = Outcome::Succeed { result: None, output_ref: None };
        let reports = claimed.iter().map(|one| one.hold().report(done.clone())).collect();
        assert!(runs.finish(&worker, reports).await.unwrap().iter().all(Result::is_ok));
        (Self { store, runs, caller, clock, database }, ids)
    }

    async fn connect(&self, role: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.database.url(role), NoTls).await.unwrap();
        tokio::spawn(connection);
        let workspace = format!("SET sprongus.workspace_id = '{}'", self.caller.workspace.as_str());
        client.batch_execute(&workspace).await.unwrap();
        client
    }

    /// Rows of the three: single events, batches, and what the view makes of both.
    async fn counts(&self) -> (i64, i64, i64) {
        let client = self.connect("postgres").await;
        let sql = "SELECT (SELECT count(*) FROM sprongus.single_events), (SELECT count(*) FROM sprongus.event_batches),
            (SELECT count(*) FROM sprongus.run_events)";
        let row = client.query_one(sql, &[]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    }

    /// The stream, once it has so many events: what other databases of the server are doing holds it up.
    async fn stream(&self, events: usize) -> Vec<Streamed> {
        let began = Instant::now();
        loop {
            let found = self.store.stream(&self.caller, StreamPosition::default(), 1_000).await.unwrap();
            if found.len() == events {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{} events, not {events}", found.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The runs of all events of the stream, which are so many.
    async fn streamed(&self, events: usize) -> BTreeSet<RunId> {
        self.stream(events).await.iter().map(run_of).collect()
    }
}

fn run_of(streamed: &Streamed) -> RunId {
    match &streamed.event {
        StreamedEvent::Run(event) => event.run_id,
        StreamedEvent::Workspace(_) => unreachable!("there are no schedules here"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reader_sees_the_same_events() {
    let (scene, ids) = Scene::new("default").await;
    assert_eq!(scene.counts().await, (40, 2, 120));
    assert_eq!(scene.streamed(120).await, ids.iter().copied().collect());
    let client = scene.connect("sprongus_app").await;
    let sql = "
        SELECT seq, type, actor, payload::text, pos FROM sprongus.run_events WHERE run_id = $1::text::uuid ORDER BY seq";
    for id in ids {
        let own = scene.runs.events(id, 0, 9).await.unwrap();
        let rows = client.query(sql, &[&id.to_uuid_text()]).await.unwrap();
        let by_sql: Vec<_> = rows
            .iter()
            .map(|row| (row.get::<_, i64>(0), row.get::<_, String>(1), row.get::<_, String>(2)))
            .collect();
        let by_store: Vec<_> = own
            .iter()
            .map(|one| (i64::try_from(one.seq).unwrap(), one.kind.to_string(), one.actor.clone()))
            .collect();
        assert_eq!(by_sql, by_store);
        for (row, event) in rows.iter().zip(&own) {
            let payload: serde_json::Value = serde_json::from_str(row.get(3)).unwrap();
            assert_eq!(payload, event.payload.to_value());
        }
        assert_eq!(own[2].payload.to_value()["elapsedMs"], 70);
    }
    let places = "SELECT count(DISTINCT (tx, pos)) FROM sprongus.run_events";
    assert_eq!(client.query_one(places, &[]).await.unwrap().get::<_, i64>(0), 120);
}

/// A program of the version before writes its events into what it knows as a table.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_written_into_the_view_is_a_single_one() {
    let (scene, ids) = Scene::new("default").await;
    let client = scene.connect("sprongus_app").await;
    let insert = "INSERT INTO sprongus.run_events (workspace_id, run_id, seq, type, at, actor)
        SELECT 'default', $1::text::uuid, 4, 'run.progressed', now(), 'old'";
    client.execute(insert, &[&ids[0].to_uuid_text()]).await.unwrap();
    assert_eq!(scene.runs.events(ids[0], 3, 9).await.unwrap()[0].actor, "old");
    assert_eq!(scene.counts().await, (41, 2, 121));
}

/// The server's role may not even try; whoever may is refused by the database itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_never_changed_and_not_deleted_before_its_runs() {
    let (scene, _) = Scene::new("default").await;
    let (server, owner) = (scene.connect("sprongus_app").await, scene.connect("postgres").await);
    for change in [
        "UPDATE sprongus.event_batches SET actors = '{nobody}'",
        "DELETE FROM sprongus.event_batches",
        "TRUNCATE sprongus.event_batches",
        "SET session_replication_role = replica; DELETE FROM sprongus.event_batches",
        "SET session_replication_role = replica; UPDATE sprongus.runs SET batches = NULL",
        "UPDATE sprongus.runs SET batches = batches[2:]",
    ] {
        for client in [&server, &owner] {
            let refused = client.batch_execute(change).await.unwrap_err();
            let code = refused.code().unwrap().code();
            assert!(
                code == "23001" || (code == "42501" && std::ptr::eq(client, &server)),
                "{change}: {refused:?}"
            );
        }
    }
    assert_eq!(scene.counts().await.1, 2);
}

/// Whoever makes a run again under the id of one that retention took has a history of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_used_again_has_none_of_the_old_events() {
    let (scene, ids) = Scene::new("default").await;
    scene.clock.turn(MONTH);
    scene.store.prune(&scene.caller, &Default::default(), 15, false).await.unwrap();
    let left = scene.streamed(75).await;
    let gone = ids.into_iter().find(|id| !left.contains(id)).unwrap();
    let again = NewRun { id: Some(gone), ..NewRun::new("work", Json::empty_object()) };
    scene.runs.enqueue_one(again).await.unwrap();
    assert_eq!(scene.counts().await, (26, 2, 76));
    assert_eq!(scene.streamed(76).await.len(), 26);
    let client = scene.connect("postgres").await;
    client.query_one(PRUNE, &[&100_i32]).await.unwrap();
    assert_eq!(scene.counts().await, (1, 0, 1), "it keeps no batch");
}

/// A page that begins behind a place in a batch, of which retention took what comes next, loses nothing of what is behind that.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_loses_nothing_where_the_rest_of_a_batch_is_gone() {
    let (scene, _) = Scene::new("default").await;
    let all = scene.stream(120).await;
    // Behind the first success nothing of its batch is left, and then comes another batch, and a single event.
    let at = all[80].position;
    let client = scene.connect("postgres").await;
    let last: Vec<String> = all.iter().skip(81).map(|streamed| run_of(streamed).to_uuid_text()).collect();
    let take =
        "INSERT INTO sprongus.pruning (workspace_id, run_id) SELECT 'default', unnest($1::text[])::uuid";
    client.execute(take, &[&last]).await.unwrap();
    client
        .execute("DELETE FROM sprongus.runs WHERE id IN (SELECT run_id FROM sprongus.pruning)", &[])
        .await
        .unwrap();
    assert_eq!(scene.counts().await.2, 3);
    let worker: WorkerId = "worker".parse().unwrap();
    scene.runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
    assert_eq!(scene.runs.claim_next(&worker, 1).await.unwrap().len(), 1);
    scene.runs.enqueue_one(NewRun::new("work", Json::empty_object())).await.unwrap();
    scene.stream(6).await;
    let mut seen = Vec::new();
    let mut after = at;
    while let Some(next) = scene.store.stream(&scene.caller, after, 1).await.unwrap().into_iter().next() {
        after = next.position;
        let StreamedEvent::Run(event) = next.event else { unreachable!("there are no schedules here") };
        seen.push(event.kind.to_string());
    }
    assert_eq!(seen, ["run.enqueued", "run.started", "run.enqueued"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_with_the_last_of_its_runs() {
    let (scene, _) = Scene::new("default").await;
    scene.clock.turn(MONTH);
    let pruned = scene.store.prune(&scene.caller, &Default::default(), 15, false).await.unwrap();
    assert_eq!(pruned.total(), 15);
    // The ids of the fifteen are still in the batches, and in no answer.
    assert_eq!(scene.counts().await, (25, 2, 75));
    assert_eq!(scene.streamed(75).await.len(), 25);

    // Two that take a part of the rest each, at once: the second waits until the first is done, and then finds the batches empty.
    let (mut first, second) = (scene.connect("postgres").await, scene.connect("postgres").await);
    let taking = first.transaction().await.unwrap();
    assert_eq!(taking.query_one(PRUNE, &[&10_i32]).await.unwrap().get::<_, i64>(0), 10);
    let waiting =
        tokio::spawn(async move { second.query_one(PRUNE, &[&100_i32]).await.unwrap().get::<_, i64>(0) });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let watcher = scene.connect("postgres").await;
    while watcher.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(!waiting.is_finished(), "it did not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    taking.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), 15);
    assert_eq!(scene.counts().await, (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_takes_its_batches_along() {
    let (scene, _) = Scene::new("other").await;
    let owner = scene.connect("postgres").await;
    // As after a restore, where the key of `runs` is made late, and so comes last of all.
    let restored = "ALTER TABLE sprongus.runs DROP CONSTRAINT runs_workspace_id_fkey;
        ALTER TABLE sprongus.runs ADD CONSTRAINT runs_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES sprongus.workspaces
            ON DELETE CASCADE";
    owner.batch_execute(restored).await.unwrap();
    owner.batch_execute("SELECT sprongus.drop_workspace('other', 'other')").await.unwrap();
    let left = "SELECT (SELECT count(*) FROM sprongus.event_batches) + (SELECT count(*) FROM sprongus.batch_successes)
        + (SELECT count(*) FROM sprongus.single_events)";
    assert_eq!(owner.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
}
