//! Enqueue: one alone against a bare commit of one row, sixteen at once against one alone, and batches.

use std::time::Instant;

use serde_json::{Value, json};
use sprongus_core::run::NewRun;
use sprongus_core::{Result, RunsExt};

use super::{Bench, Scratch, input, median, noop, rate, rounded};
use crate::connect::scratch::bare_commits;

const ALONE: u32 = 1_000;
const CALLERS: u32 = 16;
const EACH: u32 = 400;
const BULK: u32 = 50_000;
const ROUNDS: usize = 5;

pub async fn measure(scratch: &Scratch) -> Result<Vec<Value>> {
    let bench = Bench::make(scratch, "enqueue").await?;
    let (mut bare, mut alone, mut together) = (Vec::new(), Vec::new(), Vec::new());
    let (mut to_bare, mut to_alone) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let one_row = rate(ALONE, bare_commits(&bench.target, ALONE).await?);
        let one = one_alone(&bench).await?;
        let many = bench.enqueue_at_once(CALLERS, EACH).await?;
        to_bare.push(one / one_row);
        to_alone.push(many / one);
        bare.push(one_row);
        alone.push(one);
        together.push(many);
    }
    let began = Instant::now();
    bench.fill(&noop()?, BULK).await?;
    let bulk = rate(BULK, began.elapsed());
    Ok(vec![
        json!({"measure": "commit.bare", "perSecond": median(bare)}),
        json!({"measure": "enqueue.one", "perSecond": median(alone), "ratioToBareCommit": rounded(median(to_bare))}),
        json!({
            "measure": "enqueue.sixteen", "perSecond": median(together), "ratioToOne": rounded(median(to_alone)),
        }),
        json!({"measure": "enqueue.bulk", "perSecond": bulk, "batch": 1_000}),
    ])
}

async fn one_alone(bench: &Bench) -> Result<f64> {
    let (kind, input) = (noop()?, input());
    let began = Instant::now();
    for _ in 0..ALONE {
        bench.runs.enqueue_one(NewRun::new(kind.as_str(), input.clone())).await?;
    }
    Ok(rate(ALONE, began.elapsed()))
}
