//! Artifacts on their way between a caller and the place of their bytes: counted, hashed, written before their row, deleted
//! after it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::rules::Act;
use crate::rules::artifact::{check_content_type, put, too_large};
use crate::run::Hold;
use crate::run::artifact::{
    Artifact, ArtifactName, Blobs, ByteRange, ByteStream, FileName, MAX_UPLOAD, NewFile, StoredFile,
};
use crate::store::Store;
use crate::values::ids::RunId;
use crate::workspace::caller::Caller;

/// Places asked for in one go when bytes are deleted.
const SWEEP: u32 = 100;

/// Where the bytes of artifacts are kept.
#[derive(Clone)]
pub(super) struct Files {
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) max_bytes: u64,
}

impl Files {
    /// Writes the bytes, then the row. The caller's hold is looked at before the first byte is read, and again with the row.
    pub(super) async fn put(
        &self,
        store: &dyn Store,
        caller: &Caller,
        hold: &Hold,
        name: FileName,
        content_type: &str,
        body: ByteStream,
    ) -> Result<StoredFile> {
        check_content_type(content_type)?;
        let (run, now) = (store.get(caller, hold.id).await?, store.now().await?);
        put(&run, hold, &name, 0, Act { now, actor: &caller.actor })?;
        let location = format!("{}/{}/{}", caller.workspace, hold.id, RunId::new());
        store.expect_blob(&location, now.plus(MAX_UPLOAD)).await?;
        let measure = Arc::new(Mutex::new(Measure::default()));
        let counted = Counted { body, measure: Arc::clone(&measure), max_bytes: self.max_bytes };
        let written = self.blobs.put(&location, Box::pin(counted)).await;
        let measure = std::mem::take(&mut *measure.lock().unwrap_or_else(PoisonError::into_inner));
        if measure.too_large {
            return Err(too_large(self.max_bytes));
        }
        written?;
        let file = NewFile {
            name,
            size: measure.bytes,
            sha256: measure.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            content_type: content_type.to_owned(),
            location,
        };
        store.put_file(caller, hold, file).await
    }

    /// The bytes of a file, and which of them.
    pub(super) async fn read(
        &self,
        file: &StoredFile,
        range: Option<ByteRange>,
    ) -> Result<(std::ops::Range<u64>, ByteStream)> {
        let size = file.file.size;
        let range = match range {
            None => 0..size,
            Some(range) => range.of(size).ok_or_else(|| {
                Error::validation(format!("range outside the artifact: its size is {size}"))
            })?,
        };
        if range.is_empty() {
            return Ok((range, Box::pin(Nothing)));
        }
        let body = self.blobs.get(&file.file.location, range.clone()).await?;
        Ok((range, body))
    }

    /// Deletes what is to be deleted.
    pub(super) async fn sweep(&self, store: &dyn Store) -> Result<u64> {
        let mut deleted = 0;
        loop {
            let unwanted = store.unwanted_blobs(SWEEP).await?;
            for location in &unwanted {
                self.blobs.delete(location).await?;
            }
            deleted += unwanted.len() as u64;
            store.forget_blobs(&unwanted).await?;
            if unwanted.len() < SWEEP as usize {
                return Ok(deleted);
            }
        }
    }
}

/// A file as everybody sees it.
pub(super) fn seen(run_id: RunId, name: ArtifactName, file: StoredFile) -> Artifact {
    let StoredFile { file, created_at } = file;
    Artifact {
        run_id,
        name,
        size: file.size,
        sha256: file.sha256,
        content_type: file.content_type,
        created_at,
    }
}

/// What is learned of bytes as they pass.
#[derive(Default)]
struct Measure {
    hash: Sha256,
    bytes: u64,
    too_large: bool,
}

/// Counts and hashes bytes on their way, and ends them where they are too many.
struct Counted {
    body: ByteStream,
    measure: Arc<Mutex<Measure>>,
    max_bytes: u64,
}

impl Stream for Counted {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.body.as_mut().poll_next(context));
        let Some(Ok(bytes)) = &next else { return Poll::Ready(next) };
        let mut measure = self.measure.lock().unwrap_or_else(PoisonError::into_inner);
        measure.bytes += bytes.len() as u64;
        if measure.bytes > self.max_bytes {
            measure.too_large = true;
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::FileTooLarge, "too many bytes"))));
        }
        measure.hash.update(bytes);
        drop(measure);
        Poll::Ready(next)
    }
}

/// No bytes at all.
struct Nothing;

impl Stream for Nothing {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
