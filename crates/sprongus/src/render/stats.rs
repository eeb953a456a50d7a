//! The figures of a workspace.

use std::time::Duration;

use sprongus_core::values::text::excerpt;
use sprongus_core::workspace::directory::Stats;

use super::age::length;
use super::style::{BOLD, DIM, paint};
use super::table::{Cell, Table};

/// The figures, kind by kind, then over all.
pub fn block(stats: &Stats) -> String {
    let mut table = Table::new(["KIND", "DUE", "SCHEDULED", "APPROVALS", "RUNNING", "OLDEST DUE"]);
    for (kind, stats) in &stats.kinds {
        table.row([
            excerpt(kind, 64).into(),
            Cell::number(stats.due),
            Cell::number(stats.later),
            Cell::number(stats.waiting),
            Cell::number(stats.running),
            Cell::number(millis(stats.oldest_due_ms)),
        ]);
    }
    let ended: Vec<String> =
        stats.ended_last_hour.iter().map(|(state, runs)| format!("{runs} {state}")).collect();
    let ended = if ended.is_empty() { "none".to_owned() } else { ended.join(", ") };
    let mut out = table.render("no live runs");
    let mut field = |label: &str, value: String| {
        out.push_str(&format!("{}{value}\n", paint(DIM, format!("{label:<18}"))));
    };
    field("workers", paint(BOLD, stats.workers));
    field("ended, last hour", ended);
    field("wait  p50 / p99", format!("{} / {}", millis(stats.wait_p50_ms), millis(stats.wait_p99_ms)));
    field("run   p50 / p99", format!("{} / {}", millis(stats.run_p50_ms), millis(stats.run_p99_ms)));
    let (given, got) = (stats.tokens_in_last_hour, stats.tokens_out_last_hour);
    if given + got > 0 {
        field("tokens, last hour", format!("{given} in, {got} out"));
    }
    out
}

fn millis(millis: Option<u64>) -> String {
    millis.map_or_else(|| "–".to_owned(), |millis| length(Duration::from_millis(millis)))
}
