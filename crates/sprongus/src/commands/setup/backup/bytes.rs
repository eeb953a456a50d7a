//! The bytes of artifacts: copied from folder to folder, and looked at on the way.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path};

use sha2::{Digest, Sha256};
use sprongus_core::run::artifact::KeptBytes;
use sprongus_core::{Error, Result};

use super::draft::failed;

/// How much is read at once.
const PIECE: usize = 256 << 10;

/// What was copied.
#[derive(Debug, Default)]
pub struct Kept {
    pub files: u64,
    pub bytes: u64,
    pub missing: Vec<String>,
    pub damaged: Vec<String>,
}

/// Copies what is kept below `root` to below `to`, save what is there from an earlier pass. Nothing without a root.
///
/// # Errors
/// `unavailable`; `internal` for a location that leads out of the folder.
pub fn copy(root: Option<&Path>, to: &Path, kept: &[KeptBytes]) -> Result<Kept> {
    let mut copied = Kept::default();
    let Some(root) = root else { return Ok(copied) };
    make_folder(to)?;
    for one in kept {
        let location = Path::new(&one.location);
        if !location.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::internal("an artifact's location leads out of its folder"));
        }
        let (from, target) = (root.join(location), to.join(location));
        let source = match File::open(&from) {
            Ok(source) => source,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                copied.missing.push(one.location.clone());
                continue;
            }
            Err(error) => return Err(failed("read", &from, &error)),
        };
        make_folder(target.parent().unwrap_or(to))?;
        // Of an earlier pass, of which the bytes under a location never differ.
        let _ = fs::remove_file(&target);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target);
        let (size, sha256) =
            made.and_then(|out| pour(source, out)).map_err(|error| failed("copy", &from, &error))?;
        copied.files += 1;
        copied.bytes += size;
        if size != one.size || sha256 != one.sha256 {
            copied.damaged.push(one.location.clone());
        }
    }
    Ok(copied)
}

/// The size and the SHA-256 of a file.
///
/// # Errors
/// Why it cannot be read.
pub fn measure(file: &Path) -> io::Result<(u64, String)> {
    pour(File::open(file)?, io::sink())
}

fn pour(mut from: impl Read, mut to: impl Write) -> io::Result<(u64, String)> {
    let (mut piece, mut size, mut hash) = (vec![0; PIECE], 0, Sha256::new());
    loop {
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                let part = piece.get(..read).unwrap_or_default();
                hash.update(part);
                to.write_all(part)?;
                size += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    to.flush()?;
    Ok((size, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn make_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| failed("make", folder, &error))
}
