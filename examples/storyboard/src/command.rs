//! The command line: which of the two commands, and how its end is told.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::call::{Call, say};
use crate::failure::Failure;
use crate::{pull, sync};

const USAGE: &str = "\
reads a screenplay into scenes and keeps a storyboard in step with it

usage: storyboard pull < input.json     {\"path\": \"screenplay.fountain\", \"out\"?: \"scenes.json\"}
       storyboard sync < input.json     {\"scenes\": \"scenes.json\", \"board\"?: \"storyboard.csv\",
                                         \"summary\"?: \"storyboard.md\"}

paths start from $SPRONGUS_PROJECT_DIR, or from the current folder where it is not set

exit codes: 0 done, 2 wrong usage, 74 reading or writing failed, 75 the file is being edited (try again),
            78 wrong input (do not try again)";

/// Runs `pull` or `sync` with the arguments that follow the program's name, input on stdin, and gives the exit code.
///
/// A process may call it once: it reads stdin to its end and takes `SPRONGUS_PROJECT_DIR`, `SPRONGUS_INPUT` and
/// `SPRONGUS_OUTPUT` from the environment.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut args = args.into_iter();
    let name = args.next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let outcome = match (name.as_str(), args.next()) {
        ("-h" | "--help" | "help", _) => {
            say_all(USAGE);
            Ok(())
        }
        ("-V" | "--version", _) => {
            say(concat!("storyboard ", env!("CARGO_PKG_VERSION")));
            Ok(())
        }
        ("pull", None) => Call::from_env().and_then(pull::run),
        ("sync", None) => Call::from_env().and_then(sync::run),
        ("pull" | "sync", Some(extra)) => Err(Failure::Usage(format!(
            "unexpected argument {}: input is JSON on stdin, see storyboard --help",
            extra.to_string_lossy()
        ))),
        ("", _) => Err(Failure::Usage("expected pull or sync, see storyboard --help".to_owned())),
        (other, _) => {
            Err(Failure::Usage(format!("no command {other}: expected pull or sync, see storyboard --help")))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let who =
                if matches!(name.as_str(), "pull" | "sync") { format!(" {name}") } else { String::new() };
            let _ = writeln!(io::stderr().lock(), "storyboard{who}: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn say_all(text: &str) {
    text.lines().for_each(say);
}
