//! The text of the file: read with a bound, and turned from byte offsets into lines and columns.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::fault::{DeclarationFault, Position};

/// No declaration and no schema needs more; a greater file is another file given by mistake.
pub(crate) const LARGEST_FILE: u64 = 1024 * 1024;

/// The text and its name, from which faults are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

impl Source<'_> {
    pub(crate) fn fault(
        &self,
        offset: usize,
        key: Option<&str>,
        problem: impl Into<String>,
    ) -> DeclarationFault {
        DeclarationFault {
            path: self.path.to_owned(),
            position: Some(self.position(offset)),
            key: key.filter(|key| !key.is_empty()).map(str::to_owned),
            problem: problem.into(),
        }
    }

    fn position(&self, offset: usize) -> Position {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// Reads a text file; the answer to a failure is a sentence without the file's name.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Looked at before it is opened: to open a FIFO waits for a writer.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.is_dir() {
        return Err("is a directory, expected a file".to_owned());
    }
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err("is larger than 1 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text: the first invalid byte is in line {line}")
    })
}
