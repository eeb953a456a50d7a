//! `bench`: how fast runs are here, on this disk, against the least the same disk could do. Every measure is one JSON object a
//! line; ratios compare what was measured in turn within one call, so that a machine that speeds up or slows down counts for
//! both sides.

mod against;
mod drain;
mod enqueue;
mod history;
mod http;
mod pickup;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};
use sprongus_core::json::Json;
use sprongus_core::run::NewRun;
use sprongus_core::store::{Batch, Store};
use sprongus_core::values::names::{Kind, WorkspaceId};
use sprongus_core::{Caller, Error, Result, Runs, RunsExt, RunsService};

use crate::app::App;
use crate::connect::scratch::{Scratch, measured};
use crate::connect::{self, Access, Target};
use crate::exit::Exit;
use crate::exit::failure::{Failure, Outcome};

/// What to measure, and how much.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Measures the disk of the folder given with --in, or of the current one, with a file that is removed at the end. With --db postgres://…, databases are created on that server and dropped at the end; the role needs CREATEDB. Acknowledged changes are durable throughout."
)]
pub struct Args {
    /// Only run these benchmarks
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Measure>,
    /// Runs per drain
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    runs: u32,
    /// Pairs of drains, or with --against rounds; the ratio printed is that of the median pair
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    pairs: u32,
    /// Finished runs in the database that `history` compares with one of a thousand runs
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    finished: u32,
    /// Compare with another build of sprongus, in alternating rounds on a file and, with --db, on Postgres: prints ratios, above 1 where
    /// this build is better
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Folder to measure in (default: the current one)
    #[arg(long = "in", value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Wait for runs as the other process of `pickup`, in the database that SPRONGUS_DATABASE_URL names
    #[arg(long, hide = true)]
    pick_up: bool,
    /// Ask a server as the other process of `http`
    #[arg(long, hide = true)]
    load: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Enqueue one at a time, by one caller and by sixteen, and in batches of 1,000
    Enqueue,
    /// Drain no-op runs with full history, against the store's own statements in a plain loop
    Drain,
    /// From an enqueue's answer to the handler's first line, in one process and across two
    Pickup,
    /// Single enqueues over HTTP from another process, against as many callers in this one
    Http,
    /// Claim, enqueue, get, list and drain with a million finished runs, against a thousand; minutes long, so only when named
    History,
}

const BY_DEFAULT: [Measure; 3] = [Measure::Enqueue, Measure::Drain, Measure::Pickup];

pub async fn run(args: Args, app: &App) -> Outcome {
    if args.load {
        app.screen.json(&http::load().await?)?;
        return Ok(Exit::Done);
    }
    if args.pick_up {
        let place = connect::choose(&app.wish(), &app.around, Access::Serving)?;
        let service = measured(&place.target, &app.around).await?;
        pickup::wait_for_runs(&Bench::of(place.target, service)).await?;
        return Ok(Exit::Done);
    }
    if let Some(other) = against::check(&args)? {
        let Some(compared) = against::measure(&args, &other, app).await? else {
            return Ok(Exit::Interrupted);
        };
        app.screen.json_lines(&compared)?;
        return Ok(Exit::Done);
    }
    let named = match &app.globals.db {
        Some(_) => Some(connect::choose(&app.wish(), &app.around, Access::Serving)?.target),
        None => None,
    };
    let scratch = Scratch::make(named.as_ref(), args.folder.as_deref(), &app.around)?;
    let measured = tokio::select! {
        measured = measure(&args, app, &scratch) => measured.map(|()| Exit::Done),
        // Without a handler Ctrl-C would end the process at once, and leave behind what was made.
        () = crate::work::interrupted() => Ok(Exit::Interrupted),
    };
    let cleaned = scratch.clean().await;
    let exit = measured?;
    cleaned?;
    Ok(exit)
}

async fn measure(args: &Args, app: &App, scratch: &Scratch) -> std::result::Result<(), Failure> {
    for caveat in scratch.caveats().await? {
        app.screen.note(caveat);
    }
    let measures = if args.only.is_empty() { BY_DEFAULT.to_vec() } else { args.only.clone() };
    for measure in measures {
        let results = match measure {
            Measure::Enqueue => enqueue::measure(scratch).await?,
            Measure::Drain => drain::measure(scratch, args.runs, args.pairs).await?,
            Measure::Pickup => pickup::measure(scratch).await?,
            Measure::Http => http::measure(scratch).await?,
            Measure::History => history::measure(scratch, args.finished, args.runs, args.pairs).await?,
        };
        app.screen.json_lines(&results)?;
    }
    Ok(())
}

/// A queue to measure.
struct Bench {
    target: Target,
    caller: Caller,
    service: RunsService,
    store: Arc<dyn Store>,
    runs: Arc<dyn Runs>,
}

impl Bench {
    async fn make(scratch: &Scratch, name: &str) -> Result<Self> {
        let target = scratch.database(name).await?;
        let service = scratch.open(&target).await?;
        Ok(Self::of(target, service))
    }

    fn of(target: Target, service: RunsService) -> Self {
        let caller = Caller::new(WorkspaceId::local(), "bench");
        let (store, runs) = (Arc::clone(service.store()), service.for_caller(caller.clone()));
        Self { target, caller, service, store, runs }
    }

    /// Has `callers` enqueue `each` one after another, all at once; how many runs a second that made.
    async fn enqueue_at_once(&self, callers: u32, each: u32) -> Result<f64> {
        let kind = noop()?;
        let began = Instant::now();
        let asking = (0..callers).map(|_| {
            let (runs, kind, input) = (Arc::clone(&self.runs), kind.clone(), input());
            tokio::spawn(async move {
                for _ in 0..each {
                    runs.enqueue_one(NewRun::new(kind.as_str(), input.clone())).await?;
                }
                Result::<(), Error>::Ok(())
            })
        });
        for caller in asking.collect::<Vec<_>>() {
            caller
                .await
                .map_err(|error| Error::internal("a caller stopped unexpectedly").with_source(error))??;
        }
        Ok(rate(callers * each, began.elapsed()))
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
