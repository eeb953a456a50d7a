//! A schedule as a row: what it is to do, and how far it has got.

use std::collections::HashMap;
use std::sync::Arc;

use sprongus_core::calendar::Zones;
use sprongus_core::calendar::zone::Zone;
use sprongus_core::schedule::definition::Timing;
use sprongus_core::schedule::{LATE, ScheduleState, ScheduleView};
use sprongus_core::values::duration::format_duration;
use sprongus_core::values::time::Timestamp;

use super::format::When;

/// A tick, as a clock in the schedule's zone shows it.
pub struct Tick {
    /// `2026-12-01 02:30`, followed by ` UTC` where the schedule has no zone.
    pub local: String,
    pub when: When,
}

/// Clocks in the zones of schedules; each zone is read once.
pub struct Clocks {
    zones: Arc<dyn Zones>,
    read: HashMap<String, Option<Zone>>,
    now: Timestamp,
}

impl Clocks {
    pub fn new(zones: Arc<dyn Zones>, now: Timestamp) -> Self {
        Self { zones, read: HashMap::new(), now }
    }

    /// A tick of a schedule. Where its zone is unknown it is told in UTC.
    pub fn tick(&mut self, view: &ScheduleView, at: Timestamp) -> Tick {
        let zone = view.definition.time_zone().and_then(|name| {
            let zones = &self.zones;
            self.read.entry(name.to_owned()).or_insert_with(|| zones.zone(name).ok()).as_ref()
        });
        let (civil, utc) = match zone {
            Some(zone) => (zone.civil(at), ""),
            None => (Zone::utc().civil(at), " UTC"),
        };
        Tick { local: format!("{}{utc}", spoken(&civil.to_string())), when: When::new(at, self.now) }
    }
}

/// `2026-12-01T02:30:00` as people write it: seconds are left out where they are 0.
pub fn spoken(civil: &str) -> String {
    let text = civil.replace('T', " ");
    text.strip_suffix(":00").filter(|short| short.len() == 16).map(str::to_owned).unwrap_or(text)
}

/// A schedule as a row.
pub struct ScheduleRow {
    pub id: String,
    pub kind: String,
    /// The cron expression in its canonical text, or the interval.
    pub timing: String,
    pub time_zone: Option<String>,
    /// `active`, `paused`, `ended` or `broken`.
    pub state: &'static str,
    /// The state of a run that looks like it.
    pub class: &'static str,
    pub next: Option<Tick>,
    pub is_late: bool,
    pub last: Option<Tick>,
    /// Ticks that wait for a live run.
    pub waiting: usize,
    /// `file` or `api`.
    pub managed_by: &'static str,
    pub is_drifted: bool,
}

impl ScheduleRow {
    pub fn new(view: &ScheduleView, clocks: &mut Clocks) -> Self {
        let is_late = view.due_at.is_some_and(|due| due.plus(LATE) < clocks.now);
        Self {
            id: view.id.to_string(),
            kind: view.definition.run.kind.clone(),
            timing: match &view.definition.timing {
                Timing::Cron { cron, .. } => cron.to_string(),
                Timing::Every(interval) => format!("every {}", format_duration(*interval)),
            },
            time_zone: view.definition.time_zone().map(str::to_owned),
            state: view.state.as_str(),
            class: match view.state {
                ScheduleState::Active => "succeeded",
                ScheduleState::Paused | ScheduleState::Ended => "canceled",
                ScheduleState::Broken => "failed",
            },
            next: view.next_tick.map(|at| clocks.tick(view, at)),
            is_late: is_late && view.state == ScheduleState::Active,
            last: view.last_tick.map(|at| clocks.tick(view, at)),
            waiting: view.waiting_ticks.len(),
            managed_by: view.managed_by.as_str(),
            is_drifted: view.drifted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_left_out_where_they_are_none() {
        assert_eq!(spoken("2026-12-01T02:30:00"), "2026-12-01 02:30");
        assert_eq!(spoken("2026-12-01T02:30:15"), "2026-12-01 02:30:15");
    }
}
