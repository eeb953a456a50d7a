//! This program beside another build of it: the same benchmarks in alternating rounds, as ratios with their spread.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sprongus_core::{Error, ErrorCode, Result};

use super::{Args, Measure, median, quantile, rounded};
use crate::app::App;
use crate::env::address::Address;
use crate::work::interrupted;

/// The figures that are compared, and whether more of it is better.
const FIGURES: [(&str, bool); 3] = [("perSecond", true), ("p50Ms", false), ("p99Ms", false)];

/// A store, a measure and a figure of it.
type Key = (&'static str, String, &'static str);

/// What one round of a program measured: a measure and a figure of it.
type Round = BTreeMap<(String, &'static str), f64>;

/// What one figure was in each round.
#[derive(Default)]
struct Figure {
    ours: Vec<f64>,
    theirs: Vec<f64>,
    /// Above 1 where this program is better.
    ratios: Vec<f64>,
}

/// A file, and the server that is named.
fn stores(app: &App) -> Vec<(&'static str, Option<&str>)> {
    let named = app.globals.db.as_ref().map(|Address(url)| ("postgres", Some(url.as_str())));
    [("sqlite", None)].into_iter().chain(named).collect()
}

/// Ratios of this program to the one at `other`, on a file and, where one is named, on a Postgres server; none when it was interrupted.
pub async fn measure(args: &Args, other: &Path, app: &App) -> Result<Option<Vec<Value>>> {
    let own = std::env::current_exe()
        .map_err(|error| Error::internal("cannot find this program").with_source(error))?;
    let mut figures: BTreeMap<Key, Figure> = BTreeMap::new();
    for round in 0..args.pairs {
        for (store, database) in stores(app) {
            // In turn first, so that neither always meets the machine that the other has warmed up.
            let (first, second) =
                if round % 2 == 0 { (own.as_path(), other) } else { (other, own.as_path()) };
            let Some(first) = figures_of(first, args, database).await? else { return Ok(None) };
            let Some(second) = figures_of(second, args, database).await? else { return Ok(None) };
            let (ours, theirs) = if round % 2 == 0 { (first, second) } else { (second, first) };
            for ((measure, name), ours) in ours {
                let Some(theirs) = theirs.get(&(measure.clone(), name)) else { continue };
                let figure = figures.entry((store, measure, name)).or_default();
                figure.ours.push(ours);
                figure.theirs.push(*theirs);
                figure.ratios.push(if is_rate(name) { ours / theirs } else { theirs / ours });
            }
        }
    }
    Ok(Some(figures.into_iter().map(|(key, figure)| line(key, figure)).collect()))
}

fn is_rate(name: &str) -> bool {
    FIGURES.iter().any(|(figure, more_is_better)| *figure == name && *more_is_better)
}

fn line((store, measure, name): Key, figure: Figure) -> Value {
    let Figure { ours, theirs, mut ratios } = figure;
    let rounds = ratios.len();
    let (lowest, highest) = (quantile(&mut ratios, 0.0), quantile(&mut ratios, 1.0));
    json!({
        "store": store, "measure": measure, "figure": name, "ours": rounded(median(ours)), "theirs": rounded(median(theirs)),
        "ratio": rounded(median(ratios)), "lowest": rounded(lowest), "highest": rounded(highest), "rounds": rounds,
    })
}

/// One round of a program, in a process of its own; none when this one was interrupted.
async fn figures_of(program: &Path, args: &Args, database: Option<&str>) -> Result<Option<Round>> {
    let failed = |text: String| {
        Error::new(ErrorCode::Validation, format!("{} bench failed: {text}", program.display()))
            .with_hint("name another build of sprongus with --against")
    };
    let mut command = tokio::process::Command::new(program);
    command.args(["bench", "--pairs", "1", "--runs", &args.runs.to_string()]);
    for measure in &args.only {
        let name = measure.to_possible_value().map(|value| value.get_name().to_owned());
        command.arg("--only").arg(name.unwrap_or_default());
    }
    // What is common to all builds: a folder is given for a file alone.
    match (database, &args.folder) {
        (Some(database), _) => {
            command.args(["--db", database]);
        }
        (None, Some(folder)) => {
            command.arg("--in").arg(folder);
        }
        (None, None) => {}
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let id = child.id();
    let ended = child.wait_with_output();
    tokio::pin!(ended);
    let output = tokio::select! {
        output = &mut ended => output,
        // It removes what it has made, and is waited for.
        () = interrupted() => {
            interrupt(id);
            let _ = ended.await;
            return Ok(None);
        }
    };
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(failed(told.lines().last().unwrap_or("it said nothing").to_owned()));
    }
    let mut figures = Round::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let read: Value = serde_json::from_str(line).map_err(|error| failed(error.to_string()))?;
        let measure = read["measure"].as_str().unwrap_or_default();
        for (name, _) in FIGURES {
            if let Some(value) = read[name].as_f64() {
                figures.insert((measure.to_owned(), name), value);
            }
        }
    }
    Ok(Some(figures))
}

/// Ctrl-C for another process; at a terminal it has had it already.
fn interrupt(id: Option<u32>) {
    let id = id.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended by itself.
        let _ = kill_process(id, Signal::INT);
    }
}

/// What may be compared: all but `history`, which takes minutes a round.
pub fn check(args: &Args) -> Result<Option<PathBuf>> {
    let Some(other) = &args.against else { return Ok(None) };
    if args.only.contains(&Measure::History) {
        return Err(Error::validation("--against does not compare history"));
    }
    Ok(Some(other.clone()))
}
