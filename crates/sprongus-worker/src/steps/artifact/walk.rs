//! Finds and opens files below a folder, whatever somebody makes of it meanwhile: each folder is opened from the one it lies in,
//! by its plain name and never through a symlink, so no path leads out. Only regular files are opened; opening another would
//! wait, or do something.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;
use sprongus_core::run::artifact::{ArtifactName, MAX_ARTIFACTS};
use sprongus_core::values::text::excerpt;

use super::pattern::Pattern;

/// The most files and folders that are looked at for one step.
const MOST_SEEN: usize = 50_000;

/// The most folders within folders.
const DEEPEST: usize = 64;

/// The most words about what is left out.
const MOST_LEFT_OUT: usize = 100;

/// What patterns mean.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of their names.
    pub(super) files: BTreeSet<ArtifactName>,
    /// What matches, and is not kept, and why.
    pub(super) left_out: BTreeSet<String>,
}

/// Why they mean nothing that could be kept.
#[derive(Debug)]
pub(super) enum WalkFault {
    /// A pattern means no file; that many files the others mean, which are not kept either.
    Nothing {
        pattern: String,
        instead: Option<String>,
        others: usize,
    },
    TooManyFiles,
    TooManySeen,
    TooDeep(String),
    Unreadable {
        path: String,
        kind: io::ErrorKind,
    },
}

impl WalkFault {
    /// Whether another attempt may leave other files.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Nothing { .. } | Self::Unreadable { .. } => true,
            Self::TooManyFiles | Self::TooManySeen | Self::TooDeep(_) => false,
        }
    }
}

impl fmt::Display for WalkFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing { pattern, instead, others } => {
                write!(out, "no file matches {pattern}")?;
                if let Some(what) = instead {
                    write!(out, ": {what}")?;
                }
                match others {
                    0 => Ok(()),
                    1 => out.write_str("; nothing is kept, not even the 1 file that matches"),
                    _ => write!(out, "; nothing is kept, not even the {others} files that match"),
                }
            }
            Self::TooManyFiles => {
                write!(out, "more than {MAX_ARTIFACTS} files match: store an archive of them instead")
            }
            Self::TooManySeen => {
                write!(out, "more than {MOST_SEEN} files and folders to search: use a narrower pattern")
            }
            Self::TooDeep(path) => write!(out, "folders nested deeper than {DEEPEST}: {path}"),
            Self::Unreadable { path, kind } => write!(out, "cannot be read: {path} ({kind})"),
        }
    }
}

/// Which files below `folder` the patterns mean. Each of them means one at least.
pub(super) fn find(folder: &Path, patterns: &[Pattern]) -> Result<Found, WalkFault> {
    let root = open_folder(CWD, folder).map_err(|error| unreadable("the work directory", error))?;
    let mut walk = Walk { found: Found::default(), matched: 0, instead: None, seen: 0 };
    let mut missing = None;
    for pattern in patterns {
        (walk.matched, walk.instead) = (0, None);
        walk.pattern(&root, pattern)?;
        if walk.matched == 0 {
            missing.get_or_insert((pattern.to_string(), walk.instead.take()));
        }
    }
    match missing {
        Some((pattern, instead)) => {
            Err(WalkFault::Nothing { pattern, instead, others: walk.found.files.len() })
        }
        None => Ok(walk.found),
    }
}

/// Opens the regular file at the relative `path` below `folder`.
pub(super) fn open(folder: &Path, path: &Path) -> io::Result<File> {
    let refused = || io::Error::new(io::ErrorKind::InvalidInput, "not a plain path");
    let (parent, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().ok_or_else(refused)?);
    let mut inside = open_folder(CWD, folder)?;
    for part in parent.components() {
        let Component::Normal(part) = part else { return Err(refused()) };
        inside = open_folder(inside.as_fd(), Path::new(part))?;
    }
    // Not to wait for the other end, should it be a FIFO by now.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(&inside, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file.into())
}

fn open_folder(inside: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(inside, path, flags, Mode::empty())
}

fn unreadable(path: &str, error: Errno) -> WalkFault {
    WalkFault::Unreadable { path: excerpt(path, 100), kind: io::Error::from(error).kind() }
}

struct Walk {
    found: Found,
    /// What the pattern at hand has matched.
    matched: usize,
    /// What is in the place of what it means.
    instead: Option<String>,
    seen: usize,
}

impl Walk {
    fn pattern(&mut self, root: &OwnedFd, pattern: &Pattern) -> Result<(), WalkFault> {
        let (name, folders) = match pattern.base.split_last() {
            Some((name, folders)) if pattern.is_plain() => (Some(name), folders),
            Some(_) | None => (None, pattern.base.as_slice()),
        };
        let mut folder = root.try_clone().map_err(|error| WalkFault::Unreadable {
            path: "the work directory".to_owned(),
            kind: error.kind(),
        })?;
        let mut path = String::new();
        for part in folders {
            self.see()?;
            let inside = open_folder(folder.as_fd(), Path::new(part));
            path = joined(&path, part);
            folder = match inside {
                Ok(inside) => inside,
                Err(Errno::NOENT) => return Ok(()),
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    self.instead = Some(format!("{} is not a folder", excerpt(&path, 100)));
                    return Ok(());
                }
                Err(error) => return Err(unreadable(&path, error)),
            };
        }
        match name {
            Some(name) => self.one(&folder, &path, name),
            None => self.folder(&folder, &path, pattern, 0),
        }
    }

    /// A plain path's own file.
    fn one(&mut self, folder: &OwnedFd, path: &str, name: &str) -> Result<(), WalkFault> {
        self.see()?;
        let path = joined(path, name);
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let kind = FileType::from_raw_mode(stat.st_mode);
                if kind == FileType::Directory {
                    self.instead = Some(format!("it is a folder; use {path}/** for the files in it"));
                    return Ok(());
                }
                self.take(&path, kind)
            }
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(unreadable(&path, error)),
        }
    }

    fn folder(
        &mut self,
        folder: &OwnedFd,
        path: &str,
        pattern: &Pattern,
        depth: usize,
    ) -> Result<(), WalkFault> {
        let entries = Dir::read_from(folder).map_err(|error| unreadable(path, error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(path, error))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.see()?;
            let Ok(text) = name.to_str() else {
                self.leave_out(format!(
                    "{}, whose name is not UTF-8",
                    excerpt(&joined(path, &name.to_string_lossy()), 100)
                ));
                continue;
            };
            let mut kind = entry.file_type();
            // Some file systems do not tell here.
            if kind == FileType::Unknown {
                let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
                kind = FileType::from_raw_mode(stat.st_mode);
            }
            let inner = joined(path, text);
            if kind != FileType::Directory {
                if pattern.matches(&inner) {
                    self.take(&inner, kind)?;
                }
            } else if depth < pattern.depth {
                if depth >= DEEPEST {
                    return Err(WalkFault::TooDeep(excerpt(&inner, 100)));
                }
                match open_folder(folder.as_fd(), Path::new(text)) {
                    Ok(inside) => self.folder(&inside, &inner, pattern, depth + 1)?,
                    // Gone, or something else by now.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(error) => return Err(unreadable(&inner, error)),
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &str, kind: FileType) -> Result<(), WalkFault> {
        let what = match kind {
            FileType::RegularFile => match path.parse() {
                Ok(name) => {
                    self.matched += 1;
                    self.found.files.insert(name);
                    let many = self.found.files.len() > MAX_ARTIFACTS;
                    return if many { Err(WalkFault::TooManyFiles) } else { Ok(()) };
                }
                Err(_) => "whose name is not a valid artifact name",
            },
            FileType::Symlink => "a symlink",
            FileType::Fifo => "a FIFO",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::Directory | FileType::Unknown => "not a regular file",
        };
        let shown = excerpt(path, 100);
        self.instead = Some(format!("{shown} is left out, {what}"));
        self.leave_out(format!("{shown}, {what}"));
        Ok(())
    }

    fn leave_out(&mut self, what: String) {
        if self.found.left_out.len() < MOST_LEFT_OUT {
            self.found.left_out.insert(what);
        }
    }

    fn see(&mut self) -> Result<(), WalkFault> {
        self.seen += 1;
        if self.seen > MOST_SEEN { Err(WalkFault::TooManySeen) } else { Ok(()) }
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_beyond_its_bounds_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let all = [Pattern::new("**").unwrap()];
        let find = || find(folder.path(), &all).map(|found| found.files.len());
        for number in 0..MAX_ARTIFACTS {
            std::fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(find().unwrap(), MAX_ARTIFACTS);
        std::fs::write(folder.path().join("one-more"), "").unwrap();
        let fault = find().unwrap_err();
        assert_eq!(fault.to_string(), "more than 1000 files match: store an archive of them instead");
        assert!(!fault.may_pass());

        let folder = tempfile::tempdir().unwrap();
        let mut path = folder.path().to_owned();
        (0..=DEEPEST + 1).for_each(|_| path.push("d"));
        std::fs::create_dir_all(&path).unwrap();
        let fault = super::find(folder.path(), &all).unwrap_err();
        assert!(fault.to_string().starts_with("folders nested deeper than 64: d/d/"), "{fault}");
    }

    #[test]
    fn nothing_is_opened_through_a_link_or_by_a_way_up() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir_all(work.join("in")).unwrap();
        std::fs::write(work.join("in/file"), "inside").unwrap();
        std::fs::write(folder.path().join("secret"), "outside").unwrap();
        std::os::unix::fs::symlink("..", work.join("up")).unwrap();
        std::os::unix::fs::symlink("../secret", work.join("secret")).unwrap();
        assert!(open(&work, Path::new("in/file")).is_ok());
        for path in ["up/secret", "secret", "../secret", "in/../../secret", "in", "/etc/passwd"] {
            assert!(open(&work, Path::new(path)).is_err(), "{path}");
        }
    }
}
