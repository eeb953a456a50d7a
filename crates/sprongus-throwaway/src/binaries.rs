//! Where Postgres is installed, and who runs it: it refuses to run as root.

use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a server could not be had, or did not do as it was told.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// The programs of one installation.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
    /// Who runs them where this process is root's: user and group.
    user: Option<(u32, u32)>,
}

impl Binaries {
    /// Debian keeps each version in a folder of its own; elsewhere they are on the path.
    pub fn find() -> Result<Self, Failure> {
        let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
            .unwrap_or_default();
        folders.sort_by_key(|folder| version_of(folder));
        folders.reverse();
        let path = std::env::var_os("PATH").unwrap_or_default();
        folders.extend(std::env::split_paths(&path));
        let folder = folders.into_iter().find(|folder| folder.join("initdb").exists()).ok_or_else(|| {
            Failure::new("initdb is not here: install Debian's postgresql package, as ./test does".to_owned())
        })?;
        let is_root = rustix::process::geteuid().is_root();
        let user = if is_root { Some(unprivileged()?) } else { None };
        Ok(Self { folder, user })
    }

    /// The program called `name`, as who may run it.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Runs a program to its end.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = self.command(name);
        // A server started by pg_ctl keeps what it is given open: a pipe would never end.
        let told = tempfile::tempfile()?;
        let copies = (told.try_clone()?, told.try_clone()?);
        let status = command
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stdout(copies.0)
            .stderr(copies.1)
            .status()?;
        if status.success() {
            return Ok(());
        }
        let text = std::io::read_to_string(rewound(told)?).unwrap_or_default();
        Err(Failure::new(format!("{name} fell short ({status}): {}", text.trim())))
    }

    /// Makes a folder that of who runs the server.
    pub fn give(&self, folder: &Path) -> Result<(), Failure> {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(folder, Some(user), Some(group))?;
        }
        Ok(())
    }
}

fn rewound(mut file: std::fs::File) -> Result<std::fs::File, Failure> {
    use std::io::Seek;
    file.rewind()?;
    Ok(file)
}

fn version_of(folder: &Path) -> u32 {
    let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// `postgres`, whom Debian makes, or `nobody`.
fn unprivileged() -> Result<(u32, u32), Failure> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let named = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name))
                .then(|| fields.nth(1)?.parse().ok().zip(fields.next()?.parse().ok()))?
        })
    };
    named("postgres").or_else(|| named("nobody")).ok_or_else(|| {
        Failure::new("Postgres does not run as root, and there is no user `postgres` or `nobody`".to_owned())
    })
}
