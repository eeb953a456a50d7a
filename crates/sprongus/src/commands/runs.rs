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
    /// Ask for a run
    Enqueue(Box<enqueue::Args>),
    /// A run, its steps, its last error and what it waits for
    Status(status::Args),
    /// Runs, newest first
    List(list::Args),
    /// Call runs off; a running process is stopped
    Cancel(cancel::Args),
    /// Give failed or canceled runs a new budget of attempts
    Retry(retry::Args),
    /// A run's steps
    Steps(steps::Args),
    /// Follow a run live to its end
    Tail(tail::Args),
    /// A run's history
    Events(events::Args),
    /// What a run's processes printed
    Logs(logs::Args),
    /// The files a run keeps
    Artifacts(artifacts::Args),
    /// Let a run pass the gate it waits at
    Approve(approve::Args),
    /// Do not let it pass; the run fails for good
    Reject(reject::Args),
    /// Depth, age of the oldest, rates and latencies
    Stats(stats::Args),
    /// Take the ended runs that retention lets go
    Prune(prune::Args),
}

/// Does it.
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
