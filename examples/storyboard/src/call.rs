//! The engine's side of a command: its input, the folder that paths start from, and the file it listens to.
//!
//! Outside of a run (a person at a shell) the same lines go to stdout. What the input means is left to `input`.

use std::env;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, printable};
use crate::file;

/// An input is a few paths; whatever is larger is a mistake.
const INPUT_LIMIT: u64 = 1024 * 1024;

/// One call of a command by the engine, or by a person.
pub(crate) struct Call {
    base: PathBuf,
    listener: Option<(PathBuf, File)>,
}

impl Call {
    /// Takes what the environment says of this call.
    pub(crate) fn from_env() -> Result<Self, Failure> {
        let base = match env::var_os("SPRONGUS_PROJECT_DIR").filter(|dir| !dir.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from("."),
        };
        let base = std::path::absolute(&base).map_err(|error| Failure::at("find", &base, &error))?;
        let listener = match env::var_os("SPRONGUS_OUTPUT").filter(|path| !path.is_empty()) {
            Some(path) => {
                let path = PathBuf::from(path);
                let opened = OpenOptions::new().append(true).create(true).open(&path);
                let file = opened.map_err(|error| Failure::at("write", &path, &error))?;
                Some((path, file))
            }
            None => None,
        };
        Ok(Self { base, listener })
    }

    /// The input's JSON: stdin, or the file that holds the same where stdin is empty.
    pub(crate) fn input(&self) -> Result<Vec<u8>, Failure> {
        let mut json = Vec::new();
        let read = io::stdin().lock().take(INPUT_LIMIT + 1).read_to_end(&mut json);
        read.map_err(|error| Failure::at("read", Path::new("stdin"), &error))?;
        if json.len() as u64 > INPUT_LIMIT {
            return Err(Failure::Refused("input: larger than 1 MiB".to_owned()));
        }
        if !json.trim_ascii().is_empty() {
            return Ok(json);
        }
        match env::var_os("SPRONGUS_INPUT") {
            Some(path) => file::read(Path::new(&path), INPUT_LIMIT),
            None => Err(Failure::Refused("input: nothing on stdin, expected a JSON object".to_owned())),
        }
    }

    /// A path of the input: as it is if absolute, else from the project's folder (by hand: the current one).
    pub(crate) fn path(&self, field: &str, path: &str) -> Result<PathBuf, Failure> {
        if path.is_empty() {
            return Err(Failure::Refused(format!("input: `{field}` is empty")));
        }
        Ok(self.base.join(path))
    }

    /// Tells how far the command has come, in percent.
    pub(crate) fn progress(&mut self, percent: u8) -> Result<(), Failure> {
        if self.listener.is_some() { self.tell(&format!("progress={percent}")) } else { Ok(()) }
    }

    /// Hands in the result, the file it is about, and a sentence for the log.
    pub(crate) fn finish(&mut self, result: &Value, about: &Path, sentence: &str) -> Result<(), Failure> {
        self.tell(&format!("result={result}"))?;
        self.tell(&format!("output_ref={}", file_url(about)))?;
        say(sentence);
        Ok(())
    }

    fn tell(&mut self, line: &str) -> Result<(), Failure> {
        match &mut self.listener {
            Some((path, file)) => {
                writeln!(file, "{line}").map_err(|error| Failure::at("write", path, &error))
            }
            None => {
                say(line);
                Ok(())
            }
        }
    }
}

/// Prints a line; a reader that has gone away is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{}", printable(line));
}

/// `file:///abs/path`, percent-encoded so that any path is a valid reference.
fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_holds_any_path() {
        assert_eq!(file_url(Path::new("/a b/ü%.md")), "file:///a%20b/%C3%BC%25.md");
    }
}
