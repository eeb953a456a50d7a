//! The command line: parse, connect, one verb, render, exit.

mod app;
mod cli;
mod commands;
mod connect;
mod env;
mod exit;
mod render;
mod running;
mod telemetry;
mod version;
mod work;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::app::App;
use crate::cli::Cli;
use crate::commands::Command;
use crate::env::Environment;
use crate::exit::Exit;
use crate::exit::failure::{Failure, Outcome};
use crate::render::fault;
use crate::render::screen::Screen;

/// The writer thread frees what other threads made, and SQLite takes and gives back page by page: glibc made about
/// one system call a commit of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let words = cli::joined(std::env::args_os());
    let command = Cli::command().color(cli::clap_color(&words));
    let parsed = command.try_get_matches_from(&words).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return fault::usage(&error, words.iter().any(|word| word == "--json")).into(),
    };
    anstream::ColorChoice::from(cli.globals.color).write_global();
    if let Command::Storyboard(args) = cli.command {
        // Its exit codes are a kind's, not ours.
        return commands::storyboard::run(args);
    }
    let screen = Screen::new(&cli.globals);
    env::credential::shield();
    let around = match Environment::read() {
        Ok(around) => around,
        Err(error) => return conclude(&screen, Err(Failure::Refused(error))).into(),
    };
    let app = App { globals: cli.globals, around, screen };
    let outcome = runtime(&cli.command).map_err(Failure::from).and_then(|runtime| {
        let outcome = runtime.block_on(commands::run(cli.command, &app));
        // A thread that still waits for stdin must not hold up the exit.
        runtime.shutdown_background();
        outcome
    });
    conclude(&app.screen, outcome).into()
}

/// One thread is enough, and started sooner, for all but those that work.
fn runtime(command: &Command) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = if matches!(command, Command::Worker(_) | Command::Serve(_) | Command::Bench(_)) {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()
}

fn conclude(screen: &Screen, outcome: Outcome) -> Exit {
    match outcome {
        Ok(exit) => {
            screen.release_notes();
            exit
        }
        Err(Failure::ReaderGone) => Exit::Done,
        Err(Failure::Interrupted(id)) => {
            screen.release_notes();
            screen.note_now(&format!("the run continues; follow it with `sprongus runs tail {id}`"));
            Exit::Interrupted
        }
        Err(Failure::Refused(error)) => {
            fault::print(screen, &error);
            error.code().into()
        }
    }
}
