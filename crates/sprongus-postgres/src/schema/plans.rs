//! The plans of the statements that read events, held: the stream is a walk along its index and neither sorts nor looks at what it
//! does not give, and the index of the stream tempts nobody who looks for one run. As the server's role, whose policies must not get
//! between a condition and its index.

use sprongus_core::run::list::{ListFilter, Position};
use sprongus_core::runs::Caller;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;
use sprongus_throwaway::Database;
use tokio_postgres::Client;

use crate::Options;
use crate::diagnostics::inspect;
use crate::events::{audit, stream};
use crate::figures::recent;
use crate::reads::{self, list};
use crate::runs::{command, prune};
use crate::schema::migrate::connect;
use crate::schema::open;

/// The policy lets the planner take a workspace for small, so that it may rather sort a few thousand events than walk; by the same
/// conditions on the same index.
const MADE_ANEW: &str = "custom";

/// What a store's connections set, and what a program's do, by either kind of plan.
const WAYS: [(&str, &str); 3] = [
    ("a store's", "RESET ALL"),
    (
        "generic",
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = on; SET enable_hashjoin = on; SET enable_mergejoin = on",
    ),
    (MADE_ANEW, "RESET ALL; SET plan_cache_mode = force_custom_plan"),
];

/// A run that is not there.
const NOBODY: &str = "'01940000-0000-7000-8000-00000000ffff'";

/// Two workspaces with 2,000 runs and 20,000 events each, taking turns, and as many in batches of 4.
const ROWS: &str = "
    SET search_path = sprongus;
    INSERT INTO workspaces (id) VALUES ('other');
    INSERT INTO projects (workspace_id, id) VALUES ('default', 'p'), ('other', 'p');
    INSERT INTO runs (id, workspace_id, project_id, kind, state, max_attempts, run_at, fingerprint, lease_ms, last_seq, created_at,
        updated_at, started_at, finished_at)
    SELECT ('01940000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, CASE n % 2 WHEN 0 THEN 'default' ELSE 'other' END,
        CASE n % 20 WHEN 0 THEN 'p' END, 'work', 'succeeded', 3, now(), '', 30000, 10, now(), now(), now(), now()
    FROM generate_series(1, 4000) AS n;
    INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, tx)
    SELECT workspace_id, id, seq, CASE seq WHEN 10 THEN 'run.succeeded' ELSE 'run.progressed' END, now(), 'test',
        seq::text::xid8 FROM generate_series(1, 10) AS seq, runs;
    INSERT INTO event_batches (workspace_id, tx, number, type, at, size, actors, worker_id, run_ids, seqs, attempts, epochs, durations_ms)
    SELECT workspace_id, tx::text::xid8, 1000000 * (1 + tx) + 1000 * part + CASE workspace_id WHEN 'other' THEN 500 ELSE 0 END,
        'run.started', now(), 4, ARRAY['test'], 'w', ids, array_fill(10 + tx, ARRAY[4])::bigint[],
        array_fill(1, ARRAY[4]), array_fill(1, ARRAY[4])::bigint[], array_fill(0, ARRAY[4])::bigint[]
    FROM generate_series(1, 10) AS tx, (
        SELECT workspace_id, part, array_agg(id) AS ids FROM (
            SELECT workspace_id, id, (row_number() OVER (PARTITION BY workspace_id ORDER BY id) - 1) / 4 AS part FROM runs) AS one
        GROUP BY workspace_id, part) AS parts;
    UPDATE runs SET batches = own.numbers FROM (
        SELECT one AS id, array_agg(number) AS numbers FROM event_batches, unnest(run_ids) AS one GROUP BY one) AS own
    WHERE runs.id = own.id;
    ANALYZE;";

async fn plan(client: &Client, sql: &str, types: &str, values: &str) -> String {
    let way = format!(
        "DEALLOCATE ALL; PREPARE asked ({types}) AS {sql}; BEGIN;
         SELECT set_config('sprongus.workspace_id', 'default', true)"
    );
    client.batch_execute(&way).await.unwrap();
    let explain = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE asked ({values})");
    let messages = client.simple_query(&explain).await.unwrap();
    client.batch_execute("COMMIT").await.unwrap();
    let lines = messages.iter().filter_map(|message| {
        let tokio_postgres::SimpleQueryMessage::Row(row) = message else { return None };
        row.get(0)
    });
    // Postgres 18 counts rows in hundredths, for plans whose steps are carried out several times.
    lines.collect::<Vec<_>>().join("\n").replace(".00 loops=", " loops=").replace(".00)", ")")
}

/// The indexes alone decide which events are read, and of neither more than a page.
#[track_caller]
fn is_a_walk(plan: &str, how: &str) {
    for table in ["single_events", "event_batches"] {
        let index = format!("using {table}_in_order on {table}");
        assert_eq!(plan.matches(&index).count(), 1, "{how}:\n{plan}");
        assert!(
            !plan.contains(&format!("Seq Scan on {table}")) && !plan.contains("Bitmap"),
            "{how}:\n{plan}"
        );
        let walked = plan.split(&index).nth(1).unwrap_or_default();
        let walk = walked.split("->").next().unwrap_or_default();
        assert!(!walk.contains("Rows Removed"), "{how}:\n{plan}");
    }
    sorts_a_page_of_batches_alone(plan, how);
}

/// The events of the batches that were walked are put in order; single events are in order already.
#[track_caller]
fn sorts_a_page_of_batches_alone(plan: &str, how: &str) {
    let to_single = plan.split("using single_events_in_order").next().unwrap_or_default();
    let merged = to_single.rsplit_once("Merge Append");
    assert!(
        merged.is_some_and(|(above, walk)| !(above.contains("Sort") || walk.contains("->  Sort"))),
        "{how}:\n{plan}"
    );
}

/// A database open to the server's role and to the superuser.
struct Scene {
    server: Client,
    superuser: Client,
    _database: Database,
}

impl Scene {
    async fn set() -> Self {
        let database = Database::empty();
        let options = Options::default();
        crate::migrate(&database.url("sprongus_owner"), &options, Some("sprongus_app")).await.unwrap();
        let connected = async |role| {
            let config = open::config(&database.url(role), &options.schema).unwrap();
            connect(&open::working(&config, &options.schema)).await.unwrap()
        };
        let (server, superuser) = (connected("sprongus_app").await, connected("postgres").await);
        Self { server, superuser, _database: database }
    }

    async fn plan(&self, sql: &str, types: &str, values: &str) -> String {
        plan(&self.server, sql, types, values).await
    }
}

const OF_THE_STREAM: &str = "text, xid8, bigint, bigint";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_stream_is_a_walk_along_its_index() {
    let scene = Scene::set().await;
    for is_full in [false, true] {
        if is_full {
            scene.superuser.batch_execute(ROWS).await.unwrap();
        }
        // A program's plan of a table that is empty is nobody's concern.
        for (whose, settings) in &WAYS[..if is_full { WAYS.len() } else { 1 }] {
            let how = format!("{whose} settings, full: {is_full}");
            scene.server.batch_execute(settings).await.unwrap();
            let walk = scene.plan(stream::EVENTS, OF_THE_STREAM, "'default', '4', 7, 100").await;
            let condition = walk.lines().find(|line| line.contains("Index Cond")).unwrap_or_default();
            for part in ["workspace_id =", "(ROW(tx, pos) > ROW(", "(tx < pg_snapshot_xmin("] {
                assert!(condition.contains(part), "{how}, {part}:\n{walk}");
            }
            assert!(!is_full || walk.contains("actual rows=100 "), "{how}:\n{walk}");
            if *whose == MADE_ANEW {
                continue;
            }
            is_a_walk(&walk, &how);

            let types = format!("{OF_THE_STREAM}, text[]");
            let values = "'default', '4', 7, 1000, '{p}'";
            let narrowed = scene.plan(stream::EVENTS_AND_PROJECTS, &types, values).await;
            is_a_walk(&narrowed, &how);
            assert!(!is_full || narrowed.contains("actual rows=1000 "), "{how}:\n{narrowed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_back_is_a_walk_along_the_index_of_the_stream() {
    let scene = Scene::set().await;
    scene.superuser.batch_execute(ROWS).await.unwrap();
    for (whose, settings) in &WAYS {
        scene.server.batch_execute(settings).await.unwrap();
        let types = format!("{OF_THE_STREAM}, text[], text, text[], bigint");
        let values = "'default', '10', 7, 1000, '{run.progressed}', 'test', '{p}', 100";
        let look = scene.plan(audit::EVENTS, &types, values).await;
        let edge = scene.plan(audit::EDGE, OF_THE_STREAM, "'default', '10', 7, 999").await;
        for plan in [&look, &edge] {
            assert!(!plan.contains("Seq Scan") && !plan.contains("Hash"), "{whose} settings:\n{plan}");
            if *whose == MADE_ANEW {
                continue;
            }
            for table in ["single_events", "event_batches"] {
                assert!(
                    plan.contains(&format!("Backward using {table}_in_order")),
                    "{whose} settings:\n{plan}"
                );
            }
            sorts_a_page_of_batches_alone(plan, whose);
        }
        assert!(edge.contains("actual rows=1 "), "{edge}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runs_own_events_are_found_by_its_key_in_a_young_database_too() {
    let scene = Scene::set().await;
    let id = "'01940000-0000-7000-8000-000000000002'";
    for is_full in [false, true] {
        if is_full {
            scene.superuser.batch_execute(ROWS).await.unwrap();
        }
        let of_run =
            scene.plan(reads::EVENTS, "text, uuid, bigint, bigint", &format!("'default', {id}, 0, 9")).await;
        let values = format!("{id}, 9, '', '', '{{}}'");
        let last = scene.plan(command::LAST_EVENT, "uuid, bigint, text, text, jsonb", &values).await;
        for plan in [&of_run, &last] {
            assert!(plan.contains("single_events_pkey"), "full: {is_full}:\n{plan}");
        }
        // Its batches are those that its row names. While there are no runs any index of them does.
        assert!(of_run.contains("event_batches_pkey"), "full: {is_full}:\n{of_run}");
        assert!(!is_full || of_run.contains("runs_pkey"), "full: {is_full}:\n{of_run}");
        // What a run takes along, under the policy that holds the owner too.
        scene.superuser.batch_execute("SET ROLE sprongus_owner").await.unwrap();
        let delete =
            plan(&scene.superuser, "DELETE FROM single_events WHERE run_id = $1", "uuid", NOBODY).await;
        scene.superuser.batch_execute("RESET ROLE").await.unwrap();
        assert!(delete.contains("single_events_pkey"), "full: {is_full}:\n{delete}");
    }
}

/// What reads all events reads each batch once, and not once for each of its runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_of_all_events_takes_each_batch_once() {
    let scene = Scene::set().await;
    // Batches as a backlog has them: 50 of 400 runs in each workspace.
    let large = ROWS.replace("/ 4 AS part", "/ 400 AS part").replace("ARRAY[4]", "ARRAY[400]");
    scene.superuser.batch_execute(&large.replace("now(), 4,", "now(), 400,")).await.unwrap();
    for (whose, settings) in &WAYS {
        scene.server.batch_execute(settings).await.unwrap();
        let plan = scene.plan(inspect::GAPS, "text", "'default'").await;
        let unnested = plan.lines().find(|line| line.contains("Function Scan on one ")).unwrap_or_default();
        assert!(
            unnested.contains("rows=400 loops=50)") || unnested.contains("rows=400 loops=100)"),
            "{whose} settings:\n{plan}"
        );
    }
}

/// However much has happened, the last hour is read from its sums and from the newest of what was not added up yet.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_hour_is_read_along_the_end_of_the_stream() {
    let scene = Scene::set().await;
    for is_full in [false, true] {
        if is_full {
            scene.superuser.batch_execute(ROWS).await.unwrap();
        }
        for (whose, settings) in &WAYS[..2] {
            let how = format!("{whose} settings, full: {is_full}");
            scene.server.batch_execute(settings).await.unwrap();
            let (types, values) = (
                "text, text[], timestamptz, bigint, text[]",
                "'default', NULL, '2020-01-01', 999, ARRAY['run.succeeded']",
            );
            let since = scene.plan(recent::SINCE, types, values).await;
            is_a_walk(&since, &how);
            assert!(since.contains("Index Scan Backward using single_events_in_order"), "{how}:\n{since}");
            // While there are no runs any index of them does; plans are made anew as the table grows (`auto_analyze.rs`).
            assert!(!is_full || since.contains("using runs_pkey on runs"), "{how}:\n{since}");
            assert!(!is_full || since.contains("actual rows=999 "), "{how}:\n{since}");
            let sums =
                scene.plan(recent::SUMS, "text, text[], timestamptz", "'default', NULL, '2020-01-01'").await;
            // A program's plan may scan a table without rows.
            assert!(*whose != WAYS[0].0 || sums.contains("run_recent_pkey"), "{how}:\n{sums}");
        }
    }
}

/// 4,000 runs of a kind that is kept for longer than they are old, a hundred of another that is not, and of either as many that failed.
const KEPT: &str = "
    SET search_path = sprongus;
    INSERT INTO runs (id, workspace_id, kind, state, ended_as, max_attempts, run_at, fingerprint, lease_ms, last_seq, created_at,
        updated_at, started_at, finished_at)
    SELECT ('01940000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', CASE WHEN n > 4000 THEN 'mail' ELSE 'audit' END,
        state, nullif(state, 'succeeded'), 3, old, '', 30000, 1, old, old, old, old
    FROM generate_series(1, 4100) AS n, (SELECT now() - interval '100 days' AS old) AS past,
        LATERAL (SELECT CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END AS state) AS ended;
    INSERT INTO single_events (workspace_id, run_id, seq, type, at, actor, run_created_at)
    SELECT workspace_id, id, 1, 'run.' || state, created_at, 'test', created_at FROM runs;
    ANALYZE;";

const KINDS: &str = "now() - interval '30 days', ARRAY['audit'], ARRAY[now() - interval '400 days']";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_kind_keeps_longer_is_in_no_other_ones_way() {
    let scene = Scene::set().await;
    scene.superuser.batch_execute(KEPT).await.unwrap();
    let types = "text, text, timestamptz, text[], timestamptz[], text[]";
    for (sql, ended, index) in [
        (prune::COUNT_BY_KIND, "succeeded", "runs_by_kind"),
        (prune::COUNT_BAD_ENDS, "failed", "runs_by_bad_end"),
    ] {
        let plan = scene.plan(sql, types, &format!("'default', '{ended}', {KINDS}, NULL")).await;
        assert!(
            plan.contains(&format!("using {index} on runs")) && !plan.contains("Seq Scan on runs"),
            "{plan}"
        );
        assert!(!plan.contains("using runs_by_age"), "{plan}");
    }
    let begin = "BEGIN; SELECT set_config('sprongus.workspace_id', 'default', true)";
    scene.server.batch_execute(begin).await.unwrap();
    let take = format!("SELECT * FROM prune_kinds('default', 'succeeded', {KINDS}, NULL, 500)");
    let taken = scene.server.query(&take, &[]).await.unwrap();
    assert_eq!(taken.iter().map(|row| row.get(0)).collect::<Vec<String>>(), ["mail"]);
    // Nothing is left to take: what a round costs when it finds nothing.
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF) {take}");
    let lines = scene.server.query(&explain, &[]).await.unwrap();
    let text: Vec<String> = lines.iter().map(|row| row.get(0)).collect();
    let hits =
        text.iter().find_map(|line| line.trim().strip_prefix("Buffers: shared hit=")).unwrap_or_default();
    let hits: u32 = hits.split(' ').next().unwrap_or_default().parse().unwrap();
    assert!((1..300).contains(&hits), "{}", text.join("\n"));
}

/// However many runs are of the kind, and of the project.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_one_kind_or_project_is_a_walk_that_sorts_nothing() {
    let scene = Scene::set().await;
    scene.superuser.batch_execute(ROWS).await.unwrap();
    scene.server.batch_execute(WAYS[0].1).await.unwrap();
    let caller = Caller::new(WorkspaceId::local(), "test");
    let position =
        Position { created_at: Timestamp::from_millis(i64::from(u32::MAX) * 1_000), id: RunId::new() };
    let kind = ListFilter { kinds: vec!["work".parse().unwrap()], ..ListFilter::default() };
    let project = ListFilter { project_id: Some("p".parse().unwrap()), ..ListFilter::default() };
    let walks = [
        (&kind, list::Walk::Age { kind: Some("work".to_owned()) }, "runs_by_kind", "'work'"),
        (&project, list::Walk::Age { kind: None }, "runs_by_project", "'p'"),
    ];
    for (filter, walk, index, value) in walks {
        for position in [None, Some(position)] {
            let (sql, bound) = list::statement(&caller, filter, position, None, &walk).unwrap();
            let mut types = vec!["text", "text"];
            let mut values = vec!["'default'".to_owned(), value.to_owned()];
            if position.is_some() {
                types.extend(["timestamptz", "uuid"]);
                values.extend(["'2100-01-01'".to_owned(), NOBODY.to_owned()]);
            }
            // A project is said again, by an `=`, which keeps the order; of a kind it would be an `= ANY`, by which large tables are sorted.
            if filter.project_id.is_some() {
                types.push("text");
                values.push(value.to_owned());
            }
            assert_eq!(bound.len(), types.len(), "{sql}");
            let plan = scene.plan(&sql, &types.join(", "), &values.join(", ")).await;
            assert!(plan.contains(&format!("Index Scan Backward using {index} on runs")), "{plan}");
            assert!(!plan.contains("Sort") && plan.contains("actual rows=51 "), "{plan}");
        }
    }
}
