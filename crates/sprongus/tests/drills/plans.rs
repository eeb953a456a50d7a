//! What a page of a list and an empty poll read, in buffers, as the server itself counts them, in the worst mix: a backlog of another
//! kind, as many delayed, many running, and a few old successes far behind them.

use sprongus::core::run::ClaimRequest;
use sprongus::core::run::list::ListFilter;
use sprongus::core::run::state::State;
use sprongus::core::values::names::WorkspaceId;
use sprongus::postgres::Durability;
use sprongus::{Caller, Runs, RunsService};
use sprongus_throwaway::{Server, Settings};
use tokio_postgres::{Client, NoTls};

use crate::backing::Place;
use crate::tempo::{block_on, form};

const MOST: i64 = 50;

/// Under leases while lists are read; ten thousand more when the queue is polled.
const RUNNING: u32 = 200;

/// `$1` is how many of each; made by the superuser in one go, as a library's calls would have made them.
fn mix(many: u32) -> String {
    let running = RUNNING;
    let run = |first: u32, count: u32, kind: &str, state: &str, project: &str, ago: &str, due: &str| {
        format!(
            "INSERT INTO runs (id, workspace_id, project_id, kind, state, max_attempts, run_at, fingerprint, lease_ms, last_seq,
                created_at, updated_at, ended_as)
             SELECT ('01940000-0000-7000-8000-' || lpad(to_hex({first} + n), 12, '0'))::uuid, 'default', {project}, '{kind}',
                '{state}', 3, now() + {due}, '', 30000, 1, now() - {ago} + n * interval '1 ms', now(),
                CASE WHEN '{state}' IN ('failed', 'canceled') THEN '{state}' END
             FROM generate_series(1, {count}) AS n;"
        )
    };
    [
        "SET search_path = sprongus; INSERT INTO projects (workspace_id, id) VALUES ('default', 'p');".to_owned(),
        run(0, 20, "note", "succeeded", "'p'", "interval '20 days'", "interval '0'"),
        run(100, 20, "note", "failed", "'p'", "interval '20 days'", "interval '0'"),
        run(1_000, many, "other", "queued", "NULL", "interval '2 days'", "interval '0'"),
        run(3_000_000, many, "other", "queued", "NULL", "interval '1 day'", "interval '1 year'"),
        run(6_000_000, running, "other", "running", "NULL", "interval '3 days'", "interval '0'"),
        "INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, run_created_at)
         SELECT workspace_id, id, 1, CASE state WHEN 'succeeded' THEN 'run.succeeded' ELSE 'run.enqueued' END, created_at, 'x',
            CASE state WHEN 'succeeded' THEN created_at END FROM runs;
         INSERT INTO run_queue (workspace_id, kind, rank, run_at, id, plain)
         SELECT workspace_id, kind, 100, run_at, id, true FROM runs WHERE state = 'queued' AND run_at <= now();
         INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
         SELECT workspace_id, CASE state WHEN 'running' THEN now() + interval '1 minute' ELSE run_at END, ARRAY[id],
            ARRAY[0::bigint] FROM runs
         WHERE state = 'running' OR (state = 'queued' AND run_at > now());"
            .to_owned(),
    ]
    .concat()
}

#[test]
fn pages_and_polls_read_little_in_the_worst_mix() {
    let many = form(50_000, 1_000_000);
    let preload = ("shared_preload_libraries".to_owned(), "pg_stat_statements".to_owned());
    let server = Server::start(Settings { options: vec![preload], ..Settings::default() }).unwrap();
    let place = Place::on(&server, Durability::AsConfigured);
    server.execute("runs", &format!("CREATE EXTENSION pg_stat_statements; {}", mix(many))).unwrap();
    server.execute("runs", "VACUUM ANALYZE").unwrap();
    let runs = RunsService::new(place.open()).for_caller(Caller::new(WorkspaceId::local(), "drill"));
    let lines = block_on(async {
        let (client, connection) =
            tokio_postgres::connect(&server.url("runs", "postgres"), NoTls).await.unwrap();
        tokio::spawn(connection);
        let mut lines = Vec::new();
        let of = |state| ListFilter { states: vec![state], ..ListFilter::default() };
        let filters = [
            ("project", ListFilter { project_id: Some("p".parse().unwrap()), ..ListFilter::default() }),
            ("kind", ListFilter { kinds: vec!["note".parse().unwrap()], ..ListFilter::default() }),
            ("common kind", ListFilter { kinds: vec!["other".parse().unwrap()], ..ListFilter::default() }),
            ("queued", of(State::Queued)),
            ("running", of(State::Running)),
            ("succeeded", of(State::Succeeded)),
            ("failed", of(State::Failed)),
            ("all", ListFilter::default()),
        ];
        for (name, filter) in filters {
            lines.push(page(&*runs, &client, name, &filter).await);
        }
        server.execute("runs", MORE_SUCCEEDED).unwrap();
        let pulls = ListFilter { kinds: vec!["pull".parse().unwrap()], ..of(State::Succeeded) };
        for (name, filter) in [("many succeeded", of(State::Succeeded)), ("of one kind", pulls)] {
            lines.push(page(&*runs, &client, name, &filter).await);
        }
        server.execute("runs", MORE_RUNNING).unwrap();
        let poll = poll(&*runs, &client).await;
        assert!(poll < MOST, "an empty poll: {poll} buffers");
        lines.push(format!("an empty poll {poll} in all"));
        lines
    });
    println!(
        "plans: with {many} queued of another kind and {many} delayed, in buffers a row: {}",
        lines.join(", ")
    );
}

/// What a page reads, in buffers a row.
async fn page(runs: &dyn Runs, client: &Client, name: &str, filter: &ListFilter) -> String {
    let mut each = 0;
    // Once to warm the catalogs of the connection, which cost what they cost.
    for _ in 0..2 {
        reset(client).await;
        let rows = runs.list(filter).await.unwrap().data.len();
        assert!(rows >= 20, "{name}: {rows}");
        each = read(client).await / i64::try_from(rows).unwrap();
        assert!(each < MOST, "{name}: {each} buffers a row");
    }
    format!("{name} {each}")
}

const MORE_SUCCEEDED: &str = "
    SET search_path = sprongus;
    WITH more AS (
        UPDATE runs SET state = 'succeeded', kind = 'pull' WHERE id IN (SELECT id FROM run_queue WHERE kind = 'other' LIMIT 10000)
        RETURNING workspace_id, id, created_at),
    gone AS (DELETE FROM run_queue WHERE id IN (SELECT id FROM more))
    INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, run_created_at)
    SELECT workspace_id, id, 2, 'run.succeeded', created_at, 'x', created_at FROM more;
    ANALYZE";

const MORE_RUNNING: &str = "
    SET search_path = sprongus;
    WITH more AS (
        UPDATE runs SET state = 'running' WHERE id IN (SELECT id FROM run_queue WHERE kind = 'other' LIMIT 10000)
        RETURNING workspace_id, id),
    gone AS (DELETE FROM run_queue WHERE id IN (SELECT id FROM more))
    INSERT INTO run_timers (workspace_id, due_at, run_ids, epochs)
    SELECT workspace_id, now() + interval '1 minute', ARRAY[id], ARRAY[0::bigint] FROM more";

async fn poll(runs: &dyn Runs, client: &Client) -> i64 {
    let mut request = ClaimRequest::new("worker".parse().unwrap(), 10);
    request.kinds = Some(vec!["note".parse().unwrap()]);
    let mut buffers = 0;
    for _ in 0..2 {
        reset(client).await;
        assert!(runs.claim(request.clone()).await.unwrap().is_empty());
        buffers = read(client).await;
    }
    buffers
}

async fn reset(client: &Client) {
    client.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
}

/// What the store's role has read since.
async fn read(client: &Client) -> i64 {
    let ask = "SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint FROM pg_stat_statements
        WHERE userid = 'sprongus_app'::regrole";
    client.query_one(ask, &[]).await.unwrap().get(0)
}
