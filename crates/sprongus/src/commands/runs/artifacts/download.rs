//! One artifact on its way into a file: whole and as it was kept, or not at all.

use std::io::{self, Read as _, Write as _};

use futures_util::StreamExt as _;
use sha2::{Digest, Sha256};
use sprongus_core::run::artifact::Artifact;
use sprongus_core::{Error, ErrorCode, Result, Runs};

use super::folder::{Folder, Slot};

/// Fetches it, or tells that it is there already.
///
/// # Errors
/// `conflict` when something else is there; `unavailable` when what came is not what was kept; as [`Runs::artifact`].
pub async fn fetch(runs: &dyn Runs, artifact: &Artifact, folder: &Folder) -> Result<bool> {
    let slot = folder.slot(&artifact.name)?;
    if let Some(file) = slot.present()? {
        return if is_same(&slot, file, artifact)? { Ok(true) } else { Err(slot.taken()) };
    }
    let mut download = runs.artifact(artifact.run_id, &artifact.name, None).await?;
    let mut draft = slot.draft()?;
    let (mut hash, mut size) = (Sha256::new(), 0);
    while let Some(bytes) = download.body.next().await {
        let bytes = bytes.map_err(|error| broken(artifact, error))?;
        hash.update(&bytes);
        size += bytes.len() as u64;
        draft.file.write_all(&bytes).map_err(|error| slot.fault("write", &error))?;
    }
    // It may have been written anew since it was listed: then it is what is kept now.
    let kept = &download.artifact;
    if size != kept.size || hexadecimal(hash) != kept.sha256 {
        return Err(Error::new(
            ErrorCode::Unavailable,
            format!("the download does not match the stored artifact: {}", artifact.name),
        )
        .with_hint("download it again; if that does not help, the stored file is damaged"));
    }
    draft.finish().map(|()| false)
}

fn is_same(slot: &Slot, mut file: std::fs::File, artifact: &Artifact) -> Result<bool> {
    let fault = |error| slot.fault("read", &error);
    if file.metadata().map_err(fault)?.len() != artifact.size {
        return Ok(false);
    }
    let (mut hash, mut piece) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        let read = file.read(&mut piece).map_err(fault)?;
        match piece.get(..read) {
            None | Some([]) => return Ok(hexadecimal(hash) == artifact.sha256),
            Some(bytes) => hash.update(bytes),
        }
    }
}

fn hexadecimal(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A stream's error may be one of ours, that says more.
fn broken(artifact: &Artifact, error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| {
        Error::new(ErrorCode::Unavailable, format!("the download was interrupted: {}", artifact.name))
            .with_source(error)
    })
}
