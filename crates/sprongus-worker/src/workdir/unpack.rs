//! Unpacks a kept work directory.
//!
//! It comes from wherever files are kept, so nothing in it is believed: a tar that [`super::pack`] would not have made is
//! refused whole. Entries are made below descriptors of folders that were opened one by one, never through a link, and only
//! where nothing is yet; so nothing is ever written outside. Only a buffer of it is in memory.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, Mode, OFlags, Timestamps, fchmod, futimens, mkdirat, open, openat, symlinkat, utimensat,
};
use rustix::io::Errno;
use sprongus_core::run::artifact::ByteStream;
use tar::{Archive, Entry};

use super::bounds::{DEEPEST, LONGEST_PATH, MOST_BYTES, STATE, WORK, stays_inside, weight};
use super::header::{field, mode, times};
use super::holes::{Map, SPARSE};
use super::source::Source;

const BUFFER: usize = 64 * 1024;

/// A larger state is none: its greatest part is a result of at most 1 MiB.
const LARGEST_STATE: u64 = 8 << 20;

/// Why a work directory cannot be put in place.
#[derive(Debug)]
pub(crate) enum UnpackFault {
    /// Its bytes ended with an error; they may be had again.
    Interrupted(io::Error),
    /// It is not what a worker packs.
    Foreign(String),
    /// This machine cannot take it.
    Local(io::Error),
}

impl fmt::Display for UnpackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted(error) => write!(f, "cannot read the kept work directory: {error}"),
            Self::Foreign(why) => write!(f, "refused the kept work directory: {why}"),
            Self::Local(error) => write!(f, "cannot restore the kept work directory: {error}"),
        }
    }
}

/// Unpacks into the folder `work`, which exists and is empty; answers the state beside it.
pub(crate) async fn unpack(body: ByteStream, work: PathBuf) -> Result<Vec<u8>, UnpackFault> {
    let (source, feed) = Source::of(body);
    let interrupted = source.interrupted();
    let task = tokio::task::spawn_blocking(move || Unpacker::new(&work, interrupted)?.all(source));
    feed.await;
    task.await.map_err(|error| UnpackFault::Local(io::Error::other(error.to_string())))?
}

struct Unpacker {
    root: OwnedFd,
    interrupted: Arc<AtomicBool>,
    bytes: u64,
    buffer: Vec<u8>,
    /// The folders, as they are to be when all is in them.
    folders: Vec<(Vec<u8>, Mode, Timestamps)>,
}

type Result<T, E = UnpackFault> = std::result::Result<T, E>;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const NEW_FILE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn foreign(why: impl Into<String>) -> UnpackFault {
    UnpackFault::Foreign(why.into())
}

/// What the system says of a name that the tar chose.
fn refused(error: Errno) -> UnpackFault {
    match error {
        Errno::EXIST => foreign("duplicate entry"),
        Errno::LOOP | Errno::NOTDIR => foreign("an entry is below a link or a file"),
        error => UnpackFault::Local(error.into()),
    }
}

impl Unpacker {
    fn new(work: &Path, interrupted: Arc<AtomicBool>) -> Result<Self> {
        let root = open(work, FOLDER, Mode::empty()).map_err(|error| UnpackFault::Local(error.into()))?;
        Ok(Self { root, interrupted, bytes: 0, buffer: vec![0; BUFFER], folders: Vec::new() })
    }

    fn all(&mut self, source: Source) -> Result<Vec<u8>> {
        let mut archive = Archive::new(source);
        // Raw, for otherwise names of any length would be read into memory.
        let entries = archive.entries().map_err(|error| self.unread(&error))?.raw(true);
        let (mut path, mut target) = (None, None);
        for entry in entries {
            let mut entry = entry.map_err(|error| self.unread(&error))?;
            let size = entry.header().entry_size().map_err(|error| self.unread(&error))?;
            self.bytes = self.bytes.saturating_add(weight(size));
            if self.bytes > MOST_BYTES + LARGEST_STATE {
                return Err(foreign("it is larger than 1 GiB"));
            }
            match entry.header().entry_type().as_byte() {
                b'L' => path = Some(self.text(&mut entry, size)?),
                b'K' => target = Some(self.text(&mut entry, size)?),
                kind => {
                    let name = path.take().unwrap_or_else(|| field(&entry.header().as_old().name));
                    if kind == b'0' && name == STATE.as_bytes() {
                        self.finish_folders()?;
                        return self.state(&mut entry, size);
                    }
                    let (is_sparse, parts) = parts(&name)?;
                    let (parent, last) = self.parent(&parts)?;
                    match kind {
                        b'0' if is_sparse => self.sparse(&mut entry, size, &parent, last)?,
                        _ if is_sparse => return Err(foreign("it has holes outside of files")),
                        b'0' => self.file(&mut entry, size, &parent, last)?,
                        b'5' => {
                            folder(&parent, last)?;
                            self.folders.push((name.clone(), mode(entry.header()), times(entry.header())));
                        }
                        b'2' => {
                            let target = target.take();
                            let target = target.unwrap_or_else(|| field(&entry.header().as_old().linkname));
                            if !stays_inside(parts.len() - 1, &target) {
                                return Err(foreign("a link leads out of it"));
                            }
                            symlinkat(OsStr::from_bytes(&target), &parent, last).map_err(refused)?;
                            let set =
                                utimensat(&parent, last, &times(entry.header()), AtFlags::SYMLINK_NOFOLLOW);
                            set.map_err(|error| UnpackFault::Local(error.into()))?;
                        }
                        _ => {
                            return Err(foreign("it contains something other than files, folders and links"));
                        }
                    }
                }
            }
        }
        Err(foreign("it is incomplete"))
    }

    /// Of a failure to read: whether the stream broke, or what it brought is no tar.
    fn unread(&self, error: &io::Error) -> UnpackFault {
        if self.interrupted.load(Ordering::Relaxed) {
            return UnpackFault::Interrupted(io::Error::new(error.kind(), error.to_string()));
        }
        foreign("it is not a tar archive")
    }

    /// A name that is too long for a header.
    fn text(&self, entry: &mut Entry<'_, impl Read>, size: u64) -> Result<Vec<u8>> {
        if size > LONGEST_PATH as u64 + 1 {
            return Err(foreign("a name is too long"));
        }
        let mut text = self.whole(entry, size)?;
        if text.pop() != Some(0) {
            return Err(foreign("a name has no end"));
        }
        Ok(text)
    }

    fn state(&self, entry: &mut Entry<'_, impl Read>, size: u64) -> Result<Vec<u8>> {
        if size > LARGEST_STATE {
            return Err(foreign("a header is too large"));
        }
        self.whole(entry, size)
    }

    fn whole(&self, entry: &mut Entry<'_, impl Read>, size: u64) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        entry.read_to_end(&mut text).map_err(|error| self.unread(&error))?;
        if text.len() as u64 == size { Ok(text) } else { Err(foreign("it is incomplete")) }
    }

    /// The folder in which the last of `parts` is to be, made where it is not there yet.
    fn parent<'p>(&self, parts: &[&'p OsStr]) -> Result<(OwnedFd, &'p OsStr)> {
        let (name, above) = parts.split_last().ok_or_else(|| foreign("an entry has no name"))?;
        let mut folder = self.root.try_clone().map_err(UnpackFault::Local)?;
        for part in above {
            folder = match openat(&folder, *part, FOLDER, Mode::empty()) {
                Err(Errno::NOENT) => {
                    mkdirat(&folder, *part, Mode::RWXU).map_err(refused)?;
                    openat(&folder, *part, FOLDER, Mode::empty()).map_err(refused)?
                }
                opened => opened.map_err(refused)?,
            };
        }
        Ok((folder, name))
    }

    fn file(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        size: u64,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> Result<()> {
        let mut file = new_file(parent, name)?;
        self.fill(entry, &mut file, size)?;
        finish(&file, entry)
    }

    fn sparse(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        size: u64,
        parent: &OwnedFd,
        name: &OsStr,
    ) -> Result<()> {
        let map = match Map::read(entry, size) {
            Ok(map) => map.ok_or_else(|| foreign("a file's holes are not where they can be"))?,
            Err(error) => return Err(self.unread(&error)),
        };
        let mut file = new_file(parent, name)?;
        file.set_len(map.size).map_err(UnpackFault::Local)?;
        for (offset, length) in map.pieces {
            file.seek(io::SeekFrom::Start(offset)).map_err(UnpackFault::Local)?;
            self.fill(entry, &mut file, length)?;
        }
        finish(&file, entry)
    }

    /// Writes so many of the entry's bytes.
    fn fill(&mut self, entry: &mut Entry<'_, impl Read>, file: &mut File, length: u64) -> Result<()> {
        let mut left = length;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let read = entry.read(&mut self.buffer[..most]).map_err(|error| self.unread(&error))?;
            if read == 0 {
                return Err(foreign("it is incomplete"));
            }
            file.write_all(&self.buffer[..read]).map_err(UnpackFault::Local)?;
            left -= read as u64;
        }
        Ok(())
    }

    /// Gives the folders their modes and times, now that nothing is made in them any more; those within others first.
    fn finish_folders(&mut self) -> Result<()> {
        let local = |error: Errno| UnpackFault::Local(error.into());
        for (path, mode, times) in std::mem::take(&mut self.folders).into_iter().rev() {
            let (_, parts) = parts(&path)?;
            let (parent, name) = self.parent(&parts)?;
            let folder = openat(&parent, name, FOLDER, Mode::empty()).map_err(refused)?;
            fchmod(&folder, mode).map_err(local)?;
            futimens(&folder, &times).map_err(local)?;
        }
        Ok(())
    }
}

fn new_file(parent: &OwnedFd, name: &OsStr) -> Result<File> {
    Ok(openat(parent, name, NEW_FILE, Mode::RUSR | Mode::WUSR).map_err(refused)?.into())
}

/// Gives a file its mode and its time.
fn finish(file: &File, entry: &Entry<'_, impl Read>) -> Result<()> {
    let local = |error: Errno| UnpackFault::Local(error.into());
    fchmod(file.as_fd(), mode(entry.header())).map_err(local)?;
    futimens(file.as_fd(), &times(entry.header())).map_err(local)
}

/// Makes a folder that can be filled, whatever its mode is to be.
fn folder(parent: &OwnedFd, name: &OsStr) -> Result<()> {
    match mkdirat(parent, name, Mode::RWXU) {
        // It came after something in it. What is there may be something else.
        Err(Errno::EXIST) => openat(parent, name, FOLDER, Mode::empty()).map(drop).map_err(refused),
        made => made.map_err(refused),
    }
}

/// The path of an entry below the work directory, part by part; and whether it is of a file with holes.
fn parts(name: &[u8]) -> Result<(bool, Vec<&OsStr>)> {
    let mut parts = name.split(|byte| *byte == b'/');
    let first = parts.next();
    let is_sparse = first == Some(SPARSE.as_bytes());
    let inside = is_sparse || first == Some(WORK.as_bytes());
    let parts: Vec<_> = parts.map(OsStr::from_bytes).collect();
    let plain =
        |part: &&OsStr| !matches!(part.as_bytes(), b"" | b"." | b"..") && !part.as_bytes().contains(&0);
    if !inside || parts.is_empty() || !parts.iter().all(plain) {
        return Err(foreign("an entry is outside of it"));
    }
    if parts.len() > DEEPEST + 1 || name.len() > LONGEST_PATH {
        return Err(foreign("an entry is nested too deep"));
    }
    Ok((is_sparse, parts))
}
