//! Where the bytes of artifacts lie: in a folder, or in a bucket of an S3-compatible store.
//!
//! Both are [`Blobs`], and have one part of 8 MiB in memory at a time (`upload`). `folder` promises what an object store on files does not:
//! who may read it, holes for zeros, and that nothing is left of what was deleted. `bucket` is the crate `object_store` on the way to a
//! server. Which artifacts there are, and which bytes are to be deleted, the stores of runs know; nothing is listed here.
//!
//! A call that is dropped while its very last request is on its way may leave bytes behind, as a lost connection may. They are
//! found all the same: a location is noted in the store before its bytes are written, and swept when no row came to refer to it.

mod bucket;
mod fault;
mod folder;
mod key;
mod place;
mod upload;

use std::sync::Arc;

use sprongus_core::Result;
use sprongus_core::run::artifact::Blobs;

pub use place::Place;

use bucket::Bucket;
use folder::Folder;

/// Opens a place. Nothing is asked or made yet: a folder is made by the first artifact, and a server is first spoken to then.
pub fn open(place: &Place) -> Arc<dyn Blobs> {
    match place {
        Place::Folder(path) => Arc::new(Folder::new(path)),
        Place::Bucket { name, prefix } => Arc::new(Bucket::from_environment(name, prefix)),
    }
}

/// Whether the environment says of a bucket's server what it should; for a folder there is nothing to say. Nothing is asked.
///
/// # Errors
/// `validation`, with the name of the variable that is wrong.
pub fn check_environment(place: &Place) -> Result<()> {
    match place {
        Place::Folder(_) => Ok(()),
        Place::Bucket { .. } => bucket::environment().map(|_| ()),
    }
}

/// Whether artifacts can be kept there, told without leaving a trace. In a bucket a few bytes are written and deleted again, for
/// that is what a key may be allowed or not; a folder's permissions are looked at.
///
/// # Errors
/// `unavailable`, with what is amiss.
pub async fn check(place: &Place) -> Result<()> {
    match place {
        Place::Folder(path) => Folder::new(path).check(),
        Place::Bucket { name, prefix } => Bucket::from_environment(name, prefix).check().await,
    }
}
