//! Files that a run keeps: their names, what is known of them, and the seam to the place where their bytes lie.
//!
//! A store keeps a row of each, [`Blobs`] the bytes. The bytes are written first and the row refers to them, so a row never
//! promises bytes that are not there. What a row no longer refers to, or never came to, stands in the store's list of blobs to be
//! deleted until it is: see [`crate::store::Files::expect_blob`].

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::{Error, Result};
use crate::values::ids::RunId;
use crate::values::text::excerpt;
use crate::values::time::Timestamp;

/// The largest artifact where nothing else is configured: 1 GiB.
pub const MAX_ARTIFACT_BYTES: u64 = 1 << 30;

/// The most artifacts a run keeps.
pub const MAX_ARTIFACTS: usize = 1_000;

/// How long an upload may take: after that its bytes are deleted, and its row is refused.
pub const MAX_UPLOAD: Duration = Duration::from_secs(24 * 3_600);

/// Bytes as they come. An error ends it: what was read before is then a part, and no artifact.
pub type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An artifact's name: a relative path with `/`, 1 to 255 bytes, whose parts are printable and neither empty nor `.` nor `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactName(Arc<str>);

impl ArtifactName {
    /// What a name looks like, for hints.
    pub const RULE: &'static str = "use a relative path such as `report.md` or `out/report.md`: at most 255 printable bytes, without `\\`, empty parts, `.` or `..`";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a run's `outputRef` calls it: `artifact://<run>/<name>`.
    pub fn reference(&self, run: RunId) -> String {
        format!("artifact://{run}/{self}")
    }
}

impl FromStr for ArtifactName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let part = |part: &str| !part.is_empty() && part != "." && part != "..";
        let printable = |letter: char| !letter.is_control() && letter != '\\';
        if text.len() <= 255 && text.split('/').all(part) && text.chars().all(printable) {
            return Ok(Self(text.into()));
        }
        Err(Error::validation(format!("not an artifact name: {}", excerpt(text, 64))).with_hint(Self::RULE))
    }
}

impl fmt::Display for ArtifactName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

impl fmt::Debug for ArtifactName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for ArtifactName {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArtifactName {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
        text.parse().map_err(|fault: Error| de::Error::custom(fault.message()))
    }
}

/// Which of a run's files: an artifact, or the work directory that is kept while the run waits at a gate. The latter is a file like
/// the others to a store, but nobody's list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileName {
    /// A file that callers see, by its name.
    Artifact(ArtifactName),
    /// The kept work directory.
    Workdir,
}

impl FileName {
    /// What a store calls the kept work directory. No artifact can be called that.
    pub const WORKDIR: &'static str = "/workdir";

    /// The name as a store has it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Artifact(name) => name.as_str(),
            Self::Workdir => Self::WORKDIR,
        }
    }
}

/// An artifact as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// The run that keeps it.
    pub run_id: RunId,
    /// Its name among the run's.
    pub name: ArtifactName,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// What it is, as a media type.
    pub content_type: String,
    /// When it was kept.
    pub created_at: Timestamp,
}

/// A file as it was written, for its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Under which name the run keeps it.
    pub name: FileName,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// What it is, as a media type.
    pub content_type: String,
    /// Where its bytes lie: a key of [`Blobs`].
    pub location: String,
}

/// A file as a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// What was written when it was put.
    pub file: NewFile,
    /// When it was kept.
    pub created_at: Timestamp,
}

/// A part of an artifact, as a reader asks for it (RFC 9110, section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// From the first byte named to the last one named, or to the end.
    From(u64, Option<u64>),
    /// So many bytes of the end.
    Last(u64),
}

impl ByteRange {
    /// The bytes it means of `size`; none when it means none of them.
    pub fn of(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(first, last) => first..last.map_or(size, |last| last.saturating_add(1).min(size)),
            Self::Last(bytes) => size.saturating_sub(bytes)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// An artifact on its way to a reader.
pub struct Download {
    /// Name, size, hash and type of the whole artifact.
    pub artifact: Artifact,
    /// Which of its bytes follow.
    pub range: Range<u64>,
    /// The bytes of [`Download::range`], as they are read.
    pub body: ByteStream,
}

impl fmt::Debug for Download {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Download")
            .field("artifact", &self.artifact)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// The seam to a place for bytes: a folder, a bucket. A key is written once and never again, so a reader sees one content.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Keeps `body` under `key`. When this is answered, the bytes outlive a power cut. Nothing is kept when `body` ends with an
    /// error, which is then the answer's cause, or when the call is dropped.
    ///
    /// # Errors
    /// `unavailable` when the place cannot be reached or is full.
    async fn put(&self, key: &str, body: ByteStream) -> Result<()>;

    /// The bytes of `range` under `key`.
    ///
    /// # Errors
    /// `not_found` when there are none; `unavailable`.
    async fn get(&self, key: &str, range: Range<u64>) -> Result<ByteStream>;

    /// Deletes what is under `key`; nothing is deleted when nothing is there.
    ///
    /// # Errors
    /// `unavailable`.
    async fn delete(&self, key: &str) -> Result<()>;

    /// Where it is, for `doctor`: a folder or an address, without credentials.
    fn place(&self) -> String;
}

/// The bytes that a store says a run keeps: what a backup copies, and a check reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptBytes {
    /// Where they lie, as [`Blobs`] knows it.
    pub location: String,
    /// How many there are.
    pub size: u64,
    /// Their SHA-256 in hexadecimal.
    pub sha256: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_that_stays_inside() {
        for good in ["report.md", "out/a b/ü.json", ".hidden", "a..b"] {
            assert_eq!(good.parse::<ArtifactName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(256);
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\nb",
            "a\0",
            &long,
            FileName::WORKDIR,
        ] {
            assert!(bad.parse::<ArtifactName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_range_means_bytes_that_are_there() {
        for (asked, size, meant) in [
            (ByteRange::From(0, None), 10, Some(0..10)),
            (ByteRange::From(2, Some(4)), 10, Some(2..5)),
            (ByteRange::From(9, Some(u64::MAX)), 10, Some(9..10)),
            (ByteRange::From(10, None), 10, None),
            (ByteRange::From(5, Some(4)), 10, None),
            (ByteRange::Last(3), 10, Some(7..10)),
            (ByteRange::Last(99), 10, Some(0..10)),
            (ByteRange::Last(0), 10, None),
            (ByteRange::From(0, None), 0, None),
        ] {
            assert_eq!(asked.of(size), meant, "{asked:?} of {size}");
        }
    }
}
