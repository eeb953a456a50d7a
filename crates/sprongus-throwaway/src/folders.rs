//! The folders of one server: its data and log in one, its socket in another, for a socket's path must be short.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::account::Account;
use crate::failure::{Doing as _, Result};

/// A socket's path has 107 bytes at most, of which its own name takes up to 20.
const LONGEST_SOCKET_FOLDER: usize = 80;

/// Where a server keeps what.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// Holds the data and the log.
    pub(crate) whole: PathBuf,
    /// Holds the socket.
    pub(crate) sockets: PathBuf,
}

/// Folders that go again unless somebody is found who looks after them.
pub(crate) struct Unguarded {
    whole: TempDir,
    sockets: TempDir,
}

impl Unguarded {
    /// Makes both, open to the account of the server and to root alone.
    pub(crate) fn create(parent: Option<&Path>, account: Account) -> Result<Self> {
        let temporary = std::env::temp_dir();
        let whole = create_in(parent.unwrap_or(&temporary), account)?;
        let sockets = create_in(&temporary, account)?;
        let is_short = sockets.path().as_os_str().len() <= LONGEST_SOCKET_FOLDER;
        let sockets = if is_short { sockets } else { create_in(Path::new("/tmp"), account)? };
        Ok(Self { whole, sockets })
    }

    /// Where they are.
    pub(crate) fn folders(&self) -> Folders {
        Folders { whole: self.whole.path().to_owned(), sockets: self.sockets.path().to_owned() }
    }

    /// Leaves them to a watchdog.
    pub(crate) fn keep(self) {
        let _ = (self.whole.keep(), self.sockets.keep());
    }
}

fn create_in(parent: &Path, account: Account) -> Result<TempDir> {
    let made = tempfile::Builder::new().prefix("sprongus-pg-").tempdir_in(parent);
    let made = made.doing(|| format!("make a folder in {}", parent.display()))?;
    account.give(made.path())?;
    Ok(made)
}

impl Folders {
    pub(crate) fn data(&self) -> PathBuf {
        self.whole.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.whole.join("log")
    }

    /// What the server says of itself while it runs.
    pub(crate) fn lock(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }

    /// Our part of the configuration. A file of its own, so that a standby starts from its own and not from a copy.
    pub(crate) fn options(&self) -> PathBuf {
        self.data().join("throwaway.conf")
    }

    /// Writes a file of the configuration down to the disk: it has to survive the power cuts that its server survives.
    pub(crate) fn write(&self, file: &Path, text: &str, account: Account) -> Result<()> {
        put(file, text, false).doing(|| format!("write {}", file.display()))?;
        account.give(file)
    }

    /// The same for a few more lines.
    pub(crate) fn append(&self, file: &Path, text: &str) -> Result<()> {
        put(file, text, true).doing(|| format!("write {}", file.display()))
    }

    /// What the server has logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read(self.log())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }
}

fn put(file: &Path, text: &str, at_the_end: bool) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut opened: File =
        options.create(true).write(true).append(at_the_end).truncate(!at_the_end).open(file)?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()
}
