//! The runs that are executed just now, as far as anybody wants to read them.

use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::{Result, Runs};

/// Pages that are read at most, of 100 runs each.
const PAGES: usize = 10;

/// Running runs, those made first to begin with, and whether there are more.
///
/// # Errors
/// `unavailable`.
pub async fn running(runs: &dyn Runs) -> Result<(Vec<RunView>, bool)> {
    let mut filter =
        ListFilter { states: vec![State::Running], limit: 100, oldest_first: true, ..ListFilter::default() };
    let mut found = Vec::new();
    for _ in 0..PAGES {
        let page = runs.list(&filter).await?;
        found.extend(page.data);
        filter.cursor = page.next_cursor;
        if filter.cursor.is_none() {
            return Ok((found, false));
        }
    }
    Ok((found, true))
}
