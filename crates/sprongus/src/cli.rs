//! The command line as it is typed: the options every command has, and the commands.

use std::ffi::OsString;

use clap::{ColorChoice, Parser, Subcommand, ValueEnum};

use crate::commands;
use crate::connect::Address;
use crate::version::VERSION;

/// Durable background runs: enqueue, work, watch.
#[derive(Debug, Parser)]
#[command(
    name = "sprongus",
    version = VERSION.as_str(),
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 internal, 2 usage or invalid input, 3 not found, 4 conflict or illegal \
                  transition, 5 lease lost, 6 not allowed, 7 timed out, 8 unavailable, 9 schema mismatch, 10 the \
                  followed run failed, 11 it was canceled, 130 Ctrl-C."
)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The database: a path, or postgres://USER@HOST/DATABASE
    #[arg(long, global = true, value_name = "PATH|URL", conflicts_with = "remote")]
    pub db: Option<Address>,
    /// A server instead of a file; without a URL the one of SPRONGUS_API_URL, else http://localhost:3000
    #[arg(long, global = true, value_name = "URL", num_args = 0..=1, require_equals = true)]
    pub remote: Option<Option<String>>,
    /// The workspace whose runs are meant; otherwise `default`, or the one of the token
    #[arg(long, global = true, value_name = "ID")]
    pub workspace: Option<String>,
    /// Print JSON: one object, or one a line for what streams
    #[arg(long, global = true, conflicts_with = "quiet")]
    pub json: bool,
    /// Print ids alone, or nothing
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: When,
    /// Say more on stderr; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl From<When> for anstream::ColorChoice {
    fn from(when: When) -> Self {
        match when {
            When::Auto => Self::Auto,
            When::Always => Self::Always,
            When::Never => Self::Never,
        }
    }
}

/// A command. A new one is a file in `commands/` with `Args` and `run`, a line here, and a line in [`commands::run`].
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See a screenplay become a storyboard: the main job, start to finish
    Demo(commands::demo::Args),
    /// Enqueue runs, look at them, and change what becomes of them
    #[command(subcommand)]
    Runs(commands::runs::Command),
    /// Execute the kinds that sprongus.toml declares
    Worker(commands::worker::Args),
    /// Serve the runs over HTTP
    Serve(commands::serve::Args),
    /// Watch depth, workers and running runs, live
    Top(commands::top::Args),
    /// Store the token for a server
    Login(commands::login::Args),
    /// Create, list and revoke the tokens that clients authenticate with
    #[command(subcommand)]
    Token(commands::token::Command),
    /// List and drain the running workers
    #[command(subcommand)]
    Workers(commands::workers::Command),
    /// See which gates are waiting for approval
    #[command(subcommand)]
    Gates(commands::gates::Command),
    /// See, pause and resume kinds
    #[command(subcommand)]
    Kinds(commands::kinds::Command),
    /// Create and list projects, the groups of runs
    #[command(subcommand)]
    Projects(commands::projects::Command),
    /// Create and list agent tasks, what runs are made for
    #[command(subcommand)]
    AgentTasks(commands::agent_tasks::Command),
    /// Create, list and delete workspaces
    #[command(subcommand)]
    Workspaces(commands::workspaces::Command),
    /// List what operators did
    #[command(subcommand)]
    Audit(commands::audit::Command),
    /// Copy the database and the artifacts into a folder
    Backup(commands::backup::Args),
    /// Write a starter sprongus.toml into this folder
    Init(commands::init::Args),
    /// Show the effective settings, where they come from, and any problems
    Doctor(commands::doctor::Args),
    /// Measure how fast runs are on this disk, as JSON lines
    Bench(commands::bench::Args),
    /// Bring the database up to this program's schema
    Migrate(commands::migrate::Args),
    /// Print a shell's completion script
    Completions(commands::completions::Args),
    /// Print a manual page, or write those of all commands
    Man(commands::man::Args),
    /// The commands behind the demo's kinds
    #[command(hide = true)]
    Storyboard(commands::storyboard::Args),
}

/// Reads `--remote URL` as `--remote=URL`: the value is optional, so a word behind it is taken for one only if it is a URL.
pub fn joined(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for word in words {
        let is_url =
            word.to_str().is_some_and(|text| text.starts_with("http://") || text.starts_with("https://"));
        match joined.last_mut() {
            Some(last) if is_url && last.as_os_str() == "--remote" => {
                last.push("=");
                last.push(word);
            }
            Some(_) | None => joined.push(word),
        }
    }
    joined
}

/// How clap colours its help.
pub fn clap_color(words: &[OsString]) -> ColorChoice {
    let never = words.iter().any(|word| word == "--color=never")
        || words.windows(2).any(|pair| pair[0] == "--color" && pair[1] == "never");
    if never { ColorChoice::Never } else { ColorChoice::Auto }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn remote_takes_a_url_or_stands_alone() {
        let remote = |line: &str| {
            let words = joined(line.split(' ').map(OsString::from));
            Cli::try_parse_from(words).unwrap().globals.remote
        };
        assert_eq!(remote("sprongus --remote runs stats"), Some(None));
        assert_eq!(remote("sprongus --remote http://h:1 runs stats"), Some(Some("http://h:1".to_owned())));
        assert_eq!(remote("sprongus runs stats --remote"), Some(None));
        assert_eq!(remote("sprongus runs stats"), None);
    }

    #[test]
    fn every_command_and_option_says_what_it_is_for() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} has no about");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path}: {} has no help", argument.get_id());
            }
            command.get_subcommands().for_each(|inner| check(inner, &path));
        }
        check(&Cli::command(), "");
    }
}
