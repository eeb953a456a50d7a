//! A folder that gets its name once everything is in it and on the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sprongus_core::{Error, ErrorCode, Result};

/// The folder under its preliminary name; dropped unfinished, it is gone.
pub struct Draft {
    folder: PathBuf,
    partial: PathBuf,
    is_finished: bool,
}

/// What could not be done with a file.
pub fn failed(what: &str, path: &Path, error: &io::Error) -> Error {
    Error::new(ErrorCode::Unavailable, format!("cannot {what} {}: {}", path.display(), error.kind()))
        .with_hint("check the folder's permissions and free disk space")
        .with_source(error.to_string())
}

/// Deletes a file.
///
/// # Errors
/// `unavailable`.
pub fn remove(file: &Path) -> Result<()> {
    fs::remove_file(file).map_err(|error| failed("remove", file, &error))
}

impl Draft {
    /// Begins a folder that is not there, or is empty; for its owner alone.
    ///
    /// # Errors
    /// `conflict` when there is something in it, or a backup into it is being made or was cut off; `unavailable`.
    pub fn begin(folder: &Path) -> Result<Self> {
        match fs::read_dir(folder) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    let message = format!("the folder is not empty: {}", folder.display());
                    return Err(Error::new(ErrorCode::Conflict, message).with_hint("use a new folder"));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("read", folder, &error)),
        }
        let name = folder.file_name().ok_or_else(|| {
            Error::validation("the backup needs a named folder").with_hint("use a new folder, such as backup")
        })?;
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = folder.with_file_name(partial);
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(|error| failed("make", parent, &error))?;
        }
        match DirBuilder::new().mode(0o700).create(&partial) {
            Ok(()) => Ok(Self { folder: folder.to_owned(), partial, is_finished: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let message =
                    format!("another backup is in progress or was interrupted: {}", partial.display());
                Err(Error::new(ErrorCode::Conflict, message)
                    .with_hint("remove that folder if no backup is running"))
            }
            Err(error) => Err(failed("make", &partial, &error)),
        }
    }

    /// Where it is made.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Writes a file for its owner alone.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.partial.join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.and_then(|mut file| file.write_all(content)).map_err(|error| failed("write", &path, &error))
    }

    /// Gives the folder its name, once it is on the disk.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn finish(mut self) -> Result<()> {
        let written = File::open(&self.partial).and_then(|folder| Ok(rustix::fs::syncfs(&folder)?));
        written.map_err(|error| failed("write", &self.partial, &error))?;
        fs::rename(&self.partial, &self.folder).map_err(|error| failed("make", &self.folder, &error))?;
        self.is_finished = true;
        let parent = self.folder.parent().filter(|parent| !parent.as_os_str().is_empty());
        let named = File::open(parent.unwrap_or(Path::new("."))).and_then(|parent| parent.sync_all());
        named.map_err(|error| failed("write", &self.folder, &error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_finished {
            // What led here is told; a rest that cannot be removed has a name that says it is one.
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}
