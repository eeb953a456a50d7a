//! The metrics themselves: read by public parsers, linted by Prometheus's own tool, and told on the page.

use std::collections::BTreeSet;
use std::process::Command;

use super::{PROMETHEUS, Scene, existing, fed, page, tool};
use crate::backing::Backing;

fn public_parsers_read_what_happened(backing: Backing) {
    let scene = Scene::new(backing);
    let newer = scene.parsed("prometheus_client.openmetrics.parser", &scene.scrape(PROMETHEUS));
    let text = scene.scrape("*/*");
    let older = scene.parsed("prometheus_client.parser", &text);
    assert_eq!(older.types, newer.types);
    for (parsed, whose) in [(&newer, "newer"), (&older, "older")] {
        let value = |key: &str| *parsed.samples.get(key).unwrap_or_else(|| panic!("{whose}: no {key}"));
        let of = |name: &str, kind: &str| value(&format!("sprongus_{name}{{kind={kind},workspace=default}}"));
        assert_eq!((of("runs_due", "nobodys"), of("kind_workers", "nobodys")), (1.0, 0.0));
        assert_eq!(
            (of("runs_due", "good"), of("kind_workers", "good"), of("kind_paused", "good")),
            (0.0, 1.0, 0.0)
        );
        assert!(of("oldest_due_seconds", "nobodys") > 0.0);
        assert_eq!((of("runs_enqueued_total", "good"), of("executions_started_total", "bad")), (1.0, 1.0));
        assert_eq!(
            (of("run_wait_seconds_count", "good"), of("run_execution_seconds_count", "bad")),
            (1.0, 1.0)
        );
        assert_eq!(value("sprongus_workers{workspace=default}"), 1.0);
        assert!(value("sprongus_worker_slots{workspace=default}") >= 1.0);
        assert!(value("sprongus_store_batch_count{}") >= 1.0);
        assert!(value("sprongus_store_batch_bucket{le=1.0}") <= value("sprongus_store_batch_sum{}"));
        assert!(value("sprongus_http_connections{}") >= 1.0);
        assert_eq!(value("sprongus_store_answers{}"), 1.0);
        for chore in ["timers", "minutes"] {
            assert!(
                value(&format!("sprongus_housekeeping_rounds_total{{chore={chore},outcome=well}}")) >= 1.0,
                "{chore}"
            );
            assert!(value(&format!("sprongus_housekeeping_idle_seconds{{chore={chore}}}")) < 60.0, "{chore}");
        }
        assert!(value("sprongus_housekeeping_done_total{chore=minutes}") >= 5.0);
    }
    let mut lint = Command::new(tool("promtool"));
    lint.args(["check", "metrics"]);
    let linted = fed(lint, &text).exits(0);
    assert_eq!(linted.err, "", "{text}");
}

#[test]
fn public_parsers_read_what_happened_on_a_file() {
    public_parsers_read_what_happened(Backing::File);
}

#[test]
fn public_parsers_read_what_happened_on_postgres() {
    public_parsers_read_what_happened(Backing::Postgres);
}

#[test]
fn the_page_has_a_row_for_each_metric_and_no_other() {
    let (_, own) = existing();
    let page = page("operations.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `sprongus_")?.split_once('`'));
    let documented: Vec<String> = rows.map(|(name, _)| format!("sprongus_{name}")).collect();
    let missing: Vec<_> = own.iter().filter(|name| !documented.contains(name)).collect();
    let gone: Vec<_> = documented.iter().filter(|name| !own.contains(*name)).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/operations.md lacks {missing:?}, and tells of {gone:?}"
    );
    assert_eq!(documented.len(), documented.iter().collect::<BTreeSet<_>>().len(), "a row twice");
}
