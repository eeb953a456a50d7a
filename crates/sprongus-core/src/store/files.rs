//! The rows of files, and the places whose bytes are to be deleted.

use async_trait::async_trait;

use crate::error::Result;
use crate::run::Hold;
use crate::run::artifact::{Artifact, FileName, NewFile, StoredFile};
use crate::values::ids::RunId;
use crate::values::time::Timestamp;
use crate::workspace::caller::Caller;

/// The rows of files. Their bytes are kept by [`crate::Blobs`].
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Notes that bytes are about to be written under `location`: unless [`Files::put_file`] gives them a row before `due`, they are
    /// to be deleted then. So bytes whose writer died are found.
    async fn expect_blob(&self, location: &str, due: Timestamp) -> Result<()>;

    /// Gives written bytes a row under a hold, in place of the file of the same name, whose bytes are to be deleted from then on.
    /// Refused as `unavailable` when the bytes were not expected, or not any more: then they may be deleted at any time. The same
    /// file again changes nothing.
    async fn put_file(&self, caller: &Caller, hold: &Hold, file: NewFile) -> Result<StoredFile>;

    /// Lets go of a file under a hold; its bytes are to be deleted from then on. Nothing happens when there is none.
    async fn drop_file(&self, caller: &Caller, hold: &Hold, name: &FileName) -> Result<()>;

    /// A run's artifacts, by name in the order of its bytes. The kept work directory is none.
    async fn artifacts(&self, caller: &Caller, id: RunId) -> Result<Vec<Artifact>>;

    /// A file of a run; `not_found` when it keeps none of that name.
    async fn file(&self, caller: &Caller, id: RunId, name: &FileName) -> Result<StoredFile>;

    /// Up to `limit` places whose bytes are to be deleted now: of rows that are gone, with their run, its workspace or by another
    /// file's coming, and of uploads that never got a row. Whose they were is not told.
    async fn unwanted_blobs(&self, limit: u32) -> Result<Vec<String>>;

    /// Notes that the bytes at these places are deleted.
    async fn forget_blobs(&self, locations: &[String]) -> Result<()>;
}
