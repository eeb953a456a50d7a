//! What a step prints beyond its run's share of the log: a file beside the work directory, kept as an artifact when the step ends.
//!
//! What comes in here is masked already.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sprongus_core::error::Result;
use sprongus_core::run::artifact::{ArtifactName, MAX_ARTIFACT_BYTES};
use sprongus_core::run::step::Stream;
use sprongus_core::runs::Runs;
use tokio::io::AsyncWriteExt as _;

use crate::execution::active_run::ActiveRun;
use crate::execution::upload;
use crate::process::StopReason;

/// The most that is kept: an artifact, less a margin for what the store may count besides.
const MOST: u64 = MAX_ARTIFACT_BYTES - (1 << 20);

/// How much is written at once.
const CHUNK: usize = 256 * 1024;

/// How long keeping it may take when the worker goes down.
const AT_SHUTDOWN: Duration = Duration::from_secs(5);

/// The file of one step.
pub(crate) struct Spill {
    path: PathBuf,
    name: ArtifactName,
    file: tokio::fs::File,
    buffer: Vec<u8>,
    /// Bytes that are in the file or on their way there, and bytes that came too late for it.
    kept: u64,
    lost: u64,
    /// Whose line has no end yet.
    open: Option<Stream>,
    /// Why nothing more can be written.
    fault: Option<io::Error>,
}

/// What became of it.
pub(crate) struct Spilled {
    pub(crate) name: ArtifactName,
    pub(crate) kept: u64,
    pub(crate) lost: u64,
    /// Why bytes were lost, where it was not for want of room in an artifact.
    pub(crate) fault: Option<io::Error>,
    /// Whether the store took it.
    pub(crate) answer: Result<()>,
}

impl Spill {
    /// Makes an empty file at `path`, which only this user can read.
    pub(crate) async fn create(path: PathBuf, name: ArtifactName) -> io::Result<Self> {
        let file = {
            let path = path.clone();
            let open = move || OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??
        };
        let (file, buffer) = (tokio::fs::File::from_std(file), Vec::with_capacity(CHUNK));
        Ok(Self { path, name, file, buffer, kept: 0, lost: 0, open: None, fault: None })
    }

    /// Writes a line, or with `whole` unset a piece of one.
    pub(crate) async fn write(&mut self, stream: Stream, text: &str, whole: bool) {
        // Pieces of two lines must not become one.
        if self.open.is_some_and(|other| other != stream) {
            self.push(b"\n").await;
        }
        self.open = (!whole).then_some(stream);
        self.push(text.as_bytes()).await;
        if whole {
            self.push(b"\n").await;
        }
    }

    async fn push(&mut self, bytes: &[u8]) {
        let length = bytes.len() as u64;
        if self.fault.is_some() || self.lost > 0 || self.kept + length > MOST {
            self.lost += length;
            return;
        }
        self.kept += length;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        let mut written = self.file.write_all(&self.buffer).await;
        if written.is_ok() {
            written = self.file.flush().await;
        }
        if let Err(error) = written {
            // How much of it reached the file is not known, so none of it is promised.
            let length = self.buffer.len() as u64;
            (self.kept, self.lost) = (self.kept - length, self.lost + length);
            self.fault = Some(error);
        }
        self.buffer.clear();
    }

    /// Keeps the file as an artifact.
    pub(crate) async fn keep(mut self, runs: &dyn Runs, active: &ActiveRun) -> Spilled {
        self.flush().await;
        let Self { path, name, kept, lost, fault, .. } = self;
        let answer = upload(runs, active, &name, &path).await;
        // What is left goes with the attempt's folder; a long pipeline need not wait for that.
        let _ = tokio::fs::remove_file(&path).await;
        Spilled { name, kept, lost, fault, answer }
    }
}

async fn upload(runs: &dyn Runs, active: &ActiveRun, name: &ArtifactName, path: &Path) -> Result<()> {
    let unreadable =
        |error: io::Error| sprongus_core::Error::internal(format!("cannot be read back: {}", error.kind()));
    let open = {
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || File::open(path)).await
    };
    let file = Arc::new(open.map_err(io::Error::other).flatten().map_err(unreadable)?);
    let keep = upload::keep(
        runs,
        active,
        name,
        "text/plain; charset=utf-8",
        || upload::bytes_of(Arc::clone(&file)),
        None,
    );
    let going_down = async {
        let mut stop = active.watch();
        let _ = stop.wait_for(|reason| *reason == Some(StopReason::Shutdown)).await;
        tokio::time::sleep(AT_SHUTDOWN).await;
    };
    tokio::select! {
        answer = keep => answer.map(|_| ()),
        () = going_down => Err(sprongus_core::Error::new(
            sprongus_core::ErrorCode::TimedOut, "the worker is shutting down",
        )),
    }
}

/// What the artifact of a step is called: `log/<step>.txt`, with every character that is odd in a file's name replaced. A name
/// that was changed, and might be another step's now, gets the step's ordinal.
pub(crate) fn artifact_name(step: &str, ordinal: u32) -> Result<ArtifactName> {
    let odd = |letter: char| !(letter.is_alphanumeric() || "._-".contains(letter));
    let safe = step.replace(odd, "-");
    if safe == step { format!("log/{safe}.txt") } else { format!("log/{safe}~{ordinal}.txt") }.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_is_called_like_its_step() {
        let named = |step: &str| artifact_name(step, 3).unwrap().to_string();
        assert_eq!(named("review"), "log/review.txt");
        assert_eq!(named("prüfen-2.a"), "log/prüfen-2.a.txt");
        assert_eq!(named("../a b\\c"), "log/..-a-b-c~3.txt");
        assert_eq!(named(".."), "log/...txt");
        assert!(artifact_name(&"ü".repeat(64), 99).is_ok());
        assert!(artifact_name(&"/".repeat(128), 99).is_ok());
    }

    #[tokio::test]
    async fn lines_of_two_streams_stay_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut spill = Spill::create(path.clone(), artifact_name("s", 0).unwrap()).await.unwrap();
        spill.write(Stream::Stdout, "half of ", false).await;
        spill.write(Stream::Stdout, "it", true).await;
        spill.write(Stream::Stdout, "cut", false).await;
        spill.write(Stream::Stderr, "else", true).await;
        spill.flush().await;
        assert_eq!(std::fs::read_to_string(path).unwrap(), "half of it\ncut\nelse\n");
        assert_eq!((spill.kept, spill.lost), (20, 0));
    }

    #[tokio::test]
    async fn beyond_an_artifact_bytes_are_counted_only() {
        let folder = tempfile::tempdir().unwrap();
        let name = artifact_name("s", 0).unwrap();
        let mut spill = Spill::create(folder.path().join("s"), name).await.unwrap();
        spill.kept = MOST - 3;
        spill.write(Stream::Stdout, "123", true).await;
        assert_eq!((spill.kept, spill.lost), (MOST, 1));
        spill.write(Stream::Stdout, "", true).await;
        assert_eq!((spill.kept, spill.lost), (MOST, 2), "what follows a gap is not kept");
    }
}
