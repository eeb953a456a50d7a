//! Starts a command, or says in plain words why that is impossible.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::children::{self, Own};
use super::ending::StartFault;
use super::environment::child_environment;
use super::spec::CommandSpec;

pub(super) fn start(spec: &CommandSpec) -> Result<(Child, Option<Own>), StartFault> {
    let Some((program, arguments)) = spec.argv.split_first() else {
        return Err(StartFault {
            kind: io::ErrorKind::InvalidInput,
            message: "could not start a command: no program given".to_owned(),
            retryable: false,
        });
    };
    let own_folder = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_owned));
    let environment = child_environment(std::env::vars_os(), own_folder.as_deref(), &spec.env);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.cwd)
        .stdin(if spec.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    children::start(|| command.spawn(), Child::id)
        .map_err(|error| explain(&error, program, spec, &environment))
}

fn explain(
    error: &io::Error,
    program: &str,
    spec: &CommandSpec,
    environment: &[(OsString, OsString)],
) -> StartFault {
    let path = environment.iter().find(|(name, _)| name == "PATH").map_or(OsStr::new(""), |(_, value)| value);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only what a person can act on is named; the rest are the system's own words"
    )]
    let (reason, retryable) = match error.kind() {
        io::ErrorKind::NotFound if !spec.cwd.is_dir() => {
            (format!("its working directory {} does not exist", spec.cwd.display()), true)
        }
        io::ErrorKind::NotFound => (not_found(program, &spec.cwd, path), false),
        io::ErrorKind::PermissionDenied => ("not executable; try `chmod +x`".to_owned(), false),
        io::ErrorKind::ArgumentListTooLong => (
            "arguments and environment are too long; pass data on stdin or in $SPRONGUS_INPUT".to_owned(),
            false,
        ),
        io::ErrorKind::InvalidInput => {
            ("an argument or a variable contains a NUL character".to_owned(), false)
        }
        io::ErrorKind::NotADirectory => ("a part of its path is not a folder".to_owned(), false),
        // ENOEXEC has no kind of its own.
        _ if error.raw_os_error() == Some(8) => {
            ("not a program; a script needs a first line such as `#!/bin/sh`".to_owned(), false)
        }
        _ => (error.to_string(), true),
    };
    StartFault { kind: error.kind(), message: format!("could not start {program:?}: {reason}"), retryable }
}

fn not_found(program: &str, cwd: &Path, path: &OsStr) -> String {
    let present = if program.contains('/') {
        cwd.join(program).exists()
    } else {
        std::env::split_paths(path).any(|folder| folder.join(program).exists())
    };
    if present {
        return "it exists, but the interpreter in its first line does not".to_owned();
    }
    if program.contains('/') {
        let looked = cwd.join(program);
        return format!(
            "no such file: {}; commands run in the attempt's work directory, use {{{{ project_dir }}}}/… for a program of the project",
            looked.display()
        );
    }
    format!("no such program in {}", path.to_string_lossy())
}
