//! `init`: a first `sprongus.toml`, with a kind that works as it stands.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sprongus_core::{Error, ErrorCode, Result};
use sprongus_worker::declaration::FILE_NAME;

use crate::app::App;
use crate::exit::Exit;
use crate::exit::failure::Outcome;

/// What is written.
pub const STARTER: &str = include_str!("init/sprongus.toml");

const IGNORED: &str = ".sprongus/";

/// Nothing to choose.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Writes the file, and keeps the database out of version control.
pub fn run(_: &Args, app: &App) -> Outcome {
    let path = app.around.folder.join(FILE_NAME);
    write_new(&path)?;
    ignore(&app.around.folder.join(".gitignore"))?;
    let made = serde_json::json!({"path": path.display().to_string()});
    app.screen.answer(&made, "", || {
        format!(
            "created {FILE_NAME} and added {IGNORED} to .gitignore\n\
             try it: sprongus runs enqueue hello --input '{{\"name\": \"Ada\"}}' --work\n"
        )
    })?;
    Ok(Exit::Done)
}

fn write_new(path: &Path) -> Result<()> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let written = written.and_then(|mut file| file.write_all(STARTER.as_bytes()));
    written.map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return cannot_write(path, &error);
        }
        Error::new(ErrorCode::Conflict, format!("{FILE_NAME} already exists: {}", path.display()))
            .with_hint("edit it, or move it away first; check it with `sprongus doctor`")
    })
}

fn ignore(path: &Path) -> Result<()> {
    let present = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot_write(path, &error)),
    };
    let ours = |line: &str| matches!(line.trim().trim_matches('/'), ".sprongus");
    if present.lines().any(ours) {
        return Ok(());
    }
    let newline = if present.is_empty() || present.ends_with('\n') { "" } else { "\n" };
    let appended = OpenOptions::new().append(true).create(true).open(path);
    let appended = appended.and_then(|mut file| file.write_all(format!("{newline}{IGNORED}\n").as_bytes()));
    appended.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorCode::Unavailable, format!("cannot write {}: {error}", path.display()))
        .with_hint("check the folder's permissions")
}

#[cfg(test)]
mod tests {
    use sprongus_worker::declaration::Declaration;

    use super::*;

    #[test]
    fn the_starter_is_a_declaration_without_fault() {
        let declaration = Declaration::parse(STARTER, Path::new(FILE_NAME)).unwrap();
        assert!(declaration.kinds.contains_key("hello"));
    }
}
