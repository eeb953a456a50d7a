//! Pick-up: from the answer of an enqueue to the first line of its handler, on an idle queue. Across processes both read the
//! clock that counts since boot, which they share.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sprongus_core::run::NewRun;
use sprongus_core::run::follow::ReadSoFar;
use sprongus_core::run::state::State;
use sprongus_core::{Error, Result, RunsExt};
use sprongus_worker::{RunContext, Shutdown, Worker, WorkerOptions};

use crate::connect::Target;

use super::{Bench, Scratch, input, noop, quantile, rounded};

const SAMPLES: usize = 200;

/// Long enough for a run to be picked up: nobody asks after it before, for a question takes part in what is measured.
const UNASKED: Duration = Duration::from_millis(5);

/// Long enough for the queue to fall idle again.
const APART: Duration = Duration::from_millis(15);

pub async fn measure(scratch: &Scratch) -> Result<Vec<Value>> {
    let here = Bench::make(scratch, "pickup-here").await?;
    let shutdown = Shutdown::new();
    let working = tokio::spawn(worker(&here)?.run(shutdown.clone()));
    let mut in_process = samples(&here).await?;
    shutdown.drain();
    working
        .await
        .map_err(|error| Error::internal("the worker stopped unexpectedly").with_source(error))??;

    let there = Bench::make(scratch, "pickup-there").await?;
    let other = std::env::current_exe().and_then(|program| {
        let mut command = tokio::process::Command::new(program);
        // A variable, because a URL on the command line can be read by everybody on the machine.
        let database = match &there.target {
            Target::File(path) => path.clone().into_os_string(),
            Target::Postgres(url) | Target::Server(url) => url.into(),
        };
        command
            .args(["bench", "--pick-up"])
            .env("SPRONGUS_DATABASE_URL", database)
            .env_remove("SPRONGUS_API_URL")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
    });
    let mut other =
        other.map_err(|error| Error::internal("cannot start the other process").with_source(error))?;
    let mut across = samples(&there).await?;
    // It holds nothing that matters: its file goes with the folder.
    let _ = other.kill().await;
    let result = |measure: &str, samples: &mut [f64]| {
        let (p50, p99) = (rounded(quantile(samples, 0.5)), rounded(quantile(samples, 0.99)));
        json!({"measure": measure, "p50Ms": p50, "p99Ms": p99, "samples": samples.len()})
    };
    Ok(vec![result("pickup.process", &mut in_process), result("pickup.across", &mut across)])
}

/// What the other process does until it is killed.
pub async fn wait_for_runs(bench: &Bench) -> Result<()> {
    worker(bench)?.run(Shutdown::new()).await.map(|_| ())
}

fn worker(bench: &Bench) -> Result<Worker> {
    let kind = noop()?;
    let worker = Worker::new(Arc::clone(&bench.runs), WorkerOptions::default());
    Ok(worker.kind(kind.as_str(), |_: RunContext, _: IgnoredAny| {
        let begun = since_boot();
        async move { Ok(begun) }
    }))
}

/// Milliseconds from answer to handler; the first few, when the worker may still be starting, are left out.
async fn samples(bench: &Bench) -> Result<Vec<f64>> {
    let mut samples = Vec::with_capacity(SAMPLES);
    for sample in 0..SAMPLES + 5 {
        tokio::time::sleep(APART).await;
        let made = bench.runs.enqueue_one(NewRun::new(noop()?.as_str(), input())).await?;
        let answered = since_boot();
        tokio::time::sleep(UNASKED).await;
        let mut read = ReadSoFar::default();
        let ended = loop {
            let news = bench.runs.follow(made.run.id, read, Duration::from_secs(10)).await?;
            if news.run.state.is_final() {
                break news.run;
            }
            read = news.read;
        };
        let begun = ended.result.filter(|_| ended.state == State::Succeeded).map(|result| result.to_value());
        let begun = begun.and_then(|value| value.as_u64());
        let begun = begun.ok_or_else(|| Error::internal("a run was not picked up"))?;
        if sample >= 5 {
            // A worker that was quicker than the answer's way back took no time.
            samples.push(begun.saturating_sub(answered) as f64 / 1e6);
        }
    }
    Ok(samples)
}

/// Nanoseconds.
fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}
