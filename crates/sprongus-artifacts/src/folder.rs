//! Artifacts in a folder: for its owner alone, on the disk when they are answered, and gone without a trace when deleted.

mod staged;

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use rustix::fs::Access;
use sprongus_core::run::artifact::{Blobs, ByteStream};
use sprongus_core::{Error, Result};

use crate::fault::{self, Doing};
use crate::key;
use crate::upload::Parts;
use staged::{Staged, sync};

/// How much is read at once: each read waits for a thread, so that pieces of a few KiB would cost more than the reading.
const PIECE: u64 = 256 << 10;

/// A folder that may not be there yet.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Whether it can be written, or made where it is not there yet.
    ///
    /// # Errors
    /// `unavailable`.
    pub fn check(&self) -> Result<()> {
        let missing = Path::new(".");
        let nearest = self.root.ancestors().find(|path| path.exists()).unwrap_or(missing);
        let nearest = if nearest.as_os_str().is_empty() { missing } else { nearest };
        let kind = fs::metadata(nearest).map_err(|error| self.fault(Doing::Writing, &error))?;
        if !kind.is_dir() {
            return Err(self.fault(Doing::Writing, &ErrorKind::NotADirectory.into()));
        }
        rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| self.fault(Doing::Writing, &error.into()))
    }

    fn fault(&self, doing: Doing, error: &io::Error) -> Error {
        fault::of_file(doing, &self.place(), error)
    }

    /// Does what waits for the disk on a thread that may wait.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: Doing,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let root = self.root.clone();
        let done = tokio::task::spawn_blocking(move || work(&root)).await;
        let done = done.map_err(|error| Error::internal("a file task was interrupted").with_source(error))?;
        done.map_err(|error| self.fault(doing, &error))
    }
}

#[async_trait]
impl Blobs for Folder {
    async fn put(&self, key: &str, body: ByteStream) -> Result<()> {
        key::path(key)?;
        let below = PathBuf::from(key);
        let mut staged = self.blocking(Doing::Writing, move |root| stage(root, &below)).await?;
        let mut parts = Parts::of(body);
        while let Some(part) = parts.next().await? {
            let write = move |_: &Path| staged.write(&part).map(|()| staged);
            staged = self.blocking(Doing::Writing, write).await?;
        }
        self.blocking(Doing::Writing, move |_| staged.finish()).await
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<ByteStream> {
        key::path(key)?;
        let below = PathBuf::from(key);
        let open = move |root: &Path| {
            let file = File::open(root.join(below))?;
            Ok((file.metadata()?.len(), file))
        };
        let (size, file) = self.blocking(Doing::Reading, open).await?;
        if range.end > size {
            return Err(fault::unavailable(Doing::Reading, "the file is shorter than it was", &self.place()));
        }
        Ok(read(file, range))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        key::path(key)?;
        let below = PathBuf::from(key);
        self.blocking(Doing::Deleting, move |root| delete(root, &below)).await
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

/// Makes room for a file below `root`.
fn stage(root: &Path, file: &Path) -> io::Result<Staged> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        make_folders(root, file)?;
        // What another process that was killed has left there has a number too.
        match Staged::create(root.join(file), NUMBER.fetch_add(1, Ordering::Relaxed)) {
            // Somebody who deletes its neighbour has just taken the folder away.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) => {}
            staged => return staged,
        }
    }
}

/// Makes the folder of a file below `root`, and `root`, for their owner alone. When this is answered they outlive a power cut,
/// those too that another process has just made and not yet brought to the disk.
fn make_folders(root: &Path, file: &Path) -> io::Result<()> {
    let folder = root.join(file.parent().unwrap_or(Path::new("")));
    let outermost = root.ancestors().find(|path| path.is_dir()).unwrap_or(root).to_owned();
    DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    // The innermost is brought to the disk with the file itself.
    for folder in folder.ancestors().skip(1) {
        sync(folder)?;
        if folder == outermost || folder.as_os_str().is_empty() {
            break;
        }
    }
    Ok(())
}

/// Deletes the file, what an upload that was killed left of it (`<file>#<number>`), and the folders that are
/// empty then, so that deleted runs leave nothing behind.
fn delete(root: &Path, file: &Path) -> io::Result<()> {
    let Some(folder) = root.join(file).parent().map(Path::to_owned) else { return Ok(()) };
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let of_it = entry.file_name();
        let of_it = of_it.to_str().and_then(|found| found.strip_prefix(name));
        if of_it.is_some_and(|rest| rest.is_empty() || rest.starts_with('#')) {
            gone(fs::remove_file(entry.path()))?;
        }
    }
    let mut changed = folder.as_path();
    // One that is not empty is refused by the system, in one step with looking: another upload may be making files there.
    while changed != root && fs::remove_dir(changed).is_ok() {
        changed = changed.parent().unwrap_or(root);
    }
    // Or a power cut would bring back bytes that nobody knows of any more.
    gone(sync(changed))
}

fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn read(file: File, range: Range<u64>) -> ByteStream {
    Box::pin(futures_util::stream::try_unfold((file, range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || read_piece(file, range)).await;
        read.map_err(io::Error::other)?.map(Some)
    }))
}

fn read_piece(file: File, range: Range<u64>) -> io::Result<(Bytes, (File, Range<u64>))> {
    let wanted = PIECE.min(range.end - range.start);
    let mut piece = vec![0; usize::try_from(wanted).unwrap_or_default()];
    file.read_exact_at(&mut piece, range.start)?;
    Ok((piece.into(), (file, range.start + wanted..range.end)))
}

#[cfg(test)]
mod tests;
