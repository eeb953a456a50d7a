//! Whether the files that this process has open are still those that others find under their names, and still a database. A file that was
//! deleted, moved, replaced, emptied or written over goes on taking writes, which nobody finds afterwards; so nothing is acknowledged then.
//!
//! What is not seen is another database's bytes, or older ones of this, copied into the file itself (`cp`): others write into it too,
//! and what they write looks the same from here.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use sprongus_core::{Error, ErrorCode};

/// What tells a file from any other that ever had its name: its device and its number there.
type Identity = (u64, u64);

/// The names of a database's files, and what was found under them when it was opened.
#[derive(Debug)]
pub struct FileGuard {
    file: Known,
    /// The log and its index.
    beside: Vec<Known>,
    /// The name it was opened by, where that leads to the file by links.
    link: Option<Known>,
    /// For its header. The file itself must not be opened: closing it again would drop the locks that this process has on it.
    log: Option<File>,
}

/// How a name is looked up: with a link at its end followed, or not.
type Look = fn(&Path) -> std::io::Result<Metadata>;

#[derive(Debug)]
struct Known {
    name: PathBuf,
    identity: Identity,
}

/// With which a log begins: in the byte order of its checksums.
const LOG_BEGINS: [[u8; 4]; 2] = [0x377f_0682_u32.to_be_bytes(), 0x377f_0683_u32.to_be_bytes()];

/// Why nothing may be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// There is no file of the name.
    Gone,
    /// There is another one.
    Replaced,
    /// It has lost what was in it.
    Overwritten,
}

impl Loss {
    /// What happened, in a line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "a database file was deleted or moved while in use",
            Self::Replaced => "a database file was replaced while in use",
            Self::Overwritten => "a database file was emptied or overwritten while in use",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Gone => {
                "restore the file with its -wal and -shm files, or stop every process that uses it and start again"
            }
            Self::Replaced => "stop every process that uses the database, then start again",
            Self::Overwritten => {
                "stop every process that uses the database, and restore a backup if `sprongus doctor --integrity` finds damage"
            }
        }
    }
}

impl From<Loss> for Error {
    fn from(loss: Loss) -> Self {
        Self::new(ErrorCode::Unavailable, loss.text()).with_hint(loss.remedy())
    }
}

impl FileGuard {
    /// Looks at the files of a database that a connection has just opened and read, so that its log is there.
    ///
    /// # Errors
    /// What happened to one that is gone already.
    pub fn of(file: &Path) -> Result<Self, Loss> {
        let name = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        // The log lies beside the file itself, not beside a link to it.
        let real = std::fs::canonicalize(&name).unwrap_or_else(|_| name.clone());
        let beside = ["-wal", "-shm"].map(|ending| {
            let mut name = real.clone().into_os_string();
            name.push(ending);
            PathBuf::from(name)
        });
        let log = beside.first().and_then(|log| File::open(log).ok());
        let link = (name != real).then(|| Known::of(name, file_behind)).transpose()?;
        let beside = beside.into_iter().filter_map(|name| Known::of(name, file_itself).ok());
        Ok(Self { beside: beside.collect(), file: Known::of(real, file_itself)?, link, log })
    }

    /// Whether all are as they were.
    ///
    /// # Errors
    /// What happened to the first that is not.
    pub fn check(&self) -> Result<(), Loss> {
        if let Some(link) = &self.link {
            link.find(file_behind)?;
        }
        for known in &self.beside {
            known.find(file_itself)?;
        }
        if self.file.find(file_itself)?.len() == 0 || !self.is_log_sound() {
            return Err(Loss::Overwritten);
        }
        Ok(())
    }

    /// Whether the log begins like one. Whoever puts it into the file may have cut it to nothing.
    fn is_log_sound(&self) -> bool {
        let Some(log) = &self.log else { return true };
        let mut beginning = [0; 4];
        match log.read_at(&mut beginning, 0) {
            Ok(read) => read == 0 || LOG_BEGINS.contains(&beginning),
            // The disk's own trouble is told by whoever writes there.
            Err(_) => true,
        }
    }
}

impl Known {
    fn of(name: PathBuf, look: Look) -> Result<Self, Loss> {
        let found = look(&name).map_err(|_| Loss::Gone)?;
        Ok(Self { identity: identity(&found), name })
    }

    fn find(&self, look: Look) -> Result<Metadata, Loss> {
        match look(&self.name) {
            Ok(found) if identity(&found) == self.identity => Ok(found),
            Ok(_) => Err(Loss::Replaced),
            // Or a folder on the way may not be entered any more: nobody else finds the file either.
            Err(_) => Err(Loss::Gone),
        }
    }
}

fn file_itself(name: &Path) -> std::io::Result<Metadata> {
    std::fs::symlink_metadata(name)
}

fn file_behind(name: &Path) -> std::io::Result<Metadata> {
    std::fs::metadata(name)
}

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}
