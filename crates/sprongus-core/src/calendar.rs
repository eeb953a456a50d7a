//! The calendar: when a schedule has its ticks. Pure: no clock and no database; a caller brings the present and the cursor.
//!
//! Read it from the bottom up:
//!
//! - [`civil`]: what a wall clock and a calendar on the wall say, without a time zone.
//! - [`cron`]: a cron expression, as sets of seconds, minutes, hours and days; it is matched against civil time alone.
//! - [`zone`]: a time zone as stretches of constant offset, and the zone data of the system or of this binary.
//! - [`recurrence`]: an expression in a zone, or an interval, as instants: next, previous, counted.
//! - [`missed`]: which of the ticks since the last look become runs, and which are skipped.
//! - [`jitter`]: how much later than its tick a run is due.
//! - [`change`]: what a clock change does to an expression.

pub mod change;
pub mod civil;
pub mod cron;
pub mod jitter;
pub mod missed;
pub mod recurrence;
pub mod zone;

pub use cron::Cron;
pub use recurrence::{Dst, Recurrence, Tick};
pub use zone::{Zone, ZoneData, Zones};
