//! A page made of what the walks found.

use sprongus_core::run::Run;
use sprongus_core::run::list::{ListFilter, Page, Position};
use sprongus_core::runs::Caller;

/// The first of what was found, in order, as far as every walk went (`end`).
pub fn page(caller: &Caller, filter: &ListFilter, mut data: Vec<Run>, end: Option<Position>) -> Page<Run> {
    let key = |run: &Run| (run.created_at, run.id);
    if let Some(part) = &filter.id {
        data.retain(|run| part.fits(run.id));
    }
    data.sort_by_key(key);
    data.dedup_by_key(|run| run.id);
    if !filter.oldest_first {
        data.reverse();
    }
    if let Some(end) = end {
        let end = (end.created_at, end.id);
        data.retain(|run| if filter.oldest_first { key(run) <= end } else { key(run) >= end });
    }
    let more = data.len() > filter.limit as usize;
    data.truncate(filter.limit as usize);
    let last = data.last().map(|run| Position { created_at: run.created_at, id: run.id });
    let behind = if more { last } else { end };
    Page { data, next_cursor: behind.map(|position| filter.cursor_behind(&caller.workspace, position)) }
}

/// Which of two ends comes first in the order of the list.
pub fn sooner(filter: &ListFilter, one: Position, other: Position) -> Position {
    let is_first = (one.created_at, one.id) <= (other.created_at, other.id);
    if is_first == filter.oldest_first { one } else { other }
}
