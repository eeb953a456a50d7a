//! A file on its way into a folder: beside its place until all of it is there and on the disk, and with holes for zeros.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Zeros of this length, which a file with holes is full of, are not written.
const HOLE: usize = 64 << 10;

static ZEROS: [u8; HOLE] = [0; HOLE];

/// Removed when it is dropped before it is finished.
#[derive(Debug)]
pub(super) struct Staged {
    file: File,
    size: u64,
    /// `<goal>#<number>`; none when it has become the goal.
    path: Option<PathBuf>,
    goal: PathBuf,
}

impl Staged {
    /// An empty file for its owner alone, in the folder of `goal`.
    ///
    /// # Errors
    /// As the system's; there is no such folder.
    pub(super) fn create(goal: PathBuf, number: u64) -> io::Result<Self> {
        let mut path = OsString::from(&goal);
        path.push(format!("#{number}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, size: 0, path: Some(path.into()), goal })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// As the system's.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(HOLE) {
            if piece != &ZEROS[..piece.len()] {
                self.file.write_all_at(piece, self.size)?;
            }
            self.size += piece.len() as u64;
        }
        self.file.set_len(self.size)
    }

    /// Brings it to the disk and into its place.
    ///
    /// # Errors
    /// As the system's.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(path) = &self.path {
            fs::rename(path, &self.goal)?;
        }
        self.path = None;
        sync(self.goal.parent().unwrap_or(Path::new("")))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed is found by its name when the file is deleted.
            let _ = fs::remove_file(path);
        }
    }
}

/// Brings what a folder holds, names and not contents, to the disk.
///
/// # Errors
/// As the system's.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
}
