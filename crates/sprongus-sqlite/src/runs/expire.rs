//! Timers: what time has changed is brought up to the present, oldest first.

use rusqlite::Connection;
use sprongus_core::Result;
use sprongus_core::rules::expire::expire;
use sprongus_core::rules::placement::Placement;
use sprongus_core::rules::{Act, SYSTEM};
use sprongus_core::run::event::Event;
use sprongus_core::runs::Caller;
use sprongus_core::values::time::Timestamp;

use crate::connection::writer::Tx;
use crate::rows::{self, run_columns};
use crate::runs::load;
use crate::runs::write_set::write;
use crate::settings;

pub(crate) const DUE_TIMERS: &str = concat!(
    "SELECT ",
    run_columns!(),
    " FROM runs INDEXED BY runs_timer WHERE workspace_id = ?1 AND timer_at <= ?2 ORDER BY timer_at LIMIT ?3"
);
const SET_PLACEMENT: &str = "UPDATE runs SET ready = ?2, timer_at = ?3 WHERE id = ?1";
const NEXT_TIMER: &str = "
    SELECT min(at) FROM (
        SELECT * FROM (SELECT timer_at AS at FROM runs INDEXED BY runs_timer
            WHERE workspace_id = ?1 AND timer_at IS NOT NULL ORDER BY timer_at LIMIT 1)
        UNION ALL
        SELECT * FROM (SELECT due_at AS at FROM settings INDEXED BY settings_due
            WHERE workspace_id = ?1 AND due_at IS NOT NULL ORDER BY due_at LIMIT 1))";

/// Moves due timers; how many, and what was written.
pub fn run(tx: &Tx<'_>, caller: &Caller, limit: u32) -> Result<(u32, Vec<Event>)> {
    let due = (caller.workspace.as_str(), tx.now.to_string(), limit);
    let due = rows::all(tx.connection, DUE_TIMERS, due, rows::run)?;
    let mut written = Vec::new();
    for run in &due {
        let waits_at = load::waits_at(tx.connection, run)?;
        let set = expire(run, waits_at.as_ref(), Act { now: tx.now, actor: SYSTEM });
        if set.is_empty() {
            let placement = Placement::of(run, tx.now);
            let timer_at = placement.timer().map(|time| time.to_string());
            let placed = (run.id.to_string(), placement.is_ready(), timer_at);
            rows::execute(tx.connection, SET_PLACEMENT, placed)?;
        }
        write(tx, caller, &set)?;
        written.extend(set.events().cloned());
    }
    let looked_at = u32::try_from(due.len()).unwrap_or(u32::MAX);
    let (schedules, events) = settings::move_due(tx, caller, limit.saturating_sub(looked_at))?;
    written.extend(events);
    Ok((looked_at + schedules, written))
}

/// When the next timer of a workspace falls due.
pub fn next(connection: &Connection, caller: &Caller) -> Result<Option<Timestamp>> {
    let next = rows::first(connection, NEXT_TIMER, [caller.workspace.as_str()], |row| row.parse_optional())?;
    Ok(next.flatten())
}
