//! `storyboard`: the commands behind the demo's kinds, carried along so that the demo needs nothing but this binary.

use std::ffi::OsString;
use std::process::ExitCode;

/// Passed on as they are.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// The command and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// Runs it; its exit code is the program's.
pub fn run(args: Args) -> ExitCode {
    storyboard::main_with(args.words)
}
