//! How a file is, for `doctor` and for who asks whether a server is ready.

pub(crate) mod inspect;
pub(crate) mod probe;

use std::path::Path;

use async_trait::async_trait;
use rusqlite::{Connection, MAIN_DB};
use sprongus_core::figures::metric::{Metric, SHARED_TRANSACTIONS, Sizes, Value};
use sprongus_core::store::{Diagnostics, Health, HealthProblem};
use sprongus_core::{Error, Result};

use crate::connection::file_guard::Loss;
use crate::error::MapDbErr;
use crate::schema::migrate;
use crate::schema::open::Durability;
use crate::{Sqlite, rows};

const CHECK: &str = "PRAGMA quick_check(1)";
const PUT_LOG_INTO_FILE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
const PAGE: &str = "PRAGMA page_size";

/// What reading every page does not tell, and what is not even read for who only asks whether it is there.
const NOT_CHECKED: &str = "its pages are sound; `sprongus doctor --integrity` also checks its indexes and what must hold between runs";
const NOT_READ: &str = "damage is not looked for here: `sprongus doctor --integrity` reads every run";

/// So much of the log that cannot be put into the file is reported: four times what one burst may leave there for a moment.
const HELD_BACK: u64 = 16 << 20;

#[async_trait]
impl Diagnostics for Sqlite {
    async fn health(&self, thorough: bool) -> Result<Health> {
        let (file, durability) = (self.readers.file.clone(), self.readers.durability);
        if let Err(loss) = self.readers.guard.check() {
            return Ok(lost(&file, durability, loss));
        }
        self.read(move |connection, _| health(connection, &file, durability, thorough)).await
    }

    async fn metrics(&self) -> Result<Vec<Metric>> {
        let (file, batches) = (self.readers.file.clone(), self.writer.batches());
        let looking = tokio::task::spawn_blocking(move || metrics(&file, batches));
        looking.await.map_err(|error| Error::internal("a task was interrupted").with_source(error))
    }
}

/// Looks at the file; `thorough` reads all of it.
pub fn health(
    connection: &Connection,
    file: &Path,
    durability: Durability,
    thorough: bool,
) -> Result<Health> {
    let schema = migrate::version(connection)?;
    let mut problems = Vec::new();
    if connection.is_readonly(MAIN_DB).map_db_err()? {
        problems.push(HealthProblem {
            what: "file",
            text: "the file is read-only".to_owned(),
            remedy: "check the permissions of the file and its folder",
        });
    }
    if thorough {
        problems.extend(log(connection, file)?);
        let check: String = rows::only(connection, CHECK, [], |row| row.value())?;
        if check != "ok" {
            problems.push(HealthProblem {
                what: "integrity",
                text: format!("the file is damaged: {check}"),
                remedy: "restore a backup of the database",
            });
        }
    }
    Ok(Health {
        engine: format!("SQLite {}", rusqlite::version()),
        place: file.display().to_string(),
        schema,
        durable: durability == Durability::PowerCut,
        caveat: None,
        not_checked: Some(if thorough { NOT_CHECKED } else { NOT_READ }),
        problems,
    })
}

/// What is answered where the file is not looked at, for it is not the one that was opened.
pub fn lost(file: &Path, durability: Durability, loss: Loss) -> Health {
    Health {
        engine: format!("SQLite {}", rusqlite::version()),
        place: file.display().to_string(),
        schema: migrate::latest(),
        durable: durability == Durability::PowerCut,
        caveat: None,
        not_checked: Some(NOT_READ),
        problems: vec![HealthProblem { what: "file", text: loss.text().to_owned(), remedy: loss.remedy() }],
    }
}

/// A log of this many bytes slows reading, and takes room that the file may need.
const LONG_LOG: u64 = 64 << 20;

/// What is wrong with the write-ahead log: its length, or a reader that keeps it from being put into the file.
fn log(connection: &Connection, file: &Path) -> Result<Option<HealthProblem>> {
    // Puts into the file what nobody needs in the log any more, without waiting for anybody.
    let (_is_busy, all, put): (i64, i64, i64) =
        rows::only(connection, PUT_LOG_INTO_FILE, [], |row| Ok((row.value()?, row.value()?, row.value()?)))?;
    let page: i64 = rows::only(connection, PAGE, [], |row| row.value())?;
    let held_back = u64::try_from((all - put) * page).unwrap_or(0);
    if held_back >= HELD_BACK {
        return Ok(Some(HealthProblem {
            what: "log",
            text: format!(
                "a long-running reader is holding back {} MiB of the write-ahead log",
                held_back >> 20
            ),
            remedy: "end the reader, such as an open transaction in another program",
        }));
    }
    let length = std::fs::metadata(log_of(file)).map_or(0, |log| log.len());
    Ok((length >= LONG_LOG).then(|| HealthProblem {
        what: "log",
        text: format!("the write-ahead log has grown to {} MiB", length >> 20),
        remedy: "it shrinks after a few seconds without writes; look for long-running readers",
    }))
}

fn log_of(file: &Path) -> std::path::PathBuf {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// The size of the file and of the log that is not in it yet, the room beside them, and how many callers share a transaction.
pub fn metrics(file: &Path, batches: Sizes) -> Vec<Metric> {
    let log = log_of(file);
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len()) as f64;
    let mut metrics = vec![
        Metric::single("store_batch", SHARED_TRANSACTIONS, Value::Sizes(batches)),
        Metric::now("store_file_bytes", "Size of the database file", size(file)),
        Metric::now("store_log_bytes", "Size of the write-ahead log not yet in the file", size(&log)),
    ];
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(disk) = rustix::fs::statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize) as f64;
        metrics.push(Metric::now(
            "store_disk_free_bytes",
            "Free space on the disk of the database file",
            free,
        ));
    }
    metrics
}
