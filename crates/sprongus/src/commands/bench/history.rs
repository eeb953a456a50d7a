//! History: whether finished runs slow the queue down. The same calls, and drains, on a database with a thousand of them and on one
//! with many, in turn. A file's are really drained; on a server they are written as history with SQL, and vacuumed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::{ClaimRequest, NewRun};
use sprongus_core::values::names::WorkerId;
use sprongus_core::{Result, RunsExt};

use super::drain::{by_loop, by_worker};
use super::{Bench, Scratch, input, median, noop, rate, rounded};
use crate::connect::Target;

const FEW: u32 = 1_000;
const ROUNDS: usize = 300;

pub async fn measure(scratch: &Scratch, finished: u32, runs: u32, pairs: u32) -> Result<Vec<Value>> {
    let few = filled(scratch, "few", FEW).await?;
    let many = filled(scratch, "many", finished).await?;
    let mut results = calls_in_turn(&few, &many, finished).await?;
    results.push(drains(&few, &many, finished, runs, pairs).await?);
    Ok(results)
}

/// The drain of one worker process.
async fn drains(few: &Bench, many: &Bench, finished: u32, runs: u32, pairs: u32) -> Result<Value> {
    let (mut rates, mut ratios) = (Vec::new(), Vec::new());
    // The first one warms caches and plans.
    for pair in 0..=pairs {
        let mut both = [0.0; 2];
        for side in [pair % 2, 1 - pair % 2] {
            let bench = if side == 0 { few } else { many };
            bench.fill(&noop()?, runs).await?;
            both[side as usize] = rate(runs, by_worker(bench, runs).await?);
        }
        if pair > 0 {
            rates.push(both[1]);
            ratios.push(both[1] / both[0]);
        }
    }
    let (least, most) =
        (ratios.iter().copied().fold(f64::NAN, f64::min), ratios.iter().copied().fold(f64::NAN, f64::max));
    Ok(json!({
        "measure": "history.drain", "finished": finished, "runs": runs, "pairs": pairs, "perSecond": median(rates),
        "rateToThousand": rounded(median(ratios)), "least": rounded(least), "most": rounded(most),
    }))
}

async fn calls_in_turn(few: &Bench, many: &Bench, finished: u32) -> Result<Vec<Value>> {
    let mut times: [[Vec<f64>; 4]; 2] = Default::default();
    for _ in 0..ROUNDS {
        for (bench, times) in [few, many].into_iter().zip(&mut times) {
            for (taken, times) in calls(bench).await?.into_iter().zip(times) {
                times.push(taken.as_secs_f64() * 1e6);
            }
        }
    }
    let [few, many] = times;
    let named = ["enqueue", "claim", "get", "list"].into_iter().zip(few.into_iter().zip(many));
    Ok(named
        .map(|(call, (few, many))| {
            let (few, many) = (median(few), median(many));
            json!({
                "measure": format!("history.{call}"), "finished": finished, "p50Micros": many.round(),
                "ratioToThousand": rounded(many / few),
            })
        })
        .collect())
}

async fn filled(scratch: &Scratch, name: &str, finished: u32) -> Result<Bench> {
    let bench = Bench::make(scratch, name).await?;
    if let Target::Postgres(url) = &bench.target {
        sprongus_postgres::scratch::add_finished(url, noop()?.as_str(), input().as_str(), finished).await?;
        return Ok(bench);
    }
    let mut left = finished;
    while left > 0 {
        let batch = left.min(20_000);
        bench.fill(&noop()?, batch).await?;
        by_loop(&bench, batch).await?;
        left -= batch;
    }
    Ok(bench)
}

async fn calls(bench: &Bench) -> Result<[Duration; 4]> {
    let kind = noop()?;
    let began = Instant::now();
    let made = bench.runs.enqueue_one(NewRun::new(kind.as_str(), input())).await?;
    let enqueued = began.elapsed();

    let worker = WorkerId::fresh("bench");
    let request = ClaimRequest { kinds: Some(vec![kind]), ..ClaimRequest::new(worker, 1) };
    let began = Instant::now();
    let claimed = bench.runs.claim(request).await?;
    let taken = began.elapsed();

    let began = Instant::now();
    bench.runs.get(made.run.id).await?;
    let got = began.elapsed();

    let filter = ListFilter { states: vec![State::Succeeded], ..ListFilter::default() };
    let began = Instant::now();
    bench.runs.list(&filter).await?;
    let listed = began.elapsed();

    for claimed in claimed {
        bench.runs.succeed(&claimed.hold(), None, None).await?;
    }
    Ok([enqueued, taken, got, listed])
}
