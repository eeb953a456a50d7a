//! Removes an attempt's folder, whatever its commands have done to it: what may hold a secret first, then the rest.
//!
//! A command runs as the worker's own user, so it can shut folders (`chmod`), move them, put links in their place, or nest them
//! deeper than a path is long. So nothing here follows a link or a path into the folder, what is shut is opened, and what cannot be
//! removed does not keep the rest from being removed.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, chmodat, fchmod, openat, renameat, unlinkat};
use rustix::io::Errno;

/// The work directory; everything beside it is the worker's own, and may hold a secret.
const WORK: &CStr = c"work";

/// Opens a folder of this user's, for reading and writing, even one that was shut.
///
/// # Errors
/// Also for a link, and for a folder of somebody else that is shut.
pub(super) fn open_folder(path: &Path) -> io::Result<File> {
    let open = || {
        let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
        fs::OpenOptions::new().read(true).custom_flags(flags).open(path)
    };
    match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let metadata = fs::symlink_metadata(path)?;
            if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
                return Err(error);
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            open()
        }
        opened => opened,
    }
}

/// Removes the files beside the work directory: the input with its resolved secrets, output files, what was spilled.
///
/// # Errors
/// The first failure; the other files are gone.
pub(super) fn remove_secrets(folder: &File) -> io::Result<()> {
    let mut result = Ok(());
    for name in names(folder)?.iter().filter(|name| name.as_c_str() != WORK) {
        match unlinkat(folder, name, AtFlags::empty()) {
            // A folder in the place of a file; it goes with the rest.
            Ok(()) | Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => {}
            Err(error) => keep_first(&mut result, error),
        }
    }
    result
}

/// Removes everything in `folder`, then whatever lies at `path`, where it was made.
///
/// # Errors
/// The first failure; what could be removed is gone.
pub(super) fn remove_all(path: &Path, folder: &File) -> io::Result<()> {
    let emptied = empty(folder);
    emptied.and(remove_at(path))
}

fn remove_at(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = open_folder(parent)?;
    let removed = match unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::ACCESS) => {
            fchmod(&parent, Mode::RWXU)?;
            unlinkat(&parent, name, AtFlags::empty())
        }
        removed => removed,
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {
            // Usually the folder that was emptied; a command may have moved that, and made another.
            empty(&open_folder(path)?)?;
            Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Removes everything in a folder. Folders below are moved up into it before they are emptied, so neither their depth nor the
/// length of their paths matters.
fn empty(folder: &File) -> io::Result<()> {
    let mut result = Ok(());
    let mut left = names(folder)?;
    let mut moved = 0_u64;
    while let Some(name) = left.pop() {
        match unlinkat(folder, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => {
                keep_first(&mut result, error);
                continue;
            }
        }
        if let Err(error) = lift(folder, &name, &mut left, &mut moved) {
            keep_first(&mut result, error);
        }
        match unlinkat(folder, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => keep_first(&mut result, error),
        }
    }
    result
}

/// Removes the files of the folder `name` in `top`, and moves its folders into `top`, where they are `left` to be removed.
fn lift(top: &File, name: &CStr, left: &mut Vec<CString>, moved: &mut u64) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = match openat(top, name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            chmodat(top, name, Mode::RWXU, AtFlags::empty())?;
            openat(top, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    let folder = File::from(folder);
    let mut result = Ok(());
    for inner in names(&folder)? {
        match unlinkat(&folder, &inner, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(error) => {
                keep_first(&mut result, error);
                continue;
            }
        }
        // An empty one needs no place of its own, and may be somebody else's.
        if unlinkat(&folder, &inner, AtFlags::REMOVEDIR).is_ok() {
            continue;
        }
        // To move a folder is to write into it.
        let opened = chmodat(&folder, &inner, Mode::RWXU, AtFlags::empty());
        *moved += 1;
        let place = CString::new(format!(".removed-{}-{moved}", fastrand::u64(..)))?;
        match opened.and_then(|()| renameat(&folder, &inner, top, &place)) {
            Ok(()) => left.push(place),
            Err(error) => keep_first(&mut result, error),
        }
    }
    result
}

/// The names in a folder, which is opened for its owner first.
fn names(folder: &File) -> io::Result<Vec<CString>> {
    // That of somebody else stays as it is, and may let itself be read all the same.
    let _ = fchmod(folder, Mode::RWXU);
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn keep_first(result: &mut io::Result<()>, error: impl Into<io::Error>) {
    if result.is_ok() {
        *result = Err(error.into());
    }
}
