//! Bytes on their way into a place: one part in memory at a time, and nothing left of what did not arrive whole.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use sprongus_core::run::artifact::ByteStream;
use sprongus_core::{Error, Result};
use tokio::runtime::Handle;

use crate::fault::{self, Doing};

/// A part, in bytes: S3 takes none smaller than 5 MiB but the last, and 10,000 at most, which makes 78 GiB of these.
pub const PART: usize = 8 << 20;

/// Writes `body` to `path` in `store`, which is `place` in errors.
///
/// # Errors
/// `unavailable`, or what ended the body.
pub async fn write(store: &dyn ObjectStore, path: &Path, body: ByteStream, place: &str) -> Result<()> {
    let fault = |error| fault::of_store(Doing::Writing, place, &error);
    let mut parts = Parts::of(body);
    let first = parts.next().await?.unwrap_or_default();
    if parts.is_over {
        // One request instead of three.
        return store.put(path, PutPayload::from(first)).await.map(|_| ()).map_err(fault);
    }
    let mut upload = Upload(Some(store.put_multipart(path).await.map_err(fault)?));
    match upload.send(first, parts, fault).await {
        Ok(()) => Ok(()),
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

/// A body in parts of one size; the last one may be shorter.
pub struct Parts {
    body: ByteStream,
    kept: Bytes,
    is_over: bool,
}

impl Parts {
    pub fn of(body: ByteStream) -> Self {
        Self { body, kept: Bytes::new(), is_over: false }
    }

    /// The next part; none at the end.
    ///
    /// # Errors
    /// What ended the body.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut part = BytesMut::new();
        while part.len() < PART && !self.is_over {
            let taken = self.kept.split_to(self.kept.len().min(PART - part.len()));
            part.extend_from_slice(&taken);
            if part.len() < PART {
                match self.body.next().await {
                    Some(Ok(bytes)) => self.kept = bytes,
                    Some(Err(error)) => return Err(fault::of_body(error)),
                    None => self.is_over = true,
                }
            }
        }
        Ok(Some(part.freeze()).filter(|part| !part.is_empty()))
    }
}

/// An upload under way, given up when it is dropped: S3 keeps, and charges for, the parts of one that nobody gave up.
struct Upload(Option<Box<dyn MultipartUpload>>);

impl Upload {
    async fn send(
        &mut self,
        first: Bytes,
        mut parts: Parts,
        fault: impl Fn(object_store::Error) -> Error,
    ) -> Result<()> {
        let Some(upload) = &mut self.0 else { return Ok(()) };
        let mut part = Some(first);
        while let Some(bytes) = part {
            upload.put_part(PutPayload::from(bytes)).await.map_err(&fault)?;
            part = parts.next().await?;
        }
        upload.complete().await.map_err(&fault)?;
        self.0 = None;
        Ok(())
    }

    /// What cannot be given up now is not there, or is for the bucket's own rules to end.
    async fn abort(&mut self) {
        if let Some(mut upload) = self.0.take() {
            let _ = upload.abort().await;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut upload) = self.0.take() else { return };
        if let Ok(runtime) = Handle::try_current() {
            // Whoever waited is gone: nobody is left to be told.
            drop(runtime.spawn(async move { upload.abort().await }));
        }
    }
}
