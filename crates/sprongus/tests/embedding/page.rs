use std::path::Path;
use std::sync::Arc;

use sprongus::core::values::names::WorkspaceId;
use sprongus::sqlite::{Options, Sqlite};
use sprongus::{Caller, Runs, RunsExt as _, RunsService};

fn open(path: &Path) -> sprongus::Result<Arc<dyn Runs>> {
    // Creates the file and migrates it to this library's schema, unless the options say otherwise.
    let store = Sqlite::open(path, Options::default())?;
    Ok(RunsService::new(Arc::new(store)).for_caller(Caller::new(WorkspaceId::local(), "my-program")))
}

use serde_json::json;
use sprongus::core::run::view::RunView;
use sprongus::core::run::{Enqueue, NewRun};

async fn ask(runs: &dyn Runs, path: &str) -> sprongus::Result<RunView> {
    let request = NewRun {
        idempotency_key: Some(format!("count-{path}")),
        priority: Some(10),
        ..NewRun::new("text.count", json!({ "path": path }).into())
    };
    let made = runs.enqueue_one(request).await?;
    if made.outcome == Enqueue::Existing {
        println!("already enqueued: {}", made.run.id);
    }
    Ok(made.run)
}

use serde::{Deserialize, Serialize};
use sprongus::worker::{HandlerError, RunContext};

#[derive(Deserialize)]
struct Count {
    path: String,
}

#[derive(Serialize)]
struct Counted {
    words: usize,
}

async fn count(ctx: RunContext, input: Count) -> Result<Counted, HandlerError> {
    ctx.log(format!("reading {}", input.path));
    // An error by `?` is retried; for this one, a retry cannot help.
    if input.path.is_empty() {
        return Err(HandlerError::permanent("there is no path"));
    }
    let text = std::fs::read_to_string(&input.path)?;
    ctx.progress(50, Some("read".to_owned()));
    // Long work checks whether it was canceled.
    if ctx.is_canceled() {
        return Err(HandlerError::retryable("stopped"));
    }
    Ok(Counted { words: text.split_whitespace().count() })
}

use std::time::Duration;

use sprongus::core::values::ids::RunId;
use sprongus::worker::{Shutdown, Worker, WorkerOptions};

type Failure = Box<dyn std::error::Error>;

async fn until_done(runs: Arc<dyn Runs>, id: RunId) -> Result<String, Failure> {
    let shutdown = Shutdown::new();
    let worker = Worker::new(Arc::clone(&runs), WorkerOptions::default()).kind("text.count", count);
    let working = tokio::spawn(worker.run(shutdown.clone()));
    let mut run = runs.get(id).await?;
    while !run.state.is_final() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        run = runs.get(id).await?;
    }
    shutdown.drain();
    working.await??;
    Ok(run.result.map(|result| result.as_str().to_owned()).unwrap_or_default())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = std::env::temp_dir().join(format!("embedding-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let text = folder.join("text");
    std::fs::write(&text, "durable background runs")?;
    let runs = open(&folder.join("runs.db"))?;
    let run = ask(&*runs, &text.display().to_string()).await?;
    assert_eq!(ask(&*runs, &text.display().to_string()).await?.id, run.id);
    assert_eq!(until_done(runs, run.id).await?, r#"{"words":3}"#);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
