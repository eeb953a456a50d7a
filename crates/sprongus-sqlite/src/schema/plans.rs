//! The plans of the hot statements, held: each walks the index made for it, sorts nothing and scans nothing, also when the
//! table has statistics that tempt it elsewhere.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use sprongus_core::run::list::{ListFilter, Position};
use sprongus_core::run::state::State;
use sprongus_core::run::waiting::Reason;
use sprongus_core::runs::Caller;
use sprongus_core::values::names::WorkspaceId;
use sprongus_core::values::time::Timestamp;

use crate::events::{audit, stream};
use crate::figures::{recent, rollup, stats};
use crate::reads;
use crate::runs::{claim, enqueue, expire, prune};

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection =
        crate::schema::open::open(&folder.path().join("runs.db"), &crate::Options::default()).unwrap();
    // Most runs have succeeded, and one of a thousand is queued, as after a month of work.
    connection
        .execute_batch(
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO runs (id, workspace_id, kind, state, max_attempts, run_at, fingerprint, lease_ms, created_at,
                 updated_at, ready, idempotency_key)
             SELECT printf('%026d', i), 'default', 'kind' || (i % 3), iif(i % 1000, 'succeeded', 'queued'), 3, 't',
                 '', 0, printf('%024d', i), 't', iif(i % 1000, 0, 1), 'key' || i FROM n;
             ANALYZE;",
        )
        .unwrap();
    (folder, connection)
}

fn plan(connection: &Connection, sql: &str, params: &[Value]) -> String {
    let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let lines = explain.query_map(params_from_iter(params), |row| row.get::<_, String>(3)).unwrap();
    lines.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

fn holds(plan: &str, index: &str) {
    assert!(
        plan.contains(&format!("USING INDEX {index}"))
            || plan.contains(&format!("USING COVERING INDEX {index}")),
        "{plan}"
    );
    assert!(!plan.contains("SCAN runs"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

fn values(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| Value::Text((*text).to_owned())).collect()
}

#[test]
fn a_claim_walks_the_claim_index() {
    let (_folder, connection) = database();
    holds(&plan(&connection, claim::READY, &values(&["default", "kind1", "10"])), "runs_claim");
    holds(&plan(&connection, expire::DUE_TIMERS, &values(&["default", "t", "10"])), "runs_timer");
}

#[test]
fn a_run_is_found_by_its_id_and_by_its_key() {
    let (_folder, connection) = database();
    let by_id = plan(&connection, enqueue::BY_ID, &values(&["x", "default"]));
    holds(&by_id, "sqlite_autoindex_runs_1");
    holds(&plan(&connection, enqueue::BY_KEY, &values(&["default", "key7"])), "runs_idempotency");
}

#[test]
fn every_list_is_an_index_walk() {
    let (_folder, connection) = database();
    let caller = Caller::new(WorkspaceId::local(), "test");
    let position =
        Position { created_at: Timestamp::from_millis(0), id: sprongus_core::values::ids::RunId::new() };
    let plain = ListFilter::default();
    let lists = [
        (plain.clone(), "runs_by_age"),
        (ListFilter { project_id: Some("p".parse().unwrap()), ..plain.clone() }, "runs_by_project"),
        (ListFilter { states: vec![State::Failed], ..plain.clone() }, "runs_by_state"),
        (ListFilter { kinds: vec!["kind1".parse().unwrap()], ..plain.clone() }, "runs_by_kind"),
        (ListFilter { agent_task_id: Some("t".parse().unwrap()), ..plain.clone() }, "runs_by_agent_task"),
        (ListFilter { waiting: Some(Reason::Gate), ..plain.clone() }, "runs_at_gates"),
        (ListFilter { waiting: Some(Reason::Worker), ..plain.clone() }, "runs_by_state"),
    ];
    for (filter, index) in lists {
        for oldest_first in [false, true] {
            for position in [None, Some(position)] {
                let filter = ListFilter { oldest_first, ..filter.clone() };
                let (sql, params) =
                    reads::list::list_statement(&caller, &filter, position, Timestamp::from_millis(0))
                        .unwrap();
                holds(&plan(&connection, &sql, &params), index);
            }
        }
    }
}

#[test]
fn several_states_are_walks_merged_and_never_a_scan() {
    let (_folder, connection) = database();
    let caller = Caller::new(WorkspaceId::local(), "test");
    let filter = ListFilter { states: vec![State::Queued, State::Failed], ..ListFilter::default() };
    let (sql, params) =
        reads::list::list_statement(&caller, &filter, None, Timestamp::from_millis(0)).unwrap();
    let plan = plan(&connection, &sql, &params);
    assert_eq!(plan.matches("runs_by_state").count(), 2, "{plan}");
    assert!(!plan.contains("SCAN runs"), "{plan}");
}

#[test]
fn the_stream_is_a_walk_along_the_events() {
    let (_folder, connection) = database();
    let plan = plan(&connection, stream::EVENTS, &values(&["0", "10", "default", "[\"p\"]"]));
    assert!(plan.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>?)"), "{plan}");
    assert!(plan.contains("SEARCH r USING INDEX sqlite_autoindex_runs_1 (id=?)"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn a_look_back_is_a_walk_along_the_events() {
    let (_folder, connection) = database();
    let asked = ["9", "10", "default", "[\"p\"]", "[\"run.failed\"]", "amy"];
    let plan = plan(&connection, audit::EVENTS, &values(&asked));
    assert!(plan.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid<?)"), "{plan}");
    assert!(plan.contains("SEARCH r USING INDEX sqlite_autoindex_runs_1 (id=?)"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn retention_walks_from_the_oldest_run_and_reads_no_kind_but_its_own() {
    let (_folder, connection) = database();
    let of_state = values(&["default", "succeeded", "t", "t", "{\"kind1\":\"t\"}"]);
    let mark = plan(&connection, prune::MARK, &[of_state.clone(), values(&["[]", "500"])].concat());
    assert!(
        mark.contains("SEARCH runs USING INDEX runs_by_state (workspace_id=? AND state=? AND created_at<?)"),
        "{mark}"
    );
    let count = plan(&connection, prune::COUNT, &[of_state, values(&["[]"])].concat());
    assert!(count.contains("runs_by_state (workspace_id=? AND state=? AND created_at<?)"), "{count}");
    let of_kind = values(&["default", "succeeded", "t", "kind1", "[]", "500"]);
    let mark_of_kind = plan(&connection, prune::MARK_OF_KIND, &of_kind);
    let count_of_kind = plan(&connection, prune::COUNT_OF_KIND, &of_kind[..5]);
    for plan in [&mark_of_kind, &count_of_kind] {
        assert!(plan.contains("runs_by_kind (workspace_id=? AND kind=? AND created_at<?)"), "{plan}");
    }
    let kinds = plan(&connection, prune::KINDS, &values(&["default"]));
    assert_eq!(kinds.matches("USING COVERING INDEX runs_by_kind (workspace_id=?").count(), 2, "{kinds}");
    for plan in [mark, mark_of_kind, kinds] {
        assert!(!plan.contains("SCAN runs") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

/// Of live runs nothing is read but the indexes that they alone stand in, and of the last hour its sums and the end of the stream.
#[test]
fn figures_read_no_run_that_has_ended() {
    let (_folder, connection) = database();
    let projects = values(&["default", "[\"p\"]"]);
    let indexes = [
        (stats::DUE, "COVERING INDEX runs_claim"),
        (stats::TIMED, "COVERING INDEX runs_timer"),
        // Whose few rows are looked at for what the index itself implies.
        (stats::ENDLESS, "INDEX runs_endless"),
    ];
    for (sql, index) in indexes {
        let plan = plan(&connection, sql, &projects);
        assert!(plan.contains(&format!("SEARCH runs USING {index} (workspace_id=?")), "{plan}");
    }
    let sums = plan(&connection, recent::SUMS, &values(&["default", "t", "[\"p\"]"]));
    assert!(sums.contains("SEARCH run_recent USING PRIMARY KEY (workspace_id=? AND minute>?)"), "{sums}");
    let since = plan(&connection, recent::SINCE, &values(&["default", "[\"p\"]", "[\"run.failed\"]"]));
    assert!(since.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>?)"), "{since}");
    assert!(since.contains("SEARCH r USING INDEX sqlite_autoindex_runs_1 (id=?)"), "{since}");
    assert!(!since.contains("TEMP B-TREE"), "{since}");
}

#[test]
fn charts_and_what_is_added_to_them_are_walks() {
    let (_folder, connection) = database();
    let minutes = plan(&connection, rollup::MINUTES, &values(&["default", "a", "b"]));
    assert!(
        minutes.contains("SEARCH run_minutes USING PRIMARY KEY (workspace_id=? AND minute>? AND minute<?)"),
        "{minutes}"
    );
    let page = plan(&connection, rollup::PAGE, &values(&["0", "10", "default"]));
    assert!(page.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid>?)"), "{page}");
    assert!(!page.contains("TEMP B-TREE"), "{page}");
}

#[test]
fn what_belongs_to_a_run_is_found_by_its_key() {
    let (_folder, connection) = database();
    let of_a_run = [
        (reads::STEPS, "SEARCH run_steps USING PRIMARY KEY (run_id=?)"),
        (reads::EVENTS, "SEARCH run_events USING INDEX sqlite_autoindex_run_events_1 (run_id=? AND seq>?)"),
        (reads::CHUNKS, "SEARCH run_logs USING PRIMARY KEY (run_id=?)"),
    ];
    for (sql, walk) in of_a_run {
        let plan = plan(&connection, sql, &values(&["x", "0", "10"])[..marks(sql)]);
        assert!(plan.contains(walk), "{plan}");
    }
}

/// How many values a statement takes.
fn marks(sql: &str) -> usize {
    (1..=9).take_while(|mark| sql.contains(&format!("?{mark}"))).count()
}
