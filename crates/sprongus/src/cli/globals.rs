//! The options that every command takes.

use clap::ValueEnum;

use crate::env::address::Address;

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
