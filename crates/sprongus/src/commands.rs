//! The commands: one file each, with its `Args` and its `run`.

pub mod agent_tasks;
pub mod audit;
pub mod backup;
pub mod bench;
pub mod completions;
pub mod demo;
pub mod doctor;
pub mod gates;
pub mod init;
pub mod kinds;
pub mod login;
pub mod man;
pub mod migrate;
pub mod projects;
pub mod runs;
pub mod serve;
pub mod storyboard;
pub mod token;
pub mod top;
pub mod worker;
pub mod workers;
pub mod workspaces;

use crate::app::App;
use crate::cli::Command;
use crate::exit::Exit;
use crate::failure::Outcome;

/// Carries a command out.
///
/// # Errors
/// Why it could not be.
pub async fn run(command: Command, app: &App) -> Outcome {
    match command {
        Command::Runs(command) => runs::run(command, app).await,
        Command::Worker(args) => worker::run(args, app).await,
        Command::Serve(args) => serve::run(args, app).await,
        Command::Login(args) => login::run(args, app).await,
        Command::Token(command) => token::run(command, app).await,
        Command::Workers(command) => workers::run(command, app).await,
        Command::Gates(command) => gates::run(command, app).await,
        Command::Kinds(command) => kinds::run(command, app).await,
        Command::Projects(command) => projects::run(command, app).await,
        Command::AgentTasks(command) => agent_tasks::run(command, app).await,
        Command::Workspaces(command) => workspaces::run(command, app).await,
        Command::Audit(command) => audit::run(command, app).await,
        Command::Backup(args) => backup::run(args, app).await,
        Command::Top(args) => top::run(args, app).await,
        Command::Bench(args) => bench::run(args, app).await,
        Command::Demo(args) => demo::run(args, app).await,
        Command::Init(args) => init::run(&args, app),
        Command::Doctor(args) => doctor::run(args, app).await,
        Command::Migrate(args) => migrate::run(&args, app).await,
        Command::Man(args) => man::run(&args, app),
        Command::Completions(args) => completions::run(&args, app),
        // `main` has run it already, outside of everything that is ours.
        Command::Storyboard(_) => Ok(Exit::Done),
    }
}
