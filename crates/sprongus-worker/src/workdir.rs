//! The folders of one attempt: its work directory, and beside it what must not lie in its commands' way.
//!
//! Over a gate `work/` goes through a tar: [`pack`] and [`unpack`].
//!
//! ```text
//! <scratch>/attempts/<run>-<epoch>-<random>/   0700, removed when the attempt ends
//!     work/                                    the commands' working directory
//!     input.json                               $SPRONGUS_INPUT, secrets resolved
//!     output-<ordinal>                         $SPRONGUS_OUTPUT of each step
//!     spill-<ordinal>                          what it printed beyond the log's room
//! ```

pub(crate) mod abandoned;
mod bounds;
pub(crate) mod pack;
mod pipe;
pub(crate) mod unpack;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sprongus_core::run::Hold;
use tempfile::TempDir;

/// The folders of an attempt.
#[derive(Debug)]
pub(crate) struct Workdir {
    root: TempDir,
    /// Says that this process lives; see [`abandoned`].
    _lock: fs::File,
}

impl Workdir {
    /// Makes them, with the input in its file.
    pub(crate) async fn make(scratch: &Path, hold: &Hold, input: &[u8]) -> io::Result<Self> {
        let (scratch, hold, input) = (scratch.to_owned(), hold.clone(), input.to_owned());
        let made = tokio::task::spawn_blocking(move || Self::make_now(&scratch, &hold, &input)).await;
        made.map_err(|error| io::Error::other(error.to_string()))?
    }

    fn make_now(scratch: &Path, hold: &Hold, input: &[u8]) -> io::Result<Self> {
        let attempts = scratch.join("attempts");
        private_folder(scratch)?;
        private_folder(&attempts)?;
        // A temporary folder has mode 0700.
        let prefix = format!("{}-{}-", hold.id, hold.epoch);
        let make = || tempfile::Builder::new().prefix(&prefix).tempdir_in(&attempts);
        let (root, lock) = abandoned::locked(&attempts, make, |root| root.path().to_owned())?;
        fs::DirBuilder::new().mode(0o700).create(root.path().join("work"))?;
        let made = Self { root, _lock: lock };
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(made.input())?;
        file.write_all(input)?;
        Ok(made)
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.root.path().join("input.json")
    }

    pub(crate) fn output(&self, ordinal: u32) -> PathBuf {
        self.root.path().join(format!("output-{ordinal}"))
    }

    /// Where a step's output goes that the log has no room for.
    pub(crate) fn spill(&self, ordinal: u32) -> PathBuf {
        self.root.path().join(format!("spill-{ordinal}"))
    }

    /// Removes everything.
    pub(crate) async fn remove(self) {
        let place = self.root.path().to_owned();
        let removed = tokio::task::spawn_blocking(move || self.root.close()).await;
        let failure = match removed {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(place = %place.display(), error = failure, "a work directory cannot be removed");
    }
}

/// Makes a folder that nobody else can look into, or checks that it is one: in a shared `/tmp` somebody else may have
/// made it first.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).recursive(true).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let metadata = fs::symlink_metadata(path)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !own || metadata.mode() & 0o022 != 0 {
        let problem = format!("{} is not a folder that this user alone may write", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    Ok(())
}

/// Where work directories are unless something else is said: one folder for each user of the machine.
pub(crate) fn default_scratch() -> PathBuf {
    std::env::temp_dir().join(format!("sprongus-{}", rustix::process::geteuid().as_raw()))
}

#[cfg(test)]
mod tests;
