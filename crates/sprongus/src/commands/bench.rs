//! `bench`: how fast runs are here, on this disk, against the least the same disk could do. Every measure is one JSON object a
//! line; ratios compare what was measured in turn within one call, so that a machine that speeds up or slows down counts for
//! both sides.

mod drain;
mod enqueue;
mod history;
mod pickup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::names::{Kind, WorkspaceId};
use sprongus_core::run::NewRun;
use sprongus_core::store::{Batch, Store};
use sprongus_core::{Caller, Error, ErrorCode, Result, Runs, RunsService};

use crate::app::App;
use crate::connect;
use crate::exit::Exit;
use crate::failure::Outcome;

/// What to measure, and how much.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The file is made in the folder `--in` names, or in this one, and removed at the end: what is measured is \
                  that folder's disk. synchronous=FULL throughout."
)]
pub struct Args {
    /// Measure only these
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measure>,
    /// Runs in one drain
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    runs: u32,
    /// Pairs of drains; the ratio told is the median's
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pairs: u32,
    /// Finished runs in the file that `history` compares with one of a thousand
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    finished: u32,
    /// The folder to measure in
    #[arg(long = "in", value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Wait for runs in this file as the other process of `pickup`
    #[arg(long, hide = true, value_name = "FILE")]
    pick_up_from: Option<PathBuf>,
}

/// One measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Enqueue one at a time, by one caller and by sixteen, and in batches of 1,000
    Enqueue,
    /// Drain no-op runs with full history, against the store's own statements in a plain loop
    Drain,
    /// From an enqueue's answer to the handler's first line, in one process and across two
    Pickup,
    /// Claim, enqueue, get and list with a million finished runs, against a thousand; minutes long, so only when named
    History,
}

const BY_DEFAULT: [Measure; 3] = [Measure::Enqueue, Measure::Drain, Measure::Pickup];

/// Measures.
pub async fn run(args: Args, app: &App) -> Outcome {
    if let Some(file) = &args.pick_up_from {
        pickup::wait_for_runs(&Bench::open(file)?).await?;
        return Ok(Exit::Done);
    }
    let measures = if args.only.is_empty() { BY_DEFAULT.to_vec() } else { args.only.clone() };
    let folder = Scratch::make(args.folder.as_deref().unwrap_or(&app.around.folder))?;
    for measure in measures {
        let told = match measure {
            Measure::Enqueue => enqueue::measure(&folder).await?,
            Measure::Drain => drain::measure(&folder, args.runs, args.pairs).await?,
            Measure::Pickup => pickup::measure(&folder).await?,
            Measure::History => history::measure(&folder, args.finished).await?,
        };
        app.screen.json_lines(&told)?;
    }
    Ok(Exit::Done)
}

/// A folder for the files of a benchmark; gone with them when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn make(within: &std::path::Path) -> Result<Self> {
        let folder = within.join(format!(".sprongus-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| {
            let message = format!("cannot make a folder in {}: {}", within.display(), error.kind());
            Error::new(ErrorCode::Unavailable, message).with_source(error)
        })?;
        Ok(Self(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is told by its name; the measures were printed.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A queue to measure.
struct Bench {
    file: PathBuf,
    caller: Caller,
    store: Arc<dyn Store>,
    runs: Arc<dyn Runs>,
}

impl Bench {
    fn open(file: &std::path::Path) -> Result<Self> {
        let service: RunsService = connect::scratch(file)?;
        let caller = Caller::new(WorkspaceId::local(), "bench");
        let (store, runs) = (Arc::clone(service.store()), service.for_caller(caller.clone()));
        Ok(Self { file: file.to_owned(), caller, store, runs })
    }

    /// Makes `count` runs in batches.
    async fn fill(&self, kind: &Kind, count: u32) -> Result<()> {
        let input = input();
        let mut left = count as usize;
        while left > 0 {
            let batch = left.min(1_000);
            let runs = (0..batch).map(|_| NewRun::new(kind.as_str(), input.clone())).collect();
            for made in self.runs.enqueue(runs, Batch::EachAlone).await? {
                made?;
            }
            left -= batch;
        }
        Ok(())
    }
}

/// An input of about 100 bytes, as the rivals were measured with.
fn input() -> Json {
    Json::from_value(json!({"path": "scripts/night-shift.fountain", "note": "x".repeat(56)}))
}

fn noop() -> Result<Kind> {
    "bench.noop".parse()
}

/// How many a second, to a whole number.
fn rate(count: u32, taken: Duration) -> f64 {
    (f64::from(count) / taken.as_secs_f64().max(1e-9)).round()
}

/// The nearest-rank quantile.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

fn rounded(value: f64) -> Value {
    json!((value * 1_000.0).round() / 1_000.0)
}
