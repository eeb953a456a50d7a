//! Opening the file: who may read it, how durable it is, and which SQLite is safe to use.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode as Cause, OpenFlags};
use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::SystemZones;
use sprongus_core::values::time::{Clock, SystemClock};
use sprongus_core::{Error, ErrorCode, Result};

use crate::error::MapDbErr;
use crate::schema::migrate;

/// Before this one, two connections to one WAL file could lose what was committed (the WAL-reset bug, fixed in 3.51.3).
pub const OLDEST_SAFE_SQLITE: i32 = 3_051_003;

/// How far a commit is carried before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// To the disk, with every commit: `synchronous=FULL`.
    #[default]
    PowerCut,
    /// To the operating system: `synchronous=NORMAL`. A power cut loses the last commits. There for the control of the
    /// power-cut drill, which must lose some.
    ProcessCrash,
}

/// How to open a file.
#[derive(Clone)]
pub struct Options {
    /// Make the file, and the folder it is in, where there is none.
    pub create: bool,
    /// Bring an older schema up to date.
    pub migrate: bool,
    /// What survives.
    pub durability: Durability,
    /// The clock the rules are given.
    pub clock: Arc<dyn Clock>,
    /// The zone data by which schedules are read.
    pub zones: Arc<dyn Zones>,
}

impl Default for Options {
    fn default() -> Self {
        let (clock, zones) = (Arc::new(SystemClock), Arc::new(SystemZones::from_env()));
        Self { create: true, migrate: true, durability: Durability::default(), clock, zones }
    }
}

/// Opens the file for a program: makes it if wanted, checks SQLite and the schema, migrates if wanted.
///
/// # Errors
/// `not_found` when the file is missing and not to be made; `unavailable` when it cannot be read or written;
/// `schema_mismatch` when it is another program's, newer, or older and not to be migrated.
pub fn open(path: &Path, options: &Options) -> Result<Connection> {
    if rusqlite::version_number() < OLDEST_SAFE_SQLITE {
        let message = format!(
            "SQLite {} can lose committed writes; 3.51.3 is the oldest safe one",
            rusqlite::version()
        );
        return Err(
            Error::new(ErrorCode::Unavailable, message).with_hint("build sprongus with its bundled SQLite")
        );
    }
    make(path, options.create)?;
    let connection = connect(path, options.durability)?;
    if options.migrate {
        migrate::migrate(&connection)?;
    }
    let version = migrate::version(&connection)?;
    if version < migrate::latest() {
        let message = format!("the database has schema {version}; this sprongus needs {}", migrate::latest());
        return Err(Error::new(ErrorCode::SchemaMismatch, message));
    }
    Ok(connection)
}

/// Makes the file if there is none, and brings its schema up to date; answers what was applied.
///
/// # Errors
/// As [`crate::Sqlite::open`].
pub fn migrate_file(file: &Path) -> Result<Vec<migrate::Migration>> {
    let before = pending(file)?;
    open(file, &Options::default())?;
    Ok(before)
}

/// A connection to a file that is there, and has this program's schema; it is neither made nor migrated.
///
/// # Errors
/// As [`open`].
pub fn existing(path: &Path) -> Result<Connection> {
    let options = Options { create: false, migrate: false, ..Options::default() };
    open(path, &options)
}

/// The same, whatever schema up to this program's it has.
///
/// # Errors
/// As [`open`].
pub fn existing_of_any_schema(path: &Path) -> Result<Connection> {
    make(path, false)?;
    connect(path, Durability::PowerCut)
}

/// Makes the file readable by its owner alone, before SQLite does: it gives its own files the same permissions.
pub fn make(path: &Path, create: bool) -> Result<()> {
    let unavailable = |what: &str, error: std::io::Error| {
        let message = format!("cannot {what} {}: {}", path.display(), error.kind());
        Error::new(ErrorCode::Unavailable, message).with_source(error)
    };
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(Error::validation(format!("a folder, not a database: {}", path.display()))
                .with_hint("use a file with --db"));
        }
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unavailable("read", error)),
    }
    if !create {
        return Err(Error::new(ErrorCode::NotFound, format!("no database at {}", path.display()))
            .with_hint("create it with `sprongus runs enqueue`"));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| unavailable("create a folder for", error))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(unavailable("make", error)),
    }
}

/// The write-ahead log is cut down to this many bytes when it begins anew: what it grows to before it is put into the file, so that the
/// room of a usual round is kept and that of a burst is not.
const LONGEST_KEPT_LOG: i64 = 32 << 20;

/// One more connection to the file.
///
/// # Errors
/// `unavailable`.
pub fn connect(path: &Path, durability: Durability) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_db_err()?;
    connection.busy_handler(Some(wait_for_lock)).map_db_err()?;
    // Reading a file that is no database fails here, with a better reason than the pragmas give.
    migrate::version(&connection)?;
    let journal = keep_write_ahead_log(&connection)?;
    if journal != "wal" {
        return Err(Error::new(
            ErrorCode::Unavailable,
            format!("SQLite cannot use a write-ahead log here: {journal}"),
        )
        .with_hint("keep the database on a local disk"));
    }
    let synchronous = match durability {
        Durability::PowerCut => "FULL",
        Durability::ProcessCrash => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous).map_db_err()?;
    connection.pragma_update(None, "foreign_keys", true).map_db_err()?;
    // Without a limit the log stays as long as it once was: a burst of writes, or a reader that took long, would take room for good.
    connection.pragma_update(None, "journal_size_limit", LONGEST_KEPT_LOG).map_db_err()?;
    // What a savepoint may have to take back is kept in memory: in SQLite's temporary file it cost four fifths of the time.
    connection.pragma_update(None, "temp_store", "MEMORY").map_db_err()?;
    connection.pragma_update(None, "cache_size", -65_536).map_db_err()?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// The migrations a file lacks, without applying them.
///
/// # Errors
/// As [`Sqlite::open`](crate::Sqlite::open) without making or migrating the file.
pub fn pending(file: &Path) -> Result<Vec<migrate::Migration>> {
    if !file.exists() {
        return Ok(migrate::MIGRATIONS.to_vec());
    }
    let connection = connect(file, Durability::PowerCut)?;
    Ok(migrate::after(migrate::version(&connection)?).to_vec())
}

const WRITE_AHEAD_LOG: &str = "PRAGMA journal_mode = WAL";

/// Asks for the write-ahead log; answers what SQLite keeps. The first ones on a new file all want to change it at once, and for
/// that SQLite answers "busy" without asking the busy handler, which could not end a deadlock; so it is asked again here.
fn keep_write_ahead_log(connection: &Connection) -> Result<String> {
    let mut waits = 0;
    loop {
        let answer: rusqlite::Result<String> = connection.query_row(WRITE_AHEAD_LOG, [], |row| row.get(0));
        let is_busy =
            answer.as_ref().is_err_and(|error| error.sqlite_error_code() == Some(Cause::DatabaseBusy));
        if !is_busy || !wait_for_lock(waits) {
            return answer.map_db_err();
        }
        waits += 1;
    }
}

/// How often a lock is asked for before it counts as stuck: about 30 s.
const MOST_WAITS: i32 = 6_000;

/// Short random waits: SQLite's own grow to 100 ms, and a process that sleeps so long is passed by all others again and again.
pub fn wait_for_lock(waits: i32) -> bool {
    if waits >= MOST_WAITS {
        return false;
    }
    let longest = if waits < 20 { 1_000 } else { 10_000 };
    std::thread::sleep(Duration::from_micros(fastrand::u64(100..longest)));
    true
}
