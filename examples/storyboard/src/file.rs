//! Files in and out: bounded reads of regular files, and writes that are either all there or not there at all.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Reads a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::at("read", path, &error);
    // Asked before opening, because opening a named pipe waits for its writer.
    let kind = fs::metadata(path).map_err(failed)?;
    if kind.is_dir() {
        return Err(Failure::Refused(format!("cannot read {}: is a directory", path.display())));
    }
    if !kind.is_file() {
        return Err(Failure::Refused(format!("cannot read {}: not a regular file", path.display())));
    }
    let mut bytes = Vec::new();
    // Counted while reading: a file's stated length may be wrong, or no longer true.
    File::open(path).map_err(failed)?.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        let limit = limit / (1024 * 1024);
        return Err(Failure::Refused(format!("cannot read {}: larger than {limit} MiB", path.display())));
    }
    Ok(bytes)
}

/// The same, or nothing where there is no such file.
pub(crate) fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Ok(None);
    }
    read(path, limit).map(Some)
}

/// Text without its byte order mark; whatever is not UTF-8, or holds a NUL, is no text.
pub(crate) fn text(path: &Path, bytes: Vec<u8>) -> Result<String, Failure> {
    let refuse = |what: &str| Failure::Refused(format!("cannot read {}: {what}", path.display()));
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(refuse("UTF-16 text, save it as UTF-8"));
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse("not UTF-8 text"))?;
    if text.contains('\0') {
        return Err(refuse("a binary file"));
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Puts `bytes` in the place of the file: a reader, or a power cut, finds the old file or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    // A link stays a link: it is the file behind it that is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    write_beside(&target, bytes).map_err(|error| Failure::at("write", path, &error))
}

fn write_beside(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        Some(_) | None => PathBuf::from("."),
    };
    let kept = fs::metadata(target).ok().map(|old| old.permissions());
    let mut draft = tempfile::Builder::new();
    draft.prefix(".storyboard-").suffix(".tmp").permissions(kept.clone().unwrap_or_else(as_umask_allows));
    let mut draft = draft.tempfile_in(&folder)?;
    draft.write_all(bytes)?;
    if let Some(kept) = kept {
        // The umask has narrowed what the builder asked for.
        draft.as_file().set_permissions(kept)?;
    }
    draft.as_file().sync_all()?;
    draft.persist(target).map_err(|failed| failed.error)?;
    // The new name is durable only once its folder is.
    File::open(&folder)?.sync_all()
}

fn as_umask_allows() -> Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    Permissions::from_mode(0o666)
}
