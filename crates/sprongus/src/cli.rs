//! The command line as it is typed: the options every command has, and the commands.

pub mod globals;
pub mod input;
pub mod times;

use std::ffi::OsString;

use clap::{ColorChoice, Parser};

use crate::cli::globals::Globals;
use crate::commands::Command;
use crate::version::VERSION;

/// Durable background runs on SQLite or Postgres
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
