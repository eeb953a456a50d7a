//! `man`: manual pages, made of what `--help` says, one a command.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_mangen::Man;
use sprongus_core::values::text::excerpt;
use sprongus_core::{Error, ErrorCode, Result};

use crate::app::App;
use crate::cli::Cli;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sprongus man runs enqueue | man -l -, or sprongus man --dir ~/.local/share/man/man1"
)]
pub struct Args {
    /// Command to print the page for (default: sprongus itself)
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write the pages of all commands to this folder, created if missing
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub dir: Option<PathBuf>,
}

/// Prints a page, or writes them all.
pub fn run(args: &Args, app: &App) -> Outcome {
    let program = program();
    match &args.dir {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
            for page in pages(&program) {
                let path = page.generate_to(folder).map_err(|error| unwritable(folder, &error))?;
                app.screen.text(&format!("{}\n", path.display()))?;
            }
        }
        None => {
            let mut page = Vec::new();
            let man = page_of(named(&program, &args.command)?);
            man.render(&mut page)
                .map_err(|error| Error::internal(format!("cannot generate the page: {error}")))?;
            app.screen.text(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Exit::Done)
}

/// The commands with their full names, and with the options that all of them take.
fn program() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

fn named<'a>(program: &'a clap::Command, words: &[String]) -> Result<&'a clap::Command> {
    words.iter().try_fold(program, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let message = format!("no such command in {}: {}", command.get_name(), excerpt(word, 64));
            Error::new(ErrorCode::NotFound, message).with_hint("run `sprongus help` for a list of commands")
        })
    })
}

fn pages(command: &clap::Command) -> Vec<Man> {
    let shown = command.get_subcommands().filter(|inner| !inner.is_hide_set());
    let mut pages = vec![page_of(command)];
    pages.extend(shown.flat_map(self::pages));
    pages
}

fn page_of(command: &clap::Command) -> Man {
    let source = concat!("sprongus ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(source).manual("Sprongus Manual")
}

fn unwritable(folder: &Path, error: &std::io::Error) -> Error {
    Error::validation(format!("cannot write the page: {}: {error}", folder.display()))
        .with_hint("use --dir with a folder you can write to")
}
