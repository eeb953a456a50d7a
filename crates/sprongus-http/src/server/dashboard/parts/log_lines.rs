//! Lines of a log as a page shows them, and the last of them.

use askama::Template;
use sprongus_core::run::follow::MAX_NEWS;
use sprongus_core::run::step::NumberedLine;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Result, Runs};

use super::html::{Html, render};

/// Lines that a page begins with.
pub const SHOWN: u64 = 500;

/// A log line as its template shows it.
pub struct Line {
    /// Its number in the run's log, from 1.
    pub seq: u64,
    /// RFC 3339, to the millisecond.
    pub exact: String,
    /// The time of day, UTC: `10:15:00.123`.
    pub clock: String,
    /// `stdout`, `stderr` or `system`.
    pub stream: &'static str,
    /// The step that printed it; empty for none.
    pub step: String,
    pub text: String,
}

impl Line {
    fn new(line: NumberedLine) -> Self {
        let exact = line.line.at.to_string();
        Self {
            seq: line.seq,
            clock: exact.get(11..23).unwrap_or_default().to_owned(),
            exact,
            stream: line.line.stream.as_str(),
            step: line.line.step.unwrap_or_default(),
            text: line.line.text,
        }
    }
}

#[derive(Template)]
#[template(path = "log_lines.html")]
struct Lines {
    lines: Vec<Line>,
}

/// Lines as markup.
///
/// # Errors
/// `internal`.
pub fn lines(lines: Vec<NumberedLine>) -> Result<Html> {
    render(&Lines { lines: lines.into_iter().map(Line::new).collect() })
}

/// The last lines of a log, of one step alone if it is named, and the number of the last line that there is.
///
/// # Errors
/// Those of [`Runs::logs`].
pub async fn end(runs: &dyn Runs, id: RunId, step: Option<&str>) -> Result<(Vec<NumberedLine>, u64)> {
    // Lines are numbered without a gap, so the end is found by halving what it lies within: there is no need to read up to it.
    let (mut has, mut has_not) = (0, SHOWN);
    while !runs.logs(id, has_not, 1).await?.is_empty() {
        has = has_not;
        has_not = has_not.saturating_mul(4);
    }
    while has_not - has > SHOWN {
        let middle = has + (has_not - has) / 2;
        if runs.logs(id, middle, 1).await?.is_empty() {
            has_not = middle;
        } else {
            has = middle;
        }
    }
    let mut after = has.saturating_sub(SHOWN);
    let (mut found, mut last) = (Vec::new(), 0);
    loop {
        let page = runs.logs(id, after, MAX_NEWS).await?;
        let Some(end) = page.last() else { break };
        (after, last) = (end.seq, end.seq);
        found.extend(
            page.into_iter().filter(|line| step.is_none_or(|step| line.line.step.as_deref() == Some(step))),
        );
        let surplus = found.len().saturating_sub(usize::try_from(SHOWN).unwrap_or(usize::MAX));
        found.drain(..surplus);
        if last >= has_not {
            break;
        }
    }
    Ok((found, last))
}
