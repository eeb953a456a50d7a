//! `runs`: one file a command.

mod approve;
mod artifacts;
mod cancel;
pub mod enqueue;
mod events;
mod list;
mod logs;
mod prune;
mod reject;
mod retry;
pub mod select;
mod stats;
mod status;
mod steps;
mod tail;

use crate::app::App;
use crate::exit::failure::Outcome;

/// What to do with runs.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Enqueue a run
    Enqueue(Box<enqueue::Args>),
    /// Show a run: its steps, last error and what it is waiting for
    Status(status::Args),
    /// List runs, newest first
    List(list::Args),
    /// Cancel runs; running processes are stopped
    Cancel(cancel::Args),
    /// Retry failed or canceled runs, with all their attempts again
    Retry(retry::Args),
    /// List a run's steps
    Steps(steps::Args),
    /// Follow a run until it ends
    Tail(tail::Args),
    /// Show a run's events
    Events(events::Args),
    /// Show a run's logs
    Logs(logs::Args),
    /// List or download a run's artifacts
    Artifacts(artifacts::Args),
    /// Approve the gate a run is waiting at
    Approve(approve::Args),
    /// Reject the gate a run is waiting at; the run fails for good
    Reject(reject::Args),
    /// Show queue depth, oldest due run, rates and latencies
    Stats(stats::Args),
    /// Delete ended runs that are past their retention period
    Prune(prune::Args),
}

pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::Enqueue(args) => enqueue::run(*args, app).await,
        Command::Status(args) => status::run(args, app).await,
        Command::List(args) => list::run(args, app).await,
        Command::Cancel(args) => cancel::run(args, app).await,
        Command::Retry(args) => retry::run(args, app).await,
        Command::Steps(args) => steps::run(args, app).await,
        Command::Tail(args) => tail::run(args, app).await,
        Command::Events(args) => events::run(args, app).await,
        Command::Logs(args) => logs::run(args, app).await,
        Command::Artifacts(args) => artifacts::run(args, app).await,
        Command::Approve(args) => approve::run(args, app).await,
        Command::Reject(args) => reject::run(args, app).await,
        Command::Stats(args) => stats::run(args, app).await,
        Command::Prune(args) => prune::run(args, app).await,
    }
}
