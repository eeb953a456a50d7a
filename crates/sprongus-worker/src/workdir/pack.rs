//! Packs a work directory into a tar, as it is read.
//!
//! Regular files, folders, and links that stay inside; everything else is left out and named. Whatever a command has left
//! there may be meant to mislead, so folders are walked by their descriptors and no link is ever followed. A hard link is a
//! file like others: it becomes one of its own.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, openat, readlinkat, statat};
use rustix::io::Errno;
use sprongus_core::run::artifact::ByteStream;
use tar::{Builder, EntryType, Header};
use tokio::task::JoinHandle;

use super::bounds::{DEEPEST, LONGEST_PATH, MOST_BYTES, STATE, WORK, stays_inside, weight};
use super::content::{Exactly, Noting};
use super::header::{fill, header, mtime};
use super::holes::{Map, Pieces, SPARSE};
use super::pipe::{Pipe, pipe};

/// So many of those left out are named.
const NAMED: usize = 20;

/// A tar on its way. The task ends when all of it was read, or its reader is gone.
pub(crate) struct Packing {
    pub(crate) body: ByteStream,
    pub(crate) task: JoinHandle<Result<LeftOut, PackFault>>,
}

/// What was left out, for people.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    named: Vec<String>,
    count: usize,
}

/// Why a work directory cannot be packed.
#[derive(Debug)]
pub(crate) enum PackFault {
    TooLarge,
    Unreadable {
        path: String,
        error: io::Error,
    },
    /// Whoever took the stream has let it go.
    NobodyReads,
}

impl fmt::Display for PackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str(
                "the work directory is over 1 GiB, the limit while a run waits; before the gate, remove what is not needed after it",
            ),
            Self::Unreadable { path, error } => {
                write!(f, "cannot keep the work directory: {error}: {path}")
            }
            Self::NobodyReads => f.write_str("cannot keep the work directory: it was not read to its end"),
        }
    }
}

impl LeftOut {
    fn push(&mut self, path: &[u8], why: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(format!("not kept over the gate: {}: {why}", String::from_utf8_lossy(path)));
        }
    }

    /// A line for each, and one for those that are too many to be named.
    pub(crate) fn lines(self) -> impl Iterator<Item = String> {
        let more = self.count - self.named.len();
        let last = (more > 0).then(|| format!("not kept over the gate: {more} more"));
        self.named.into_iter().chain(last)
    }
}

/// Packs the folder `work`, and `state` beside it.
pub(crate) fn pack(work: PathBuf, state: Vec<u8>) -> Packing {
    let (pipe, body) = pipe();
    let task = tokio::task::spawn_blocking(move || {
        let mut packer = Packer { tar: Builder::new(pipe), bytes: 0, left_out: LeftOut::default() };
        let packed = packer.all(&work, &state);
        let failure = packed.as_ref().err().map(ToString::to_string);
        packer.tar.get_mut().end(failure).map_err(unread)?;
        packed.map(|()| packer.left_out)
    });
    Packing { body, task }
}

struct Packer {
    tar: Builder<Pipe>,
    bytes: u64,
    left_out: LeftOut,
}

/// A failure to write is the reader's doing.
fn unread(_: io::Error) -> PackFault {
    PackFault::NobodyReads
}

fn unreadable(path: &[u8]) -> impl FnOnce(Errno) -> PackFault {
    let path = String::from_utf8_lossy(path).into_owned();
    move |error| PackFault::Unreadable { path, error: error.into() }
}

/// Never through a link, and never waiting for the other end of a FIFO.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

impl Packer {
    fn all(&mut self, work: &Path, state: &[u8]) -> Result<(), PackFault> {
        let root =
            open(work, READ | OFlags::DIRECTORY, Mode::empty()).map_err(unreadable(WORK.as_bytes()))?;
        self.folder(&root, WORK.as_bytes(), 0)?;
        let header = header(EntryType::Regular, 0o600, state.len() as u64, (0, 0));
        self.put(header, STATE.as_bytes(), None, state)?;
        self.tar.finish().and_then(|()| self.tar.get_mut().flush()).map_err(unread)
    }

    fn folder(&mut self, folder: &OwnedFd, path: &[u8], depth: usize) -> Result<(), PackFault> {
        let entries = Dir::read_from(folder).map_err(unreadable(path))?;
        for entry in entries {
            let entry = entry.map_err(unreadable(path))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let path = [path, b"/", name].concat();
            let name = OsStr::from_bytes(name);
            if path.len() > LONGEST_PATH {
                self.left_out.push(&path, "its path is too long");
                continue;
            }
            match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => self.entry(folder.as_fd(), name, &path, &stat, depth)?,
                // What still runs there takes its things away.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(unreadable(&path)(error)),
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &OsStr,
        path: &[u8],
        stat: &Stat,
        depth: usize,
    ) -> Result<(), PackFault> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(folder, name, path)?,
            FileType::Directory if depth == DEEPEST => {
                self.left_out.push(path, "folders are nested too deep there")
            }
            FileType::Directory => {
                let inner = openat(folder, name, READ | OFlags::DIRECTORY, Mode::empty())
                    .map_err(unreadable(path))?;
                self.put(
                    header(EntryType::Directory, stat.st_mode, 0, mtime(stat)),
                    path,
                    None,
                    io::empty(),
                )?;
                self.folder(&inner, path, depth + 1)?;
            }
            FileType::Symlink => {
                let target = readlinkat(folder, name, Vec::new()).map_err(unreadable(path))?;
                if stays_inside(depth, target.as_bytes()) {
                    let header = header(EntryType::Symlink, 0o777, 0, mtime(stat));
                    self.put(header, path, Some(target.as_bytes()), io::empty())?;
                } else {
                    self.left_out.push(path, "a link that may lead out of the work directory");
                }
            }
            FileType::Fifo => self.left_out.push(path, "a FIFO"),
            FileType::Socket => self.left_out.push(path, "a socket"),
            FileType::CharacterDevice | FileType::BlockDevice => self.left_out.push(path, "a device"),
            FileType::Unknown => self.left_out.push(path, "not a file"),
        }
        Ok(())
    }

    fn file(&mut self, folder: BorrowedFd<'_>, name: &OsStr, path: &[u8]) -> Result<(), PackFault> {
        let file = openat(folder, name, READ, Mode::empty()).map_err(unreadable(path))?;
        let stat = fstat(&file).map_err(unreadable(path))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            self.left_out.push(path, "it was replaced");
            return Ok(());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(u64::MAX);
        if let Some(map) = Map::of(&file, size, blocks) {
            // Every path here is below `work`.
            let path = [SPARSE.as_bytes(), &path[WORK.len()..]].concat();
            let header = header(EntryType::Regular, stat.st_mode, map.packed(), mtime(&stat));
            let content = io::Cursor::new(map.head()).chain(Pieces::new(File::from(file), map));
            return self.put(header, &path, None, content);
        }
        let content = Exactly::new(File::from(file), size);
        self.put(header(EntryType::Regular, stat.st_mode, size, mtime(&stat)), path, None, content)
    }

    /// Writes an entry; names that do not fit its header go before it, as GNU tar has it.
    fn put(
        &mut self,
        mut header: Header,
        path: &[u8],
        target: Option<&[u8]>,
        content: impl Read,
    ) -> Result<(), PackFault> {
        let size = header.size().unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(weight(size));
        if self.bytes > MOST_BYTES {
            return Err(PackFault::TooLarge);
        }
        let fields = header.as_old_mut();
        let long_path = fill(&mut fields.name, path).then_some((EntryType::GNULongName, path));
        let long_target =
            target.filter(|target| fill(&mut fields.linkname, target)).map(|it| (EntryType::GNULongLink, it));
        for (kind, text) in [long_path, long_target].into_iter().flatten() {
            let text = [text, b"\0"].concat();
            let mut extension = super::header::header(kind, 0o600, text.len() as u64, (0, 0));
            fill(&mut extension.as_old_mut().name, b"././@LongLink");
            extension.set_cksum();
            self.tar.append(&extension, text.as_slice()).map_err(unread)?;
        }
        header.set_cksum();
        let mut failed = None;
        let content = Noting::new(content, &mut failed);
        match (self.tar.append(&header, content), failed) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(error)) => {
                Err(PackFault::Unreadable { path: String::from_utf8_lossy(path).into_owned(), error })
            }
            (Err(error), None) => Err(unread(error)),
        }
    }
}
