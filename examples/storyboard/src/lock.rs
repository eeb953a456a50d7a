//! Whether somebody has a file open in an editor: the marks that editors leave beside a file they are at work on.
//!
//! Such a file may be half saved, and what we write may be overwritten a moment later, so the command steps back
//! with exit code 75 and the engine tries again after its backoff. Finding a lock is a look, not a promise: no lock
//! of ours is taken.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// The lock file that `script.pull` respects beside a screenplay: `.screenplay.fountain.lock`.
pub fn lock_path(file: &Path) -> PathBuf {
    mark(file, ".", ".lock")
}

/// Fails for now if the file is being edited.
pub(crate) fn check(file: &Path) -> Result<(), Failure> {
    // The editor may have been given the link or what it points to.
    let behind = fs::canonicalize(file).ok();
    let found = [Some(file), behind.as_deref()].into_iter().flatten().flat_map(marks).find(|mark| {
        // Emacs marks with a link that points nowhere, so the link itself is what counts.
        fs::symlink_metadata(mark).is_ok()
    });
    match found {
        Some(mark) => Err(Failure::Busy(format!(
            "{} is being edited: {} is there (remove it if no editor is running)",
            file.display(),
            mark.file_name().map(OsStr::to_string_lossy).unwrap_or_default()
        ))),
        None => Ok(()),
    }
}

/// A plain lock, LibreOffice's, Vim's and Emacs's.
fn marks(file: &Path) -> [PathBuf; 4] {
    [lock_path(file), mark(file, ".~lock.", "#"), mark(file, ".", ".swp"), mark(file, ".#", "")]
}

fn mark(file: &Path, before: &str, after: &str) -> PathBuf {
    let mut name = OsString::from(before);
    name.push(file.file_name().unwrap_or_default());
    name.push(after);
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_lies_beside_the_file() {
        assert_eq!(lock_path(Path::new("/a/s.fountain")), Path::new("/a/.s.fountain.lock"));
        assert_eq!(marks(Path::new("/a/s.fountain"))[1], Path::new("/a/.~lock.s.fountain#"));
    }

    #[test]
    fn a_file_beside_nothing_is_free() {
        assert!(check(Path::new("/nowhere/at/all.fountain")).is_ok());
    }
}
