//! The cuts: which tables and statements each is made of. The SQL stands in files beside this one, in sections named by `-- @…`.

use std::collections::HashMap;

const BASE: &str = include_str!("base.sql");
const CLOSE: &str = include_str!("close.sql");
const CHANGES: &str = include_str!("changes.sql");
const WIDE: &str = include_str!("wide.sql");
const QUEUE: &str = include_str!("queue.sql");
const LIVE: &str = include_str!("live.sql");

/// Where the live state of a run stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Everything in `runs`, found by partial indexes.
    Wide,
    /// A queue row until the claim, then a timer row for each run.
    TimerRow,
    /// A queue row until the claim, then a timer row for each claim.
    TimerBatch,
    /// A narrow row from enqueue to finish.
    Live,
}

/// The foreign key from events to runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// None.
    None,
    /// By the run's id.
    ById,
    /// By workspace and id, which needs another unique index on runs.
    Composite,
}

/// One way to cut the schema.
#[derive(Clone, Copy)]
pub struct Cut {
    /// What it is called in the table.
    pub name: &'static str,
    /// Where live state stands.
    pub shape: Shape,
    /// Of `runs`, in percent.
    pub fill: u8,
    /// From events to runs.
    pub key: Key,
    /// Whether the queue remembers where the run's row lies.
    pub by_place: bool,
    /// `jsonb` or `json`.
    pub json: &'static str,
}

/// A cut in SQL.
pub struct Sql {
    /// Makes the tables.
    pub schema: String,
    /// Makes runs.
    pub enqueue: String,
    /// Looks for what is due.
    pub sweep: String,
    /// Takes runs.
    pub claim: String,
    /// Ends them.
    pub finish: String,
}

const fn cut(name: &'static str, shape: Shape, fill: u8) -> Cut {
    Cut { name, shape, fill, key: Key::None, by_place: false, json: "jsonb" }
}

/// The cut that the others are compared to stands first.
pub const CUTS: [Cut; 12] = [
    cut("wide", Shape::Wide, 100),
    cut("queue_timer_row_50", Shape::TimerRow, 50),
    cut("queue_timer_row_33", Shape::TimerRow, 33),
    cut("queue_timer_batch_50", Shape::TimerBatch, 50),
    cut("queue_timer_batch_33", Shape::TimerBatch, 33),
    cut("live_50", Shape::Live, 50),
    cut("batch_100", Shape::TimerBatch, 100),
    cut("batch_40", Shape::TimerBatch, 40),
    Cut { key: Key::ById, ..cut("batch_33_key_by_id", Shape::TimerBatch, 33) },
    Cut { key: Key::Composite, ..cut("batch_33_key_composite", Shape::TimerBatch, 33) },
    Cut { by_place: true, ..cut("batch_33_by_place", Shape::TimerBatch, 33) },
    Cut { json: "json", ..cut("batch_33_json", Shape::TimerBatch, 33) },
];

impl Cut {
    /// Its tables and statements.
    pub fn sql(&self) -> Sql {
        let mut parts = sections(CHANGES);
        let (file, timers) = match self.shape {
            Shape::Wide => (WIDE, ""),
            Shape::TimerRow => (QUEUE, " row"),
            Shape::TimerBatch => (QUEUE, " batch"),
            Shape::Live => (LIVE, ""),
        };
        parts.extend(sections(file));
        let which = match (self.shape, self.by_place) {
            (Shape::TimerRow | Shape::TimerBatch, true) => "which by place",
            (Shape::TimerRow | Shape::TimerBatch, false) => "which by id",
            (Shape::Wide | Shape::Live, _) => "which",
        };
        let part = |name: &str| parts.get(name).copied().unwrap_or_default();
        let timed = |name: &str| part(&format!("{name}{timers}"));
        let key = match self.key {
            Key::None => "",
            Key::ById => "ALTER TABLE run_events ADD FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE;",
            Key::Composite => {
                "ALTER TABLE runs ADD UNIQUE (workspace_id, id);
                 ALTER TABLE run_events ADD FOREIGN KEY (workspace_id, run_id) REFERENCES runs (workspace_id, id)
                    ON DELETE CASCADE;"
            }
        };
        // A column that finishing leaves alone still names the timer's row.
        let timer_after = if self.shape == Shape::TimerRow { "timer_at" } else { "NULL" };
        let fill = self.fill.to_string();
        let filled = |text: &str| {
            [
                ("@timers@", timed("timers")),
                ("@placed@", part("placed")),
                ("@picked@", part("picked")),
                ("@which@", part(which)),
                ("@timed@", timed("timed")),
                ("@untimed@", timed("untimed")),
                ("@timer_after@", timer_after),
                ("@key@", key),
                ("@place@", if self.by_place { "place" } else { "NULL" }),
                ("@fill@", &fill),
                ("@json@", self.json),
            ]
            .iter()
            .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        };
        Sql {
            schema: filled(BASE) + &filled(part("tables")) + CLOSE,
            enqueue: filled(part("enqueue")),
            sweep: filled(timed("sweep")),
            claim: filled(part("claim")),
            finish: filled(part("finish")),
        }
    }
}

fn sections(file: &'static str) -> HashMap<&'static str, &'static str> {
    let parts = file.split("-- @").skip(1);
    parts.map(|part| part.split_once('\n').map_or((part, ""), |(name, text)| (name, text.trim()))).collect()
}
