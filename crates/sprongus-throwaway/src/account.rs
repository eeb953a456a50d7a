//! As whom the server's processes run. Postgres refuses to run as root, and tests in containers mostly are root.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::geteuid;

use crate::failure::{Doing as _, Failure, Result};

/// The user and group of the server's processes; nothing where they are our own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account(Option<(u32, u32)>);

impl Account {
    /// Our own, or for root that of `postgres`, which Debian's package makes, or of `nobody`.
    pub(crate) fn of_servers() -> Result<Self> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let found = ["postgres", "nobody"].iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)));
        found.map(|ids| Self(Some(ids))).ok_or(Failure::NoAccount)
    }

    /// A command that runs as this account, untouched by the caller's Ctrl-C and by its settings for clients of Postgres.
    pub(crate) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        // The folder we are in may be closed to that account; what the programs say is compared, so it must be English.
        command.current_dir("/").env("LC_ALL", "C").process_group(0).stdin(Stdio::null());
        command
    }

    /// Lets a program of Postgres do its work and end.
    pub(crate) fn run(self, command: &mut Command) -> Result<()> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let output = command.output().doing(|| format!("run {name}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Failure::Program { name, said: String::from_utf8_lossy(&said).trim().to_owned() })
    }

    /// Gives this account a folder of ours.
    pub(crate) fn give(self, folder: &Path) -> Result<()> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        chown(folder, Some(user), Some(group)).doing(|| format!("give away {}", folder.display()))
    }
}

fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
