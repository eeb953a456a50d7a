//! How fast each way to cut the Postgres schema is: plain SQL in a plain loop, on complete tables.
//!
//! `cargo bench -p sprongus-postgres --bench cuts -- [--rounds 3] [--lives 40000] [name …]` measures the cuts whose names hold one
//! of the words (all without a word), round after round through all of them. `docs/decisions/0010-how-postgres-is-cut.md` has
//! what came of it. What is measured stands in `cuts/*.sql`; the store's own statements are none of this program's business.
//!
//! `… --bench cuts -- --against target/release/sprongus [--pairs 5] [--runs 100000] [name …]` compares the drain of that program's
//! worker to the plain loops of the cuts on one connection, in turn (`cuts/pairs.rs`).

#[path = "cuts/design.rs"]
mod design;
#[path = "cuts/lives.rs"]
mod lives;
#[path = "cuts/measure.rs"]
mod measure;
#[path = "cuts/pairs.rs"]
mod pairs;
#[path = "cuts/table.rs"]
mod table;

use std::path::PathBuf;

use design::CUTS;
use lives::Result;
use measure::measure;
use sprongus_throwaway::{Durability, Server, Settings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).collect::<Vec<_>>();
    // `cargo bench` says so; `cargo test --all-targets` starts this program too and must not wait for it.
    if !args.iter().any(|arg| arg == "--bench") {
        return Ok(());
    }
    args.retain(|arg| arg != "--bench");
    let (mut rounds, mut lives, mut words) = (3, 40_000, Vec::new());
    let (mut program, mut pairs, mut runs) = (None, 5, 100_000);
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--rounds" => rounds = args.next().unwrap_or_default().parse()?,
            "--lives" => lives = args.next().unwrap_or_default().parse()?,
            "--against" => program = args.next().map(PathBuf::from),
            "--pairs" => pairs = args.next().unwrap_or_default().parse()?,
            "--runs" => runs = args.next().unwrap_or_default().parse()?,
            _ => words.push(arg),
        }
    }
    let is_asked = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let cuts: Vec<_> = CUTS.into_iter().filter(|cut| is_asked(cut.name)).collect();
    // Checkpoints come when they are asked for, and segments of the log are used again instead of made anew.
    let server = Server::start(Settings {
        durability: Durability::Full,
        options: [("shared_buffers", "1GB"), ("min_wal_size", "2GB"), ("max_wal_size", "8GB")]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        ..Settings::default()
    })?;
    if let Some(program) = program {
        return pairs::measure(&server, &program, &cuts, runs, pairs).await;
    }
    let mut all = Vec::new();
    for round in 1..=rounds {
        let mut figures = Vec::new();
        for cut in &cuts {
            let both = measure(&server, cut, lives).await?;
            for (connections, rates) in (1..).zip(&both) {
                eprintln!(
                    "round {round} {:24} {connections}: enqueue {:.0} claim {:.0} finish {:.0} drain {:.0} life {:.0} \
                     HOT {:.2} WAL {:.0} swept {:.2} scans {:.0}",
                    cut.name,
                    rates.enqueue,
                    rates.claim,
                    rates.finish,
                    rates.drain,
                    rates.life,
                    rates.hot,
                    rates.wal,
                    rates.swept,
                    rates.scans
                );
            }
            figures.push(both);
        }
        all.push(figures);
    }
    for (connections, title) in [(0, "One connection"), (1, "Two connections")] {
        println!("{title}:\n\n{}", table::render(&cuts, &all, connections));
    }
    Ok(())
}
