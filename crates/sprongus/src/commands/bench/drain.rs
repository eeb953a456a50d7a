//! Drain: one worker process executes no-op runs, claimed, started, ended and told of in full; against the store's own claim and
//! finish called in a plain loop on the same file.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::{ClaimRequest, Outcome};
use sprongus_core::store::DrawnReport;
use sprongus_core::values::names::WorkerId;
use sprongus_core::{Error, Result};
use sprongus_worker::{RunContext, Shutdown, Worker, WorkerOptions};

use super::{Bench, Scratch, median, noop, rate, rounded};

/// As many a claim and a finish, in the plain loop and in the worker alike.
const BATCH: u32 = 500;

pub async fn measure(scratch: &Scratch, count: u32, pairs: u32) -> Result<Vec<Value>> {
    let bench = Bench::make(scratch, "drain").await?;
    let (mut plain, mut worked, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // In turn first, so that neither side always meets the smaller file.
        let plain_first = pair % 2 == 0;
        let first = drain(&bench, count, plain_first).await?;
        let second = drain(&bench, count, !plain_first).await?;
        let (loop_rate, worker_rate) = if plain_first { (first, second) } else { (second, first) };
        ratios.push(worker_rate / loop_rate);
        plain.push(loop_rate);
        worked.push(worker_rate);
    }
    Ok(vec![
        json!({"measure": "drain.plain", "perSecond": median(plain), "batch": BATCH, "runs": count}),
        json!({
            "measure": "drain.worker", "perSecond": median(worked), "runs": count, "pairs": pairs,
            "ratioToPlain": rounded(median(ratios)),
        }),
    ])
}

async fn drain(bench: &Bench, count: u32, plain: bool) -> Result<f64> {
    bench.fill(&noop()?, count).await?;
    let taken = if plain { by_loop(bench, count).await? } else { by_worker(bench, count).await? };
    Ok(rate(count, taken))
}

/// Claims and ends every due run; nothing between the two.
pub(super) async fn by_loop(bench: &Bench, count: u32) -> Result<Duration> {
    let worker = WorkerId::fresh("bench");
    let request = ClaimRequest { kinds: Some(vec![noop()?]), ..ClaimRequest::new(worker.clone(), BATCH) };
    let mut left = count;
    let began = Instant::now();
    while left > 0 {
        let claimed = bench.store.claim(&bench.caller, &request, &LeaseToken::generate()?).await?.claimed;
        if claimed.is_empty() {
            return Err(Error::internal("runs are missing from the queue"));
        }
        let outcome = Outcome::Succeed { result: None, output_ref: None };
        let reports = claimed
            .iter()
            .map(|claimed| DrawnReport { report: claimed.hold().report(outcome.clone()), draw: 0.5 });
        let reports = reports.collect();
        for ended in bench.store.finish(&bench.caller, &worker, reports).await? {
            ended?;
        }
        left = left.saturating_sub(u32::try_from(claimed.len()).unwrap_or(left));
    }
    Ok(began.elapsed())
}

pub(super) async fn by_worker(bench: &Bench, count: u32) -> Result<Duration> {
    let shutdown = Shutdown::new();
    let begun = Arc::new(AtomicU32::new(0));
    let (seen, stop) = (Arc::clone(&begun), shutdown.clone());
    let options = WorkerOptions { concurrency: 2 * BATCH, ..WorkerOptions::default() };
    let worker = Worker::new(Arc::clone(&bench.runs), options).kind(
        noop()?.as_str(),
        move |_: RunContext, _: IgnoredAny| {
            // The last one to begin says that nothing more is to be claimed; what has begun is ended before `run` returns.
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == count {
                stop.drain();
            }
            async { Ok(()) }
        },
    );
    let began = Instant::now();
    let summary = worker.run(shutdown).await?;
    let taken = began.elapsed();
    if summary.succeeded != u64::from(count) {
        return Err(Error::internal(format!("{} of {count} runs succeeded", summary.succeeded)));
    }
    Ok(taken)
}
