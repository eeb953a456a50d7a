//! The file behind `$SPRONGUS_OUTPUT`: lines by which a command tells its result and its progress.
//!
//! A line is `result={…}`, `output_ref=…`, `progress=40` or `child={…}`. The last one of each wins, and each child counts. A line that
//! is none of them is reported as a fault and the rest are taken: a typing mistake must not cost the result of an hour's
//! work. A file that is not there any more at the end has lost whatever it said.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The most that a command may write into the file.
pub const LARGEST_OUTPUT_FILE: usize = 1024 * 1024;

const KEYS: &str = "result, output_ref, progress or child";

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputEntry {
    /// The run's result: JSON text, not checked here.
    Result(String),
    /// What the run's `outputRef` shall be.
    OutputRef(String),
    /// The progress in percent, 0 to 100.
    Progress(u8),
    /// A run that the command asks for: JSON in the words of `POST /v1/runs`, not checked here.
    Child(String),
    /// A line that is not understood, to be logged as a warning.
    Fault(OutputFileFault),
}

/// A line of the file that is not understood, or a fault of the file as a whole. Never quotes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFileFault {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong, for the log.
    pub problem: String,
}

impl fmt::Display for OutputFileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "$SPRONGUS_OUTPUT: {}", self.problem),
            line => write!(f, "$SPRONGUS_OUTPUT line {line}: {}", self.problem),
        }
    }
}

impl std::error::Error for OutputFileFault {}

/// What the file said in all, the last of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outputs {
    /// From `result=`.
    pub result: Option<String>,
    /// From `output_ref=`.
    pub output_ref: Option<String>,
    /// From `progress=`.
    pub progress: Option<u8>,
    /// What is wrong with the file as a whole, so that what it said is lost, in part at least: it was removed, something else is in its
    /// place, it cannot be read, or it is too large.
    pub lost: Option<String>,
}

/// What tells a changed file from an unchanged one without reading it.
type Stamp = (u64, u64, i64, i64);

/// The reader of one file.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    seen: Vec<u8>,
    taken: usize,
    line: usize,
    stamp: Option<Stamp>,
    reported: Option<String>,
    problem: Option<String>,
    outputs: Outputs,
}

impl OutputFile {
    /// Makes an empty file at `path`, which only this user can read; the folder must exist.
    ///
    /// # Errors
    ///
    /// When the file cannot be made, or exists.
    pub fn create(path: impl Into<PathBuf>) -> std::io::Result<Self> {
        let path = path.into();
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let (seen, outputs) = (Vec::new(), Outputs::default());
        Ok(Self { path, seen, taken: 0, line: 0, stamp: None, reported: None, problem: None, outputs })
    }

    /// The file, for `$SPRONGUS_OUTPUT`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what has been written since the last time; a line that has no end yet waits for it.
    pub fn poll(&mut self) -> Vec<OutputEntry> {
        self.read(false)
    }

    /// Reads the rest, a last line without its end too. To be called when the command is gone.
    pub fn finish(mut self) -> (Vec<OutputEntry>, Outputs) {
        // The clock of a file's times is coarse: the last write may look as if it were the one before.
        self.stamp = None;
        let entries = self.read(true);
        self.outputs.lost = self.problem;
        (entries, self.outputs)
    }

    fn read(&mut self, last: bool) -> Vec<OutputEntry> {
        let mut entries = Vec::new();
        self.problem = None;
        match self.read_changed() {
            Ok(Some(bytes)) => self.replace(bytes),
            Ok(None) => {}
            Err(problem) => self.report(problem, &mut entries),
        }
        while let Some(length) = self.next_line(last) {
            let line = self.seen[self.taken..self.taken + length].to_vec();
            self.taken = (self.taken + length + 1).min(self.seen.len());
            self.line += 1;
            entries.extend(self.take_line(&line));
        }
        if self.seen.len() >= LARGEST_OUTPUT_FILE {
            self.report("is larger than 1 MiB; the rest is ignored".to_owned(), &mut entries);
        }
        entries
    }

    fn next_line(&self, last: bool) -> Option<usize> {
        let rest = &self.seen[self.taken..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        // Of a file that is too large, the last line may be cut, so it is not taken.
        end.or((last && !rest.is_empty() && self.seen.len() < LARGEST_OUTPUT_FILE).then_some(rest.len()))
    }

    /// A command may also write the file anew (`>` and not `>>`); then it is read from its beginning.
    fn replace(&mut self, bytes: Vec<u8>) {
        if !bytes.starts_with(&self.seen[..self.taken]) {
            (self.taken, self.line) = (0, 0);
        }
        self.seen = bytes;
    }

    fn read_changed(&mut self) -> Result<Option<Vec<u8>>, String> {
        // The command may have put anything in the file's place: a FIFO would block, a link lead elsewhere.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file: File = match OpenOptions::new().read(true).custom_flags(flags).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err("was removed".to_owned()),
            Err(error) => return Err(format!("cannot be read: {error}")),
        };
        let metadata = file.metadata().map_err(|error| format!("cannot be read: {error}"))?;
        if !metadata.is_file() {
            return Err("is no longer a regular file".to_owned());
        }
        let stamp = (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if self.stamp == Some(stamp) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_OUTPUT_FILE as u64)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        self.stamp = Some(stamp);
        Ok(Some(bytes))
    }

    /// Reports a fault of the whole file, once and not at every poll.
    fn report(&mut self, problem: String, entries: &mut Vec<OutputEntry>) {
        self.problem = Some(problem.clone());
        if self.reported.as_ref() != Some(&problem) {
            self.reported = Some(problem.clone());
            entries.push(OutputEntry::Fault(OutputFileFault { line: 0, problem }));
        }
    }

    fn take_line(&mut self, line: &[u8]) -> Option<OutputEntry> {
        let fault = |problem: String| Some(OutputEntry::Fault(OutputFileFault { line: self.line, problem }));
        let Ok(line) = std::str::from_utf8(line) else { return fault("is not UTF-8 text".to_owned()) };
        let line = line.trim();
        if line.is_empty() {
            return None;
        }
        let Some((key, value)) = line.split_once('=') else {
            return fault(format!("expected {KEYS}, then = and a value"));
        };
        let (key, value) = (key.trim(), value.trim());
        if value.contains('\0') {
            return fault("contains a NUL character".to_owned());
        }
        match key {
            "result" | "output_ref" | "child" if value.is_empty() => fault(format!("{key} is empty")),
            "result" => {
                self.outputs.result = Some(value.to_owned());
                Some(OutputEntry::Result(value.to_owned()))
            }
            "output_ref" => {
                self.outputs.output_ref = Some(value.to_owned());
                Some(OutputEntry::OutputRef(value.to_owned()))
            }
            "child" => Some(OutputEntry::Child(value.to_owned())),
            "progress" => match value.parse::<u8>().ok().filter(|percent| *percent <= 100) {
                Some(percent) => {
                    self.outputs.progress = Some(percent);
                    Some(OutputEntry::Progress(percent))
                }
                None => fault("progress: expected a whole number from 0 to 100".to_owned()),
            },
            other => {
                let shown: String = other.chars().take(40).collect();
                fault(format!("unknown key {shown:?}, expected {KEYS}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
