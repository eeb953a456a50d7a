//! `runs stats --rebuild`: figures that were damaged are made anew from the events; beside the database alone.

use std::time::{Duration, Instant};

use serde_json::json;
use sprongus::RunsExt;
use sprongus::core::json::Json;
use sprongus::core::run::NewRun;
use sprongus::core::run::step::{Phase, StepReport, StepStatus, StepType};
use sprongus_throwaway::Server;

use crate::backing::Backing;
use crate::sandbox::{Sandbox, block_on, worker};

const TABLES: [&str; 4] = ["run_minutes", "run_totals", "run_spans", "run_recent"];

const DAMAGE: &str = "
    UPDATE run_totals SET enqueued = 99, tokens_in = 1 WHERE workspace_id = 'default';
    DELETE FROM run_minutes WHERE workspace_id = 'default';
    UPDATE run_recent SET count = count + 1 WHERE workspace_id = 'default';
    INSERT INTO run_spans (workspace_id, kind, span, bound, count, total_ms) VALUES ('default', 'never', 'wait', 3, 7, 7);";

/// The figures as they are stored.
fn figures(sandbox: &Sandbox) -> Vec<String> {
    match sandbox.database() {
        None => {
            let file = rusqlite::Connection::open(sandbox.file()).unwrap();
            let mut rows = Vec::new();
            for table in TABLES {
                let mut select =
                    file.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5")).unwrap();
                let columns = select.column_count();
                let row = |row: &rusqlite::Row<'_>| {
                    (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column)).collect()
                };
                let found: Vec<Result<Vec<_>, _>> =
                    select.query_map([], |it| Ok(row(it))).unwrap().map(Result::unwrap).collect();
                rows.extend(found.into_iter().map(|row| format!("{table} {:?}", row.unwrap())));
            }
            rows
        }
        Some(database) => block_on(async {
            let url = Server::shared().url(database, "postgres");
            let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let mut rows = Vec::new();
            for table in TABLES {
                let ask = format!("SELECT t::text FROM sprongus.{table} AS t ORDER BY 1");
                let found = client.query(&ask, &[]).await.unwrap();
                rows.extend(found.iter().map(|row| format!("{table} {}", row.get::<_, String>(0))));
            }
            rows
        }),
    }
}

fn damage(sandbox: &Sandbox) {
    match sandbox.database() {
        None => rusqlite::Connection::open(sandbox.file()).unwrap().execute_batch(DAMAGE).unwrap(),
        Some(database) => {
            let damage = format!("SET search_path = sprongus; {DAMAGE}");
            Server::shared().execute(database, &damage).unwrap();
        }
    }
}

fn damaged_figures_are_made_anew(backing: Backing) {
    let sandbox = Sandbox::on(backing);
    block_on(async {
        let runs = sandbox.runs().await;
        for kind in ["mail", "note", "mail"] {
            runs.enqueue_one(NewRun::new(kind, Json::empty_object())).await.unwrap();
        }
        for claimed in runs.claim_next(&worker(), 2).await.unwrap() {
            let hold = claimed.hold();
            let asked = StepReport {
                ordinal: 0,
                name: "ask".to_owned(),
                phase: Phase::Execution,
                kind: StepType::AiAction,
                status: StepStatus::Completed,
                output: None,
                tokens_in: Some(920),
                tokens_out: Some(106),
            };
            runs.record(&hold, vec![asked], vec![]).await.unwrap();
            runs.succeed(&hold, Some(json!(1).into()), None).await.unwrap();
        }
    });
    assert!(figures(&sandbox).is_empty(), "nobody has kept house");
    let first = sandbox.line("runs stats --rebuild").exits(0);
    assert!(first.err.contains("rebuilt the figures") && first.out.contains("mail"), "{first:?}");
    assert!(first.out.contains("tokens, last hour 1840 in, 212 out"), "{first:?}");
    // On Postgres the stream waits for older transactions, which other tests have.
    let began = Instant::now();
    let mut before = figures(&sandbox);
    let executions = |row: &&String| row.starts_with("run_spans") && row.contains("execution");
    while before.iter().filter(executions).count() < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "{before:?}");
        sandbox.line("runs stats --rebuild").exits(0);
        before = figures(&sandbox);
    }
    damage(&sandbox);
    assert_ne!(figures(&sandbox), before);
    sandbox.line("runs stats --rebuild --json").exits(0);
    assert_eq!(figures(&sandbox), before);
}

#[test]
fn on_a_file_damaged_figures_are_made_anew() {
    damaged_figures_are_made_anew(Backing::File);
}

#[test]
fn on_postgres_damaged_figures_are_made_anew_by_the_servers_role() {
    damaged_figures_are_made_anew(Backing::Postgres);
}

#[test]
fn from_afar_none_are() {
    let sandbox = Sandbox::on(Backing::Remote);
    let refused = sandbox.line("runs stats --rebuild").exits(2);
    assert!(refused.error().contains("needs the database itself"), "{refused:?}");
}
