//! `completions`: a shell's completion script.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::app::App;
use crate::cli::Cli;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "For example: sprongus completions bash > ~/.local/share/bash-completion/completions/sprongus"
)]
pub struct Args {
    /// Shell to generate completions for
    pub shell: Shell,
}

/// Prints the script.
pub fn run(args: &Args, app: &App) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sprongus", &mut script);
    app.screen.text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
