//! Pairs: the drain of one worker process, by `sprongus bench`, against the plain loops of cuts, in turn on one server. Each has a database
//! of its own that drained as many runs before. The cuts' are vacuumed and analysed first, without which `wide` takes a bad plan; the
//! worker's is as its enqueues left it.

use std::path::Path;
use std::process::{Command, Stdio};

use sprongus_throwaway::Server;

use crate::design::Cut;
use crate::lives::Result;
use crate::measure::drain_once;

/// The two drains of one `sprongus bench`: what the store does in a loop, and the worker.
struct Program {
    by_loop: f64,
    by_worker: f64,
}

/// Measures, and prints each ratio of the worker's drain with its median.
pub async fn measure(server: &Server, program: &Path, cuts: &[Cut], runs: usize, pairs: usize) -> Result<()> {
    let mut ratios = vec![Vec::new(); cuts.len()];
    let mut to_loop = Vec::new();
    for pair in 1..=pairs {
        let (of_program, of_cuts) = if pair % 2 == 0 {
            let of_program = drains_of(server, program, runs)?;
            (of_program, drains(server, cuts, runs).await?)
        } else {
            let of_cuts = drains(server, cuts, runs).await?;
            (drains_of(server, program, runs)?, of_cuts)
        };
        let Program { by_loop, by_worker } = of_program;
        let mut line = format!("pair {pair}: worker {by_worker:.0}, store's loop {by_loop:.0}");
        for ((cut, rate), ratios) in cuts.iter().zip(of_cuts).zip(&mut ratios) {
            line += &format!(", {} {rate:.0} (worker {:.2})", cut.name, by_worker / rate);
            ratios.push(by_worker / rate);
        }
        to_loop.push(by_worker / by_loop);
        eprintln!("{line}");
    }
    let rows = cuts.iter().map(|cut| cut.name).zip(ratios);
    println!(
        "| drain of {runs} by a worker, of | median of {pairs} | least | most |\n| --- | --- | --- | --- |"
    );
    for (name, mut ratios) in [("the store's own loop", to_loop)].into_iter().chain(rows) {
        ratios.sort_by(f64::total_cmp);
        let at = |place: usize| ratios.get(place).copied().unwrap_or(f64::NAN);
        println!("| {name} | {:.2} | {:.2} | {:.2} |", at(pairs / 2), at(0), at(pairs - 1));
    }
    Ok(())
}

async fn drains(server: &Server, cuts: &[Cut], runs: usize) -> Result<Vec<f64>> {
    let mut rates = Vec::new();
    for cut in cuts {
        rates.push(drain_once(server, cut, runs).await?);
    }
    Ok(rates)
}

/// As the role that owns its databases and is held to row security all the same.
fn drains_of(server: &Server, program: &Path, runs: usize) -> Result<Program> {
    let mut command = Command::new(program);
    command
        .args(["bench", "--only", "drain", "--pairs", "1", "--runs", &runs.to_string(), "--db"])
        .arg(server.url("postgres", "sprongus_owner"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let answer = command.output()?;
    let text = String::from_utf8(answer.stdout)?;
    let lines: Vec<serde_json::Value> =
        text.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
    let rate = |measure: &str| {
        let line = lines.iter().find(|line| line["measure"] == measure);
        line.and_then(|line| line["perSecond"].as_f64())
            .ok_or(format!("no {measure} in what it printed: {text}"))
    };
    Ok(Program { by_loop: rate("drain.plain")?, by_worker: rate("drain.worker")? })
}
