//! Credentials of this program itself, and how they are kept out of the reach of others.
//!
//! What a variable holds, everybody can read who may read the process's `/proc` or its unit's settings; so a credential may also
//! come by file: `NAME_FILE` names one, and a service manager may put one into `$CREDENTIALS_DIRECTORY`. The file that keeps a
//! credential from this user too, commands included, is one that somebody else has opened: `NAME_FILE=/dev/stdin`.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sprongus_core::{Error, Result};

/// A longer one is another file given by mistake.
const LONGEST: u64 = 64 * 1024;

/// The credential that the variable `name` holds, the file in `NAME_FILE`, or the service manager's `credential`.
///
/// # Errors
/// `validation`: two of them at once, or a file that cannot be read. What it holds is not repeated.
pub fn find(name: &str, credential: &str) -> Result<Option<String>> {
    let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let (file_name, held) = (format!("{name}_FILE"), env::var(name).ok().filter(|value| !value.is_empty()));
    match (held, variable(&file_name)) {
        (Some(_), Some(_)) => {
            Err(Error::validation(format!("{name} and {file_name} are both set"))
                .with_hint("unset one of them"))
        }
        (Some(held), None) => Ok(Some(held)),
        (None, Some(path)) => read(Path::new(&path), &file_name).map(Some),
        (None, None) => {
            let folder = variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
            let path = folder.map(|folder| folder.join(credential)).filter(|path| path.exists());
            path.map(|path| read(&path, credential)).transpose()
        }
    }
}

fn read(path: &Path, named_by: &str) -> Result<String> {
    let refused = |why: &str| {
        Error::validation(format!("{named_by}: {}: {why}", path.display()))
            .with_hint("use a file that contains only the credential")
    };
    let text = if [Path::new("/dev/stdin"), Path::new("-")].contains(&path) {
        // Not opened anew, which this user may not be allowed to: whoever opened it was.
        text(io::stdin().lock())
    } else {
        match std::fs::metadata(path) {
            // To open a FIFO would wait for a writer.
            Ok(found) if !found.is_file() => return Err(refused("is not a regular file")),
            Ok(_) => File::open(path).and_then(text),
            Err(error) => Err(error),
        }
    };
    let text = text.map_err(|error| refused(&format!("cannot be read: {}", error.kind())))?;
    match text.trim() {
        "" => Err(refused("is empty")),
        trimmed if trimmed.len() as u64 >= LONGEST => Err(refused("is larger than 64 KiB")),
        trimmed => Ok(trimmed.to_owned()),
    }
}

fn text(from: impl Read) -> io::Result<String> {
    let mut text = String::new();
    from.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Keeps other processes of this user, such as the commands of runs, from reading this one's environment, memory and open files.
/// Root is not kept from it. A system that has nothing of the kind, or refuses, is let be.
pub fn shield() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_credential_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "  spr_hunter2\r\n").unwrap();
        assert_eq!(read(&path, "SPRONGUS_TOKEN_FILE").unwrap(), "spr_hunter2");
        for (bytes, why) in [
            (b" \n".to_vec(), "is empty"),
            (b"hunter2\xff".to_vec(), "cannot be read"),
            ([b"hunter2".as_slice(), &vec![b'x'; 70_000]].concat(), "larger"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, "SPRONGUS_TOKEN_FILE").unwrap_err();
            assert!(error.message().contains(why) && !error.message().contains("hunter2"), "{error}");
        }
        let error = read(folder.path(), "SPRONGUS_TOKEN_FILE").unwrap_err();
        assert!(error.message().starts_with("SPRONGUS_TOKEN_FILE: "), "{error}");
    }
}
