//! Kinds as a table: how each stands, and whether it is paused.

use std::collections::BTreeMap;

use askama::Template;
use sprongus_core::values::names::Kind;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{KindSetting, KindStats, Stats, Worker};

use super::format::{When, number, span_ms};

/// A kind as a row.
pub struct KindRow {
    /// The kind, such as `script.pull`.
    pub kind: String,
    /// Queued runs that are due, as text with thousands apart; so are the next three.
    pub due: String,
    /// Queued runs that are not due yet.
    pub later: String,
    /// Queued runs that wait for an approval.
    pub waiting: String,
    /// Running runs.
    pub running: String,
    /// How long the oldest due one has been due.
    pub oldest: Option<String>,
    /// If somebody paused it, who and when.
    pub paused: Option<Paused>,
    /// Whether runs are due and no worker that lives would take them.
    pub is_starved: bool,
}

/// A pause, as far as it is known.
pub struct Paused {
    /// The actor; unknown of what was paused before schema 11.
    pub by: Option<String>,
    /// When; likewise.
    pub since: Option<When>,
}

/// The rows of the kinds that have live runs, and of those that somebody paused.
pub fn kind_rows(
    stats: &Stats,
    settings: &[KindSetting],
    workers: &[Worker],
    now: Timestamp,
) -> Vec<KindRow> {
    let none = KindStats::default();
    let paused = settings.iter().filter(|setting| setting.paused);
    let mut all: BTreeMap<&str, (&KindStats, Option<&KindSetting>)> =
        paused.map(|setting| (setting.kind.as_str(), (&none, Some(setting)))).collect();
    for (kind, stats) in &stats.kinds {
        all.entry(kind).or_insert((stats, None)).0 = stats;
    }
    let row = |(kind, (stats, paused)): (&str, (&KindStats, Option<&KindSetting>))| {
        let is_served =
            kind.parse::<Kind>().is_ok_and(|kind| workers.iter().any(|worker| worker.serves(&kind)));
        KindRow {
            kind: kind.to_owned(),
            due: number(stats.due),
            later: number(stats.later),
            waiting: number(stats.waiting),
            running: number(stats.running),
            oldest: stats.oldest_due_ms.map(span_ms),
            paused: paused.map(|setting| Paused {
                by: setting.changed_by.clone(),
                since: setting.changed_at.map(|at| When::new(at, now)),
            }),
            is_starved: stats.due > 0 && paused.is_none() && !is_served,
        }
    };
    all.into_iter().map(row).collect()
}

#[derive(Template)]
#[template(path = "kinds_table.html")]
pub struct KindsTable {
    /// One for each kind, in order.
    pub rows: Vec<KindRow>,
    /// Whether each row has a form that pauses or resumes its kind.
    pub may_pause: bool,
    /// What that form carries.
    pub form_token: String,
}
