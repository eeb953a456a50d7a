//! A place for bytes in memory, as strict as the promises of [`Blobs`], and bodies to bring there and back.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sprongus_core::run::artifact::{ByteStream, MAX_ARTIFACT_BYTES};
use sprongus_core::store::Store;
use sprongus_core::{Blobs, Error, ErrorCode, Result, RunsService};

/// Bytes in one piece of what is read, so that a reader is given several.
const PIECE: usize = 1_000;

/// A place in memory.
#[derive(Default)]
pub struct MemoryBlobs {
    kept: Mutex<BTreeMap<String, Bytes>>,
    is_stuck: AtomicBool,
    uploads: AtomicUsize,
}

/// Counts as an upload until it is dropped.
struct Uploading<'a>(&'a AtomicUsize);

impl<'a> Uploading<'a> {
    fn new(uploads: &'a AtomicUsize) -> Self {
        uploads.fetch_add(1, Ordering::SeqCst);
        Self(uploads)
    }
}

impl Drop for Uploading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl MemoryBlobs {
    /// The keys that have bytes, in order.
    pub fn keys(&self) -> Vec<String> {
        self.kept().keys().cloned().collect()
    }

    /// How many bodies are being read now.
    pub fn uploads(&self) -> usize {
        self.uploads.load(Ordering::SeqCst)
    }

    /// From now on refuses to delete anything, or no longer.
    pub fn stick(&self, is_stuck: bool) {
        self.is_stuck.store(is_stuck, Ordering::SeqCst);
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(why: &'static str) -> Error {
    Error::new(ErrorCode::Unavailable, why)
}

#[async_trait]
impl Blobs for MemoryBlobs {
    async fn put(&self, key: &str, mut body: ByteStream) -> Result<()> {
        let _uploading = Uploading::new(&self.uploads);
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            let broken = |error| unavailable("the bytes ended too soon").with_source(error);
            bytes.extend_from_slice(&piece.map_err(broken)?);
        }
        match self.kept().insert(key.to_owned(), bytes.into()) {
            None => Ok(()),
            Some(_) => Err(Error::internal(format!("a key was written twice: {key}"))),
        }
    }

    async fn get(&self, key: &str, range: Range<u64>) -> Result<ByteStream> {
        let missing = || Error::not_found(format_args!("bytes: {key}"));
        let kept = self.kept().get(key).cloned().ok_or_else(missing)?;
        let place = |at| usize::try_from(at).unwrap_or(usize::MAX);
        let (first, end) = (place(range.start), place(range.end));
        if first > end || end > kept.len() {
            return Err(missing());
        }
        let part = kept.slice(first..end);
        let pieces = (0..part.len()).step_by(PIECE);
        let pieces: Vec<io::Result<Bytes>> =
            pieces.map(|at| Ok(part.slice(at..part.len().min(at + PIECE)))).collect();
        Ok(Box::pin(stream::iter(pieces)))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if self.is_stuck.load(Ordering::SeqCst) {
            return Err(unavailable("the place deletes nothing now"));
        }
        self.kept().remove(key);
        Ok(())
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

/// A service that keeps the bytes of artifacts in memory, as the cases of the API need one.
pub fn service(store: Arc<dyn Store>) -> RunsService {
    RunsService::new(store).with_blobs(Arc::new(MemoryBlobs::default()), MAX_ARTIFACT_BYTES)
}

/// A body that comes in these pieces.
pub fn body(pieces: &[&[u8]]) -> ByteStream {
    let pieces: Vec<io::Result<Bytes>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

/// A body that breaks off behind these bytes.
pub fn broken_body(bytes: &'static [u8]) -> ByteStream {
    let broken = io::Error::new(io::ErrorKind::ConnectionReset, "broken off");
    Box::pin(stream::iter([Ok(Bytes::from_static(bytes)), Err(broken)]))
}

/// All of a body.
pub async fn read(mut body: ByteStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece.expect("bytes"));
    }
    bytes
}
