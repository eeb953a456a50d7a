//! The least a durable write can cost on a disk: what `sprongus bench` holds the queue against.

use std::path::Path;
use std::time::{Duration, Instant};

use sprongus_core::Result;

use crate::error::MapDbErr;
use crate::rows;
use crate::schema::open::{Durability, connect};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS bare (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";
const INSERT: &str = "INSERT INTO bare (text) VALUES (?1)";

/// Times `commits` transactions of one row of about 100 bytes each, in a file of their own, as durable as a run's.
///
/// # Errors
/// `unavailable` when the file cannot be written.
pub fn bare_commits(file: &Path, commits: u32) -> Result<Duration> {
    let made = std::fs::File::create_new(file);
    made.map_err(|error| {
        sprongus_core::Error::internal("cannot make a file for the probe").with_source(error)
    })?;
    let connection = connect(file, Durability::PowerCut)?;
    connection.execute_batch(TABLE).map_db_err()?;
    let text = "x".repeat(100);
    let began = Instant::now();
    for _ in 0..commits {
        connection.prepare_cached("BEGIN IMMEDIATE").map_db_err()?.execute([]).map_db_err()?;
        rows::execute(&connection, INSERT, [&text])?;
        connection.prepare_cached("COMMIT").map_db_err()?.execute([]).map_db_err()?;
    }
    Ok(began.elapsed())
}
