//! The folders of one attempt: its work directory, and beside it what must not lie in its commands' way.
//!
//! Over a gate `work/` goes through a tar: [`pack`] and [`unpack`].
//!
//! ```text
//! <scratch>/attempts/<run>-<epoch>-<random>/   0700, removed when the attempt ends, the files first ([`remove`])
//!     work/                                    the commands' working directory
//!     input.json                               $SPRONGUS_INPUT, secrets resolved
//!     output-<ordinal>                         $SPRONGUS_OUTPUT of each step
//!     spill-<ordinal>                          what it printed beyond the log's room
//! ```

pub(crate) mod abandoned;
mod bounds;
mod content;
mod header;
mod holes;
pub(crate) mod pack;
mod pipe;
mod remove;
mod source;
pub(crate) mod unpack;

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sprongus_core::run::Hold;

/// The folders of an attempt.
#[derive(Debug)]
pub(crate) struct Workdir {
    root: PathBuf,
    /// The folder itself, wherever a command has moved it. Locked, it says that this process lives; see [`abandoned`].
    folder: fs::File,
    /// The input's file, wherever a command has moved it.
    input: Option<fs::File>,
    removed: bool,
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
        let make = || Ok(tempfile::Builder::new().prefix(&prefix).tempdir_in(&attempts)?.keep());
        let (root, folder) = abandoned::locked(&attempts, make, PathBuf::clone)?;
        let mut made = Self { root, folder, input: None, removed: false };
        fs::DirBuilder::new().mode(0o700).create(made.work())?;
        let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(made.input())?;
        made.input.insert(file).write_all(input)?;
        Ok(made)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.root.join("input.json")
    }

    pub(crate) fn output(&self, ordinal: u32) -> PathBuf {
        self.root.join(format!("output-{ordinal}"))
    }

    /// Where a step's output goes that the log has no room for.
    pub(crate) fn spill(&self, ordinal: u32) -> PathBuf {
        self.root.join(format!("spill-{ordinal}"))
    }

    /// Removes everything, whatever the commands did to it: first what may hold a secret.
    pub(crate) async fn remove(mut self) {
        if let Err(error) = tokio::task::spawn_blocking(move || self.remove_now()).await {
            tracing::warn!(%error, "cannot remove a work directory");
        }
    }

    fn remove_now(&mut self) {
        self.removed = true;
        // A command may have moved or linked the file to where nobody looks for it.
        let cut = self.input.take().map_or(Ok(()), |input| input.set_len(0));
        let secrets = remove::remove_secrets(&self.folder);
        let removed = remove::remove_all(&self.root, &self.folder);
        for error in [cut, secrets, removed].into_iter().filter_map(Result::err) {
            tracing::warn!(place = %self.root.display(), %error, "cannot remove a work directory");
        }
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        if !self.removed {
            self.remove_now();
        }
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
        let problem = format!("{} is not a folder that only this user can write to", path.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, problem));
    }
    // A command of an earlier attempt may have shut it.
    if metadata.mode() & 0o700 != 0o700 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Why this machine has no room for a work directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom(String);

impl NoRoom {
    pub(crate) fn of(error: &io::Error) -> Self {
        Self(format!("cannot create a work directory: {error}"))
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to do about it.
pub(crate) const HINT: &str =
    "free some space there, remove what is in the way, or set TMPDIR to a folder that this user can write to";

/// What is written to see whether there is room: more than the largest input needs.
const TRIED: usize = 2 << 20;

/// Tries whether a work directory can be made, with something in it.
pub(crate) async fn try_out(scratch: &Path) -> Result<(), NoRoom> {
    let scratch = scratch.to_owned();
    let tried = tokio::task::spawn_blocking(move || try_now(&scratch)).await;
    tried.map_err(io::Error::other).flatten().map_err(|error| NoRoom::of(&error))
}

/// As [`try_out`], for whoever may block.
fn try_now(scratch: &Path) -> io::Result<()> {
    private_folder(scratch)?;
    let attempts = scratch.join("attempts");
    private_folder(&attempts)?;
    // A temporary file has no name that could be left behind.
    let mut file = tempfile::tempfile_in(&attempts)?;
    file.write_all(&vec![0; TRIED])
}

/// Whether work directories can be made where a worker with default options makes them.
///
/// # Errors
/// What stands in the way, as a sentence, and what to do about it.
pub fn check_default_scratch() -> Result<(), (String, &'static str)> {
    try_now(&default_scratch()).map_err(|error| (NoRoom::of(&error).to_string(), HINT))
}

/// Where work directories are unless something else is said: one folder for each user of the machine, in its temporary folder. Where
/// somebody else has made that first, so that nobody can shut this user out, among the user's own files.
pub(crate) fn default_scratch() -> PathBuf {
    let shared = std::env::temp_dir().join(format!("sprongus-{}", rustix::process::geteuid().as_raw()));
    if !is_foreign(&shared) {
        return shared;
    }
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    state.map_or(shared, |state| state.join("sprongus/work"))
}

/// Whether something is there that this user did not make.
fn is_foreign(path: &Path) -> bool {
    let own = rustix::process::geteuid().as_raw();
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.uid() != own || !metadata.is_dir())
}

#[cfg(test)]
mod tests;
