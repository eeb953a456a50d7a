//! How long the write-ahead log may grow, and when it is cut.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::schema::open::wait_for_lock;

/// A process that opens the file alone reads the whole log again, at some 5 ms a thousand pages. Where only commands that soon
/// end write, none of them empties the log as it closes, for it is exiting; so in its first commits a process keeps the log short,
/// and only one that stays lets it grow to what is best for many commits. In pages.
pub const SHORT_LOG: u32 = 256;
pub const LONG_LOG: u32 = 8_000;
pub const STAYS: u32 = 64;

/// Puts the log into the file and cuts it to nothing, if nobody reads or writes just now: it waits for nobody.
pub fn cut_log(connection: &mut Connection) {
    // Its length is a matter of room alone.
    let _ = connection.busy_timeout(Duration::ZERO);
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    let _ = connection.busy_handler(Some(wait_for_lock));
}

/// Sees to it that what is wrong with the log does not get into the file when the connection is closed.
pub fn leave_log(connection: &Connection) {
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

pub fn empty_log_at(connection: &Connection, pages: u32) {
    // Its length is a matter of speed alone.
    let _ = connection.pragma_update(None, "wal_autocheckpoint", pages);
}
