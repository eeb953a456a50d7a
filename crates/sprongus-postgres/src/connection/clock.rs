//! The present, as statements ask for it: by the server's clock, so that all processes agree, in whole milliseconds.

use sprongus_core::values::time::Timestamp;
use tokio_postgres::Row;

use crate::error::Result;
use crate::rows;

/// The present within a statement, by the clock of a test, which is the parameter named, or else by the server's.
macro_rules! now_sql {
    ($clock:literal) => {
        concat!("coalesce(", $clock, "::timestamptz, date_trunc('milliseconds', clock_timestamp()))")
    };
}
pub(crate) use now_sql;

/// The present. Asked behind a lock it is read when the lock is held.
pub const PRESENT: &str = concat!("SELECT ", now_sql!("$1"));

/// The rows of [`PRESENT`].
pub fn present(rows: &[Row]) -> Result<Timestamp> {
    rows::only(rows, |row| row.time())
}
