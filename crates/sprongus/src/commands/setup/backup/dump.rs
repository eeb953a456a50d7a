//! A dump of the database by Postgres' own `pg_dump`, which knows all there is to know of it.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use sprongus_core::values::text::excerpt;
use sprongus_core::{Error, ErrorCode, Result};
use tokio::process::Command;

use super::draft::failed;

/// The schema that is dumped.
pub const SCHEMA: &str = "sprongus";

const PROGRAM: &str = "pg_dump";

/// Dumps the schema at `snapshot` into `file`, in the form that `pg_restore` reads. How the database is reached, the password too, goes
/// into the program's environment: its command line is everybody's to read.
///
/// # Errors
/// `unavailable`: there is no such program, or it did not manage.
pub async fn write(url: &str, snapshot: &str, file: &Path) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let out = made.map_err(|error| failed("make", file, &error))?;
    let mut program = Command::new(PROGRAM);
    program.args(["--format=custom", "--no-password", "--schema", SCHEMA, "--snapshot", snapshot]);
    program.envs(sprongus_postgres::program_environment(url)?);
    program.env_remove("PGOPTIONS").env_remove("PGSERVICE").env("LC_ALL", "C");
    program.stdin(Stdio::null()).stdout(out).stderr(Stdio::piped()).kill_on_drop(true);
    let running = program.spawn().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            return Error::new(ErrorCode::Unavailable, "pg_dump is not on the PATH").with_hint(
                "install the Postgres client programs, at the server's version or later (Debian: postgresql-client)",
            );
        }
        Error::new(ErrorCode::Unavailable, "cannot start pg_dump").with_source(error)
    })?;
    let ended = running.wait_with_output().await;
    let ended = ended.map_err(|error| Error::internal("cannot wait for pg_dump").with_source(error))?;
    if ended.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let said = said.lines().find(|line| line.contains("error")).or(said.lines().last()).unwrap_or_default();
    Err(Error::new(ErrorCode::Unavailable, format!("pg_dump failed: {}", excerpt(said, 300)))
        .with_hint("use a pg_dump of the server's version or later, and a role that can read every table"))
}
