//! A worker in a Rust program: one kind, typed input, a local database.
//!
//! ```sh
//! cargo run -p sprongus-worker --example word_count -- README.md
//! ```

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sprongus_core::run::NewRun;
use sprongus_core::runs::{Caller, RunsExt as _};
use sprongus_core::service::RunsService;
use sprongus_core::values::names::WorkspaceId;
use sprongus_sqlite::{Options, Sqlite};
use sprongus_worker::{HandlerError, RunContext, Shutdown, Worker, WorkerOptions};

#[derive(Deserialize)]
struct Count {
    path: String,
}

#[derive(Serialize)]
struct Counted {
    lines: usize,
    words: usize,
}

/// The work. It may be started again after a crash, so it should come to the same end each time.
async fn count(ctx: RunContext, input: Count) -> Result<Counted, HandlerError> {
    ctx.log(format!("reading {}", input.path));
    // `?` makes any error a failure that is retried; say `HandlerError::permanent` where a retry is of no use.
    let text = tokio::fs::read_to_string(&input.path).await?;
    let mut counted = Counted { lines: 0, words: 0 };
    let total = text.lines().count().max(1);
    for line in text.lines() {
        if ctx.is_canceled() {
            return Err(HandlerError::retryable("stopped"));
        }
        counted.lines += 1;
        counted.words += line.split_whitespace().count();
        if counted.lines.is_multiple_of(1_000) {
            ctx.progress(u32::try_from(counted.lines * 100 / total)?, None);
            tokio::task::yield_now().await;
        }
    }
    Ok(counted)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "Cargo.toml".to_owned());
    let store = Sqlite::open(Path::new("word_count.db"), Options::default())?;
    let runs = RunsService::new(Arc::new(store)).for_caller(Caller::new(WorkspaceId::local(), "word_count"));

    let run = runs.enqueue_one(NewRun::new("text.count", json!({ "path": path }).into())).await?.run;
    println!("enqueued {}", run.id);

    let shutdown = Shutdown::on_signals()?;
    let worker = Worker::new(Arc::clone(&runs), WorkerOptions::default()).kind("text.count", count);
    let worker = tokio::spawn(worker.run(shutdown.clone()));

    let mut run = runs.get(run.id).await?;
    while !run.state.is_final() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        run = runs.get(run.id).await?;
    }
    println!(
        "{} {}",
        run.state,
        run.result.map_or_else(|| "null".to_owned(), |result| result.as_str().to_owned())
    );
    shutdown.drain();
    worker.await??;
    Ok(())
}
