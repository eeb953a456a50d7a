//! What the demo says around the runs it shows.

use std::time::Duration;

use serde_json::Value;
use sprongus_core::run::NewRun;
use sprongus_core::run::event::{Event, EventType};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::text::{excerpt, printable};

use super::folder::DemoFolder;
use crate::render::age::length;
use crate::render::history::style_of;
use crate::render::style::{ATTENTION, BOLD, DIM, GOOD, paint};
use crate::render::table::{Cell, Table};

/// Rows of a board that are shown.
const ROWS: usize = 3;

/// What stands before everything that belongs to a heading; the screen's own margin is as wide.
const MARGIN: &str = "   ";

/// The first line of all.
pub fn title(folder: &DemoFolder) -> String {
    format!("{} a screenplay becomes a storyboard, in {}\n", paint(BOLD, "sprongus demo:"), folder.shown)
}

/// The line that announces a step.
pub fn heading(number: usize, title: &str) -> String {
    format!("\n{}\n", paint(BOLD, format!("{number}  {title}")))
}

/// A remark that is no result.
pub fn aside(text: &str) -> String {
    paint(DIM, format!("({text})")) + "\n"
}

/// What a person would type for a request.
pub fn command(request: &NewRun) -> String {
    let input = request.input.as_ref().map(|input| format!(" --input '{}'", input.as_str()));
    let key = request.idempotency_key.as_ref().map(|key| format!(" --idempotency-key {key}"));
    let (input, key) = (input.unwrap_or_default(), key.unwrap_or_default());
    format!("sprongus runs enqueue {}{input}{key} --work", request.kind)
}

/// Commands behind their prompt, a long one on two lines.
pub fn commands(commands: &[String]) -> String {
    let line = |command: &String| match command.split_once(" --idempotency-key") {
        Some((head, rest)) => format!("{} {head} \\\n    --idempotency-key{rest}\n", paint(DIM, "$")),
        None => format!("{} {command}\n", paint(DIM, "$")),
    };
    commands.iter().map(line).collect()
}

/// The first rows of a board.
pub fn board(rows: &[[String; 5]]) -> String {
    let mut table = Table::new(["SCENE", "HEADING", "CAST", "EIGHTHS", "STATUS"]);
    for [scene, heading, cast, eighths, status] in rows.iter().take(ROWS) {
        table.row([
            cell(scene, 16),
            cell(heading, 40),
            cell(cast, 24),
            Cell::number(excerpt(eighths, 8)),
            cell(status, 16),
        ]);
    }
    let more = match rows.len().saturating_sub(ROWS) {
        0 => String::new(),
        more => paint(DIM, format!("… {more} more in storyboard.csv")) + "\n",
    };
    format!("\n{}{more}", table.render("no rows"))
}

/// The rows that somebody has written into.
pub fn notes(rows: &[[String; 4]]) -> String {
    let mut table = Table::new(["SCENE", "HEADING", "STATUS", "NOTES"]);
    for [scene, heading, status, note] in rows {
        table.row([
            cell(scene, 16),
            cell(heading, 40),
            cell(status, 16),
            Cell::styled(excerpt(note, 32), GOOD),
        ]);
    }
    format!("\n{}", table.render("no notes"))
}

fn cell(text: &str, width: usize) -> Cell {
    excerpt(text, width).into()
}

/// The head of the page that tells what changed: what stands above the board.
pub fn page(text: &str) -> String {
    let (head, _) = text.split_once("\n## Board").unwrap_or((text, ""));
    let lines = head.trim_end().lines().skip_while(|line| line.starts_with("<!--"));
    let lines = lines.map(|line| format!("{} {}\n", paint(DIM, "│"), printable(line)));
    format!(
        "\n{}\n{}",
        paint(DIM, "storyboard.md, where the run's output points:"),
        lines.collect::<String>()
    )
}

/// Where everything is, how the retried run lived, and what to type next.
pub fn end(folder: &DemoFolder, retried: RunId, history: &[Event], database_is_named: bool) -> String {
    let mut out = format!("\n{}\n", paint(BOLD, "Files"));
    for (what, name) in [
        ("runs, steps, events, logs", ".sprongus/runs.db"),
        ("the scenes", "scenes.json"),
        ("the board", "storyboard.csv"),
        ("what changed", "storyboard.md"),
    ] {
        out.push_str(&format!("{MARGIN}{what:<27}{}\n", folder.shown(name)));
    }
    out.push_str(&format!("\n{}\n", paint(BOLD, format!("History of {retried}"))));
    self::history(history).lines().for_each(|line| out.push_str(&format!("{MARGIN}{line}\n")));
    out.push_str(&format!("\n{}\n", paint(BOLD, "Try next")));
    let program = folder.program();
    if program != "sprongus" {
        out.push_str(&format!("{MARGIN}alias sprongus={}\n", quoted(&program)));
    }
    if database_is_named {
        out.push_str(&format!("{MARGIN}unset SPRONGUS_API_URL SPRONGUS_DATABASE_URL\n"));
    }
    out.push_str(&format!("{MARGIN}cd {} && sprongus runs list\n", quoted(&folder.shown)));
    out.push_str(&format!("{MARGIN}sprongus runs status {retried}\n"));
    let request = "sprongus runs enqueue script.pull --input '{\"path\": \"screenplay.fountain\"}' --work";
    out.push_str(&format!("{MARGIN}{request}\n"));
    out
}

fn history(events: &[Event]) -> String {
    let mut table = Table::new(["SEQ", "AFTER", "EVENT", "DETAIL"]);
    let Some(first) = events.first() else { return String::new() };
    for event in events {
        table.row([
            Cell::number(event.seq),
            Cell::number(length(event.at.since(first.at))),
            Cell::styled(event.kind.as_str(), style_of(event.kind)),
            Cell::styled(particulars(event), if is_failure(event) { ATTENTION } else { DIM }),
        ]);
    }
    table.render("")
}

fn is_failure(event: &Event) -> bool {
    event.kind == EventType::RetryScheduled
}

/// An event's payload in a few words.
fn particulars(event: &Event) -> String {
    let payload = event.payload.to_value();
    let text = |name| payload.get(name).and_then(Value::as_str).map(|text| excerpt(text, 64));
    let number = |name| payload.get(name).and_then(Value::as_u64);
    let attempt = number("attempt").map(|attempt| format!("attempt {attempt}"));
    let said = if event.step_id.is_some() {
        text("name")
    } else if let Some(wait) = number("retryInMs") {
        let error = payload.get("error").and_then(Value::as_str).and_then(|error| error.lines().next());
        let error = excerpt(error.unwrap_or_default(), 48);
        Some(format!("{error}; retrying in {}", length(Duration::from_millis(wait))))
    } else {
        number("progress").map(|percent| format!("{percent} %"))
    };
    attempt.into_iter().chain(said).collect::<Vec<_>>().join(", ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@:".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        assert_eq!(quoted("/a/b-c.d"), "/a/b-c.d");
        assert_eq!(quoted("/a b/it's"), "'/a b/it'\\''s'");
    }

    #[test]
    fn the_head_of_a_page_ends_above_its_board() {
        let page = page("<!-- mark -->\n# T\n\n- added x\n\n## Board\n\n| a |\n");
        let page = anstream::adapter::strip_str(&page).to_string();
        assert_eq!(page, "\nstoryboard.md, where the run's output points:\n│ # T\n│ \n│ - added x\n");
    }
}
