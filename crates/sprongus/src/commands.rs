//! The commands: one file each, with its `Args` and its `run`.

pub mod apply;
pub mod bench;
pub mod confirm;
pub mod demo;
pub mod follow;
pub mod gates;
pub mod operator;
pub mod runs;
pub mod schedules;
pub mod serve;
pub mod setup;
pub mod storyboard;
pub mod top;
pub mod worker;

use crate::app::App;
use clap::Subcommand;

use crate::exit::Exit;
use crate::exit::failure::Outcome;

/// A command. A new one is a file in `commands/` with `Args` and `run`, a line here, and a line in [`run`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See a screenplay become a storyboard: the main job, start to finish
    Demo(demo::Args),
    /// Enqueue runs, look at them, and change what becomes of them
    #[command(subcommand)]
    Runs(runs::Command),
    /// Execute the kinds that sprongus.toml declares
    Worker(worker::Args),
    /// Serve the runs over HTTP
    Serve(serve::Args),
    /// Watch depth, workers and running runs, live
    Top(top::Args),
    /// Store the token for a server
    Login(setup::login::Args),
    /// Create, list and revoke the tokens that clients authenticate with
    #[command(subcommand)]
    Token(operator::token::Command),
    /// List and drain the running workers
    #[command(subcommand)]
    Workers(operator::workers::Command),
    /// See which gates are waiting for approval
    #[command(subcommand)]
    Gates(gates::Command),
    /// Create, look at and change schedules
    #[command(subcommand)]
    Schedules(schedules::Command),
    /// Bring the schedules of the nearest sprongus.toml to the database
    Apply(apply::Args),
    /// See, pause and resume kinds
    #[command(subcommand)]
    Kinds(operator::kinds::Command),
    /// Create and list projects, the groups of runs
    #[command(subcommand)]
    Projects(operator::projects::Command),
    /// Create and list agent tasks, what runs are made for
    #[command(subcommand)]
    AgentTasks(operator::agent_tasks::Command),
    /// Create, list and delete workspaces
    #[command(subcommand)]
    Workspaces(operator::workspaces::Command),
    /// List what operators did
    #[command(subcommand)]
    Audit(operator::audit::Command),
    /// Copy the database and the artifacts into a folder
    Backup(setup::backup::Args),
    /// Write a starter sprongus.toml into this folder
    Init(setup::init::Args),
    /// Show the effective settings, where they come from, and any problems
    Doctor(setup::doctor::Args),
    /// Measure how fast runs are on this disk, as JSON lines
    Bench(bench::Args),
    /// Bring the database up to this program's schema
    Migrate(setup::migrate::Args),
    /// Print a shell's completion script
    Completions(setup::completions::Args),
    /// Print a manual page, or write those of all commands
    Man(setup::man::Args),
    /// The commands behind the demo's kinds
    #[command(hide = true)]
    Storyboard(storyboard::Args),
}

/// Carries a command out.
///
/// # Errors
/// Why it could not be.
pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::Runs(command) => runs::run(command, app).await,
        Command::Worker(args) => worker::run(args, app).await,
        Command::Serve(args) => serve::run(args, app).await,
        Command::Login(args) => setup::login::run(args, app).await,
        Command::Token(command) => operator::token::run(command, app).await,
        Command::Workers(command) => operator::workers::run(command, app).await,
        Command::Gates(command) => gates::run(command, app).await,
        Command::Schedules(command) => schedules::run(command, app).await,
        Command::Apply(args) => apply::run(args, app).await,
        Command::Kinds(command) => operator::kinds::run(command, app).await,
        Command::Projects(command) => operator::projects::run(command, app).await,
        Command::AgentTasks(command) => operator::agent_tasks::run(command, app).await,
        Command::Workspaces(command) => operator::workspaces::run(command, app).await,
        Command::Audit(command) => operator::audit::run(command, app).await,
        Command::Backup(args) => setup::backup::run(args, app).await,
        Command::Top(args) => top::run(args, app).await,
        Command::Bench(args) => bench::run(args, app).await,
        Command::Demo(args) => demo::run(args, app).await,
        Command::Init(args) => setup::init::run(&args, app),
        Command::Doctor(args) => setup::doctor::run(args, app).await,
        Command::Migrate(args) => setup::migrate::run(&args, app).await,
        Command::Man(args) => setup::man::run(&args, app),
        Command::Completions(args) => setup::completions::run(&args, app),
        // `main` has run it already, outside of everything that is ours.
        Command::Storyboard(_) => Ok(Exit::Done),
    }
}
