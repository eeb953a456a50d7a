//! What the worker itself adds to a run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sprongus_core::names::{WorkerId, WorkspaceId};
use sprongus_core::run::{ClaimRequest, NewRun, Outcome, Report};
use sprongus_core::runs::{Caller, Runs};
use sprongus_core::service::RunsService;
use sprongus_core::store::Batch;
use sprongus_sqlite::{Options, Sqlite};
use sprongus_worker::{RunContext, Shutdown, Worker, WorkerOptions};

const RUNS: usize = 100_000;

async fn fill(runs: &dyn Runs) {
    for _ in 0..RUNS / 1_000 {
        let batch = (0..1_000).map(|_| NewRun::new("noop", json!({}).into())).collect();
        runs.enqueue(batch, Batch::EachAlone).await.unwrap();
    }
}

async fn plain_loop(runs: &dyn Runs) -> Duration {
    let (worker, started) = (WorkerId::fresh("plain"), Instant::now());
    loop {
        let claimed = runs.claim(ClaimRequest::new(worker.clone(), 500)).await.unwrap();
        if claimed.is_empty() {
            return started.elapsed();
        }
        let report = |one: &sprongus_core::run::Claimed| Report {
            id: one.run.id,
            epoch: one.lease.epoch,
            outcome: Outcome::Succeed { result: None, output_ref: None },
        };
        runs.finish(&worker, claimed.iter().map(report).collect()).await.unwrap();
    }
}

/// Not among the others: a debug build measures nothing, and the machine should be idle.
/// `cargo test --release -p sprongus-worker --test worker -- --ignored --nocapture drains`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn drains_at_half_the_speed_of_the_plain_statements_or_more() {
    let folder = tempfile::tempdir_in(std::env::var("SPRONGUS_BENCH_DIR").unwrap_or("/tmp".into())).unwrap();
    for round in 0..3 {
        let store = Sqlite::open(&folder.path().join(format!("{round}.db")), Options::default()).unwrap();
        let runs = RunsService::new(Arc::new(store)).for_caller(Caller::new(WorkspaceId::local(), "test"));
        fill(runs.as_ref()).await;
        let plain = plain_loop(runs.as_ref()).await;
        for concurrency in [2, 16, 500] {
            fill(runs.as_ref()).await;
            let options = WorkerOptions { concurrency, ..WorkerOptions::default() };
            let shutdown = Shutdown::new();
            let (count, last) = (Arc::new(std::sync::atomic::AtomicUsize::new(0)), shutdown.clone());
            let worker = Worker::new(Arc::clone(&runs), options).kind(
                "noop",
                move |_: RunContext, _: serde_json::Value| {
                    if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == RUNS {
                        last.drain();
                    }
                    async move { Ok(()) }
                },
            );
            let started = Instant::now();
            let summary = worker.run(shutdown).await.unwrap();
            let took = started.elapsed();
            assert_eq!(summary.succeeded as usize, RUNS);
            let rate = |took: Duration| RUNS as f64 / took.as_secs_f64();
            println!(
                "concurrency {concurrency}: plain {:.0}/s, worker {:.0}/s, {:.0} %",
                rate(plain),
                rate(took),
                100.0 * plain.as_secs_f64() / took.as_secs_f64(),
            );
        }
    }
}
