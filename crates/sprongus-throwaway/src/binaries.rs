//! Where the programs of a Postgres server are. Debian keeps them out of `PATH`, one folder for each version; `SPRONGUS_POSTGRES_PROGRAMS`
//! names another folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

/// The variable that names the folder of the programs.
const NAMED: &str = "SPRONGUS_POSTGRES_PROGRAMS";

/// The folder that holds the programs.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// What the environment names and nothing else, else what `pg_config` names, else Debian's newest, else what is in `PATH`.
    pub(crate) fn find() -> Result<Self> {
        if let Some(named) = std::env::var_os(NAMED) {
            let folder = PathBuf::from(named);
            return if holds_a_server(&folder) { Ok(Self(folder)) } else { Err(Failure::NoBinaries) };
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found =
            configured().or_else(|| newest(Path::new("/usr/lib/postgresql"))).or_else(|| within(&path));
        found.map(Self).ok_or(Failure::NoBinaries)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// The path of one program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// `pg_config` also comes with the client library alone: then its folder holds no server.
fn holds_a_server(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

fn configured() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    holds_a_server(&folder).then_some(folder)
}

fn newest(versions: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(versions).ok()?.flatten().map(|entry| entry.path());
    let servers = folders.filter(|folder| holds_a_server(&folder.join("bin")));
    // As numbers: 9 is older than 15.
    let version = |folder: &PathBuf| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>()
    };
    servers.max_by_key(version).map(|folder| folder.join("bin"))
}

fn within(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path).find(|folder| holds_a_server(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_in(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        ["initdb", "postgres"].iter().for_each(|name| std::fs::write(folder.join(name), "").unwrap());
    }

    #[test]
    fn the_newest_server_is_taken_and_a_client_is_none() {
        let root = tempfile::tempdir().unwrap();
        server_in(&root.path().join("9.6/bin"));
        server_in(&root.path().join("15/bin"));
        std::fs::create_dir_all(root.path().join("17/bin")).unwrap();
        assert_eq!(newest(root.path()), Some(root.path().join("15/bin")));
        assert_eq!(newest(&root.path().join("none")), None);
        assert_eq!(within(root.path().join("15/bin").as_os_str()), Some(root.path().join("15/bin")));
        assert_eq!(within(root.path().as_os_str()), None);
    }

    #[test]
    fn without_a_server_one_is_told_what_to_install() {
        let said = Failure::NoBinaries.to_string();
        assert!(said.contains("install Debian's postgresql package (./test does)"), "{said}");
    }
}
