//! Connections for reading. In WAL mode none of them waits for the writer, and each sees the database as it was when it began.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::values::time::{Clock, Timestamp};

use crate::connection::file_guard::FileGuard;
use crate::schema::open::{self, Durability};

/// Connections that are kept; more are made when more read at once, and closed again.
const KEPT: usize = 4;

/// What reads one file.
pub struct Readers {
    pub file: PathBuf,
    pub guard: Arc<FileGuard>,
    pub durability: Durability,
    pub clock: Arc<dyn Clock>,
    kept: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Those of a file; none is opened before somebody reads.
    pub fn new(file: &Path, guard: Arc<FileGuard>, durability: Durability, clock: Arc<dyn Clock>) -> Self {
        Self { file: file.to_owned(), guard, durability, clock, kept: Mutex::default() }
    }

    /// Reads on a connection that nobody else has meanwhile, if the file is still the one that was opened.
    pub fn read<T>(&self, read: impl FnOnce(&Connection, Timestamp) -> Result<T>) -> Result<T> {
        self.guard.check()?;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => open::connect(&self.file, self.durability)?,
        };
        let answer = read(&connection, self.clock.now());
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && connection.is_autocommit() {
            kept.push(connection);
        }
        answer
    }
}
