//! What a handler keeps as an artifact: bytes that it has, or a file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use sprongus_core::run::artifact::ByteStream;

use crate::execution::upload::bytes_of;

/// The bytes of an artifact.
#[derive(Clone, Debug)]
pub enum ArtifactBody {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Those of the regular file at this path, read as they are sent.
    File(PathBuf),
}

impl From<Bytes> for ArtifactBody {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for ArtifactBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for ArtifactBody {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&str> for ArtifactBody {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<PathBuf> for ArtifactBody {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

impl From<&Path> for ArtifactBody {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

/// A body that can be sent, and sent again.
pub(crate) enum Opened {
    Bytes(Bytes),
    File(Arc<File>),
}

impl ArtifactBody {
    pub(crate) async fn open(self) -> io::Result<Opened> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(Opened::Bytes(bytes)),
            Self::File(path) => path,
        };
        let open = move || {
            // Opening anything else might wait for ever, or do something.
            if !std::fs::metadata(&path)?.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
            }
            File::open(path)
        };
        let file = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
        Ok(Opened::File(Arc::new(file)))
    }
}

impl Opened {
    pub(crate) fn stream(&self) -> ByteStream {
        match self {
            Self::Bytes(bytes) => Box::pin(stream::iter([Ok(bytes.clone())])),
            Self::File(file) => bytes_of(Arc::clone(file)),
        }
    }
}
