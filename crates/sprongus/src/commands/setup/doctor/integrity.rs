//! `--integrity`: whether what is kept is whole: the database, and the bytes of every artifact. Work that waits is no fault here.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use sprongus_artifacts::Place;
use sprongus_core::run::artifact::{Blobs, KeptBytes};
use sprongus_core::store::HealthProblem;
use sprongus_core::{Error, ErrorCode, Result};

use super::finding::{Finding, Findings};
use crate::app::App;
use crate::commands::setup::backup::{ARTIFACTS, MANIFEST, measure};
use crate::connect::{self, Access, Place as Database, Target};

/// Looks through all of it.
pub async fn check(app: &App, findings: &mut Findings) {
    let place = match connect::choose(&app.wish(), &app.around, Access::Existing) {
        Ok(place) => place,
        Err(error) => return findings.add(Finding::of_error("database", &error)),
    };
    findings.add(Finding::fine("database", place.to_string()));
    let backup = backup_of(&place);
    if let Some((folder, file)) = &backup {
        findings.add(match is_as_made(folder, file) {
            Ok(()) => Finding::fine("backup", "unchanged since the backup"),
            Err(error) => Finding::of_error("backup", &error),
        });
    }
    let (problems, kept) = match connect::inspect(&place, &app.around).await {
        Ok(found) => found,
        Err(error) => return findings.add(Finding::of_error("integrity", &error)),
    };
    if problems.is_empty() {
        findings.add(Finding::fine("integrity", "no damage found"));
    }
    for HealthProblem { what, text, remedy } in problems {
        findings.add(Finding::wrong(what, text, remedy));
    }
    let artifacts = match backup {
        Some((folder, _)) => Ok(Place::Folder(folder.join(ARTIFACTS))),
        None => connect::artifacts::choose(&place.target, &app.around).map(|keeping| keeping.place),
    };
    match artifacts {
        Ok(place) => bytes(&place, &kept, findings).await,
        Err(error) => findings.add(Finding::of_error("artifacts", &error)),
    }
}

/// The folder of the backup that a file is the copy of, if it is one.
fn backup_of(place: &Database) -> Option<(PathBuf, PathBuf)> {
    match &place.target {
        Target::File(file) => {
            let folder = file.parent().filter(|folder| folder.join(MANIFEST).is_file())?;
            Some((folder.to_owned(), file.clone()))
        }
        Target::Postgres(_) | Target::Server(_) => None,
    }
}

fn is_as_made(folder: &Path, file: &Path) -> Result<()> {
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorCode::Unavailable, format!("cannot read the backup: {}", error.kind()))
            .with_hint("check the folder's permissions")
    };
    let text = std::fs::read(folder.join(MANIFEST)).map_err(unreadable)?;
    let manifest: serde_json::Value = serde_json::from_slice(&text).map_err(|_| {
        Error::validation("the backup manifest is not valid JSON").with_hint("take another backup")
    })?;
    let (_, sha256) = measure(file).map_err(unreadable)?;
    if manifest["database"]["sha256"] == sha256.as_str() {
        return Ok(());
    }
    Err(Error::validation("the database has changed since the backup")
        .with_hint("take another backup; open a copy of a backup, not the backup itself"))
}

/// Reads every byte that is kept.
async fn bytes(place: &Place, kept: &[KeptBytes], findings: &mut Findings) {
    let blobs = sprongus_artifacts::open(place);
    let (mut missing, mut damaged) = (Vec::new(), Vec::new());
    for one in kept {
        match is_whole(blobs.as_ref(), one).await {
            Ok(true) => {}
            Ok(false) => damaged.push(&one.location),
            Err(error) if error.code() == ErrorCode::NotFound => missing.push(&one.location),
            Err(error) => return findings.add(Finding::of_error("artifacts", &error)),
        }
    }
    let remedy = "restore them from a backup of the artifacts";
    for (what, locations) in [("missing", &missing), ("damaged", &damaged)] {
        if let Some(first) = locations.first() {
            let text = format!("{what} files: {}, such as {first}", locations.len());
            findings.add(Finding::wrong("artifacts", text, remedy));
        }
    }
    if missing.is_empty() && damaged.is_empty() {
        findings.add(Finding::fine("artifacts", format!("all files are intact: {}", kept.len())));
    }
}

async fn is_whole(blobs: &dyn Blobs, one: &KeptBytes) -> Result<bool> {
    if one.size == 0 {
        return Ok(true);
    }
    let mut hash = Sha256::new();
    let mut body = match blobs.get(&one.location, 0..one.size).await {
        Ok(body) => body,
        // Shorter than it was.
        Err(error) if error.code() == ErrorCode::Unavailable && error.message().contains("shorter") => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    loop {
        match body.try_next().await {
            Ok(Some(part)) => hash.update(&part),
            Ok(None) => break,
            Err(error) => {
                return Err(Error::new(ErrorCode::Unavailable, "cannot read an artifact").with_source(error));
            }
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>() == one.sha256)
}
