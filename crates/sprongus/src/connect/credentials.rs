//! The tokens that this user has for servers: one file, for its owner alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sprongus_core::workspace::token::TokenSecret;
use sprongus_core::{Error, ErrorCode, Result};

use crate::env::Environment;

/// By which names a machine calls itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Where they are kept.
///
/// # Errors
/// `validation` where there is no home folder.
pub fn path(around: &Environment) -> Result<PathBuf> {
    let folder = around.config_folder.as_ref().ok_or_else(|| {
        Error::validation("no home folder to store a token in").with_hint("set SPRONGUS_TOKEN instead")
    })?;
    Ok(folder.join("sprongus/credentials.json"))
}

/// The token for the server at `url`.
///
/// # Errors
/// `validation` when the file is there and cannot be read; `forbidden` when others may read or write it.
pub fn find(around: &Environment, url: &str) -> Result<Option<TokenSecret>> {
    let Ok(path) = path(around) else { return Ok(None) };
    let found = read(&path)?.remove(&name_of(url));
    found.map(|token| TokenSecret::parse(&token).map_err(|_| damaged(&path))).transpose()
}

/// Keeps the token for the server at `url`; answers where.
///
/// # Errors
/// `unavailable` when it cannot be written.
pub fn keep(around: &Environment, url: &str, token: &TokenSecret) -> Result<PathBuf> {
    let path = path(around)?;
    let mut all = read(&path)?;
    all.insert(name_of(url), token.expose().to_owned());
    let text = serde_json::to_string_pretty(&all)
        .map_err(|error| Error::internal("cannot write tokens").with_source(error))?;
    write_private(&path, &format!("{text}\n"))?;
    Ok(path)
}

/// Writes a file that nobody but its owner may read: whole, or not at all.
///
/// # Errors
/// `unavailable`.
pub fn write_private(path: &Path, text: &str) -> Result<()> {
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        Error::new(ErrorCode::Unavailable, format!("cannot write {}: {error}", path.display()))
            .with_hint("the token is stored in this file; make its folder writable for you")
    })
}

/// Refuses a file that others may read or write, as ssh does with keys: whoever reads it has the tokens, and whoever writes it chooses where
/// commands go with them.
fn refuse_open(path: &Path) -> Result<()> {
    let Ok(found) = fs::metadata(path) else { return Ok(()) };
    let (mode, owner) = (found.mode() & 0o077, found.uid());
    if mode == 0 && (owner == rustix::process::geteuid().as_raw() || owner == 0) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Forbidden, format!("other users can read or write {}", path.display()))
        .with_hint(format!(
            "chmod 600 {}, and if others may have read it, revoke the tokens in it",
            path.display()
        )))
}

fn read(path: &Path) -> Result<BTreeMap<String, String>> {
    refuse_open(path)?;
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|_| damaged(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Error::validation(format!("cannot read {}: {error}", path.display()))
            .with_hint("make it readable for you, or set SPRONGUS_TOKEN")),
    }
}

fn damaged(path: &Path) -> Error {
    Error::validation(format!("cannot read tokens from {}", path.display()))
        .with_hint("remove the file and run `sprongus login` again")
}

/// All names of this machine are one.
fn name_of(url: &str) -> String {
    for name in LOOPBACK {
        if let Some((scheme, rest)) = url.split_once("://")
            && let Some(rest) = rest.strip_prefix(name)
            && (rest.is_empty() || rest.starts_with([':', '/']))
        {
            return format!("{scheme}://localhost{rest}");
        }
    }
    url.to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_alone_and_found_by_any_name_of_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let around = Environment { config_folder: Some(folder.path().to_owned()), ..Environment::default() };
        let (here, there) = (TokenSecret::generate().unwrap(), TokenSecret::generate().unwrap());
        assert_eq!(find(&around, "http://localhost:3000").unwrap(), None);
        let path = keep(&around, "http://127.0.0.1:3000", &here).unwrap();
        keep(&around, "https://runs.example", &there).unwrap();
        assert_eq!(find(&around, "http://localhost:3000").unwrap(), Some(here.clone()));
        assert_eq!(find(&around, "http://[::1]:3000").unwrap(), Some(here));
        assert_eq!(find(&around, "https://runs.example").unwrap(), Some(there));
        assert_eq!(find(&around, "http://localhost.example").unwrap(), None);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for mode in [0o644, 0o660, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = find(&around, "http://localhost:3000").unwrap_err();
            assert_eq!(error.code(), ErrorCode::Forbidden);
            assert!(error.hint().starts_with("chmod 600 "), "{}", error.hint());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "{\"http://localhost:3000\": \"spr_cut\"}").unwrap();
        assert!(!format!("{:?}", find(&around, "http://localhost:3000").unwrap_err()).contains("spr_cut"));
    }
}
