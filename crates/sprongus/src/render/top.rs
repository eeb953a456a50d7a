//! A frame of `top`: a line of totals, then depth by kind, workers, and what runs, in as many lines as there is room for.

pub mod frame;

use std::time::Duration;

use sprongus_core::values::names::Kind;
use sprongus_core::values::text::excerpt;
use sprongus_core::workspace::directory::KindStats;

use super::age::{clock, length};
use super::clip::clip;
use super::plural::plural;
use super::style::{ATTENTION, BAD, BOLD, DIM, GOOD, paint};
use super::table::{Cell, Table};
use crate::render::top::frame::{Frame, Running, Working};

/// How much room there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub rows: usize,
    pub columns: usize,
}

impl Size {
    /// For what is no terminal.
    pub const ENDLESS: Self = Self { rows: usize::MAX, columns: usize::MAX };
}

/// Lines that every section but the last is cut to when there is no room for all: its headings and three rows.
const LEAST: usize = 4;

/// The frame's lines, no more than fit and none longer.
pub fn lines(frame: &Frame, size: Size) -> Vec<String> {
    let sections = [kinds(frame), workers(frame), running(frame)];
    let mut out = vec![totals(frame)];
    let mut left = size.rows.saturating_sub(out.len());
    for (place, section) in sections.iter().enumerate() {
        // An empty line before each.
        let behind: usize = sections[place + 1..].iter().map(|later| later.len().min(LEAST) + 1).sum();
        let room = left.saturating_sub(behind).max(LEAST + 1).min(left);
        let mut shown = vec![String::new()];
        shown.extend(cut(section, room.saturating_sub(1)));
        shown.truncate(left);
        left -= shown.len();
        out.extend(shown);
    }
    out.truncate(size.rows);
    out.into_iter().map(|line| clip(&line, size.columns)).collect()
}

/// So many of the section's lines; the last one tells how many are left out.
fn cut(section: &[String], room: usize) -> Vec<String> {
    if section.len() <= room {
        return section.to_vec();
    }
    let Some(kept) = room.checked_sub(1) else { return Vec::new() };
    let mut out = section[..kept].to_vec();
    out.push(paint(DIM, format!("… {} more", section.len() - kept)));
    out
}

fn totals(frame: &Frame) -> String {
    let sum = |of: fn(&KindStats) -> u64| frame.stats.kinds.values().map(of).sum::<u64>();
    let ended: Vec<String> =
        frame.stats.ended_last_hour.iter().map(|(state, runs)| format!("{runs} {state}")).collect();
    let ended = if ended.is_empty() { "none".to_owned() } else { ended.join(", ") };
    let (due, running) = (sum(|kind| kind.due), sum(|kind| kind.running));
    format!(
        "{}  {} due · {} running · {} · ended in the last hour: {ended}",
        paint(DIM, clock(frame.at)),
        paint(BOLD, due),
        paint(BOLD, running),
        paint(BOLD, plural(frame.workers.len(), "worker")),
    )
}

fn kinds(frame: &Frame) -> Vec<String> {
    let mut table = Table::new(["KIND", "DUE", "SCHEDULED", "APPROVALS", "RUNNING", "OLDEST DUE", "NOTE"]);
    for (name, stats) in &frame.stats.kinds {
        let oldest = stats.oldest_due_ms.map(|age| length(Duration::from_millis(age)));
        table.row([
            excerpt(name, 48).into(),
            Cell::number(stats.due),
            Cell::number(stats.later),
            Cell::number(stats.waiting),
            Cell::number(stats.running),
            Cell::number(oldest.unwrap_or_else(|| "–".to_owned())),
            note(frame, name, stats),
        ]);
    }
    split(&table.render("no live runs"))
}

/// Why what is due is not begun, where that can be told.
fn note(frame: &Frame, name: &str, stats: &KindStats) -> Cell {
    let Ok(kind) = name.parse::<Kind>() else { return "".into() };
    if frame.paused.contains(&kind) {
        Cell::styled("paused", ATTENTION)
    } else if stats.due > 0 && !frame.workers.iter().any(|working| working.worker.serves(&kind)) {
        Cell::styled("no worker", BAD)
    } else {
        "".into()
    }
}

fn workers(frame: &Frame) -> Vec<String> {
    let mut table = Table::new(["WORKER", "STATE", "HOST", "PID", "BUSY", "REPORTING", "RUNS"]);
    for Working { worker, holds } in &frame.workers {
        let state = if worker.draining {
            Cell::styled("draining", ATTENTION)
        } else {
            Cell::styled("claiming", GOOD)
        };
        // It holds what it executes, and what it has executed until its report is answered.
        let busy = holds.len().min(worker.concurrency as usize);
        let reporting = match holds.len() - busy {
            0 => Cell::from(""),
            more => Cell::number(more),
        };
        let named: Vec<String> = holds.iter().take(3).map(ToString::to_string).collect();
        let more = if holds.len() > named.len() { " …" } else { "" };
        table.row([
            worker.id.as_str().into(),
            state,
            excerpt(worker.host.as_deref().unwrap_or("-"), 24).into(),
            worker.pid.map_or_else(|| "-".into(), Cell::number),
            Cell::number(format!("{busy}/{}", worker.concurrency)),
            reporting,
            format!("{}{more}", named.join(" ")).into(),
        ]);
    }
    split(&table.render("No workers are running. Start one with `sprongus worker`."))
}

fn running(frame: &Frame) -> Vec<String> {
    let mut table = Table::new(["RUNNING", "KIND", "PROJECT", "PROGRESS", "ATTEMPT", "FOR", "WORKER"]);
    for run in &frame.running {
        table.row(row(run));
    }
    let mut lines = split(&table.render("nothing is running"));
    if frame.more_running {
        lines.push(paint(DIM, "… and more"));
    }
    lines
}

fn row(run: &Running) -> [Cell; 7] {
    [
        run.id.to_string().into(),
        excerpt(run.kind.as_str(), 48).into(),
        run.project_id.as_ref().map_or("", |project| project.as_str()).into(),
        Cell::number(format!("{} {:>3}%", bar(run.progress), run.progress)),
        Cell::number(format!("{}/{}", run.attempt, run.max_attempts)),
        Cell::number(length(Duration::from_millis(run.elapsed_ms))),
        run.claimed_by.as_ref().map_or("", |worker| worker.as_str()).into(),
    ]
}

/// Ten columns.
fn bar(percent: u8) -> String {
    let full = usize::from(percent.min(100)) / 10;
    format!("{}{}", "█".repeat(full), "░".repeat(10 - full))
}

fn split(block: &str) -> Vec<String> {
    block.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_counted() {
        let section: Vec<String> = (0..10).map(|line| line.to_string()).collect();
        assert_eq!(cut(&section, 10), section);
        let cut_to = |room| {
            cut(&section, room)
                .iter()
                .map(|line| anstream::adapter::strip_str(line).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(cut_to(3), ["0", "1", "… 8 more"]);
        assert_eq!(cut_to(0), Vec::<String>::new());
    }

    #[test]
    fn a_bar_is_ten_columns() {
        assert_eq!(
            (bar(0), bar(45), bar(100)),
            ("░".repeat(10), format!("████{}", "░".repeat(6)), "█".repeat(10))
        );
    }
}
