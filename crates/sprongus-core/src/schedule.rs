//! Schedules: runs that the calendar makes. [`definition`] is what people write, [`record`] how far a schedule has got, [`view`] what
//! people see of it; what happens at a tick is a rule, [`crate::rules::schedule`].

pub mod definition;
pub mod record;
pub mod view;

use serde::{Deserialize, Serialize};

use crate::values::names::ScheduleId;
use crate::values::time::Timestamp;

pub use definition::{Definition, Overlap};
pub use record::Schedule;
pub use view::{LATE, ScheduleFigures, ScheduleState, ScheduleView};

/// The most schedules of one file that is applied.
pub const MAX_SCHEDULES: usize = 200_000;

/// The most ticks of one backfill.
pub const MAX_BACKFILL: usize = 1_000;

/// The most runs of a schedule that it remembers as live where runs may overlap.
pub const MAX_LIVE: usize = 100;

/// The most ticks that wait for a live run under [`Overlap::QueueAll`].
pub const MAX_WAITING: usize = 100;

/// The schedule that made a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scheduled {
    /// The schedule; it may be deleted since.
    pub schedule_id: ScheduleId,
    /// The tick; none for a run that somebody triggered.
    pub scheduled_for: Option<Timestamp>,
    /// The revision of the schedule that made it.
    pub revision: u32,
}
