//! Workers as a table: where each runs, and which runs it holds.

use std::collections::HashMap;

use askama::Template;
use sprongus_core::run::view::RunView;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Worker;

use super::format::When;

/// Runs named in a worker's row.
const NAMED: usize = 8;

/// A worker as a row.
pub struct WorkerRow {
    /// The id that it gave itself.
    pub id: String,
    /// Its machine and process there; none where the viewer is narrowed to projects.
    pub machine: Option<(String, u32)>,
    /// The version of its program.
    pub version: String,
    /// Runs it executes at once.
    pub concurrency: u32,
    /// The kinds it serves; none means any.
    pub kinds: Option<String>,
    /// Whether it takes nothing more.
    pub is_draining: bool,
    /// The zone data that it reads schedules by, where workers have different.
    pub zone_data: Option<String>,
    /// When it was last heard of.
    pub seen: When,
    /// Some of the runs it holds, by id and kind.
    pub holds: Vec<(String, String)>,
    /// How many it holds besides, as far as was looked.
    pub more: usize,
}

/// Runs by who holds them.
pub type Held<'a> = HashMap<&'a WorkerId, Vec<&'a RunView>>;

/// Sorts running runs by who holds them.
pub fn held_by(running: &[RunView]) -> Held<'_> {
    let mut held = Held::new();
    for run in running {
        if let Some(worker) = &run.claimed_by {
            held.entry(worker).or_default().push(run);
        }
    }
    held
}

impl WorkerRow {
    /// A worker and what it holds; `zones_differ` tells whether workers have different zone data.
    pub fn new(worker: &Worker, held: &Held<'_>, zones_differ: bool, now: Timestamp) -> Self {
        let holds = held.get(&worker.id).map(Vec::as_slice).unwrap_or_default();
        let kinds = worker.kinds.as_ref().map(|kinds| {
            let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            names.join(", ")
        });
        Self {
            id: worker.id.to_string(),
            machine: worker.host.clone().zip(worker.pid),
            version: worker.version.clone(),
            concurrency: worker.concurrency,
            kinds,
            is_draining: worker.draining,
            zone_data: worker.zone_data.as_ref().filter(|_| zones_differ).map(ToString::to_string),
            seen: When::new(worker.seen_at, now),
            holds: holds.iter().take(NAMED).map(|run| (run.id.to_string(), run.kind.to_string())).collect(),
            more: holds.len().saturating_sub(NAMED),
        }
    }
}

#[derive(Template)]
#[template(path = "workers_table.html")]
pub struct WorkersTable {
    /// One for each live worker.
    pub rows: Vec<WorkerRow>,
    /// Whether each row has a link to drain its worker.
    pub may_drain: bool,
}
