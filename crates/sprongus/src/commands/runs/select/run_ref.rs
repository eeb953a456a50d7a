//! A run as it is named on the command line: by its id, by a part of it, or as the last one.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use sprongus_core::run::list::ListFilter;
use sprongus_core::values::id_part::IdPart;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, Result, Runs};

use crate::app::App;
use crate::connect::credentials::write_private;
use crate::env::Environment;

/// What stands for the run that this user enqueued last.
const LAST: &str = "@last";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunRef {
    Whole(RunId),
    /// By the beginning or the end of its id.
    Part(IdPart),
    /// The one this user enqueued last.
    Last,
}

impl FromStr for RunRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == LAST {
            return Ok(Self::Last);
        }
        // What has the length of an id is one, or nothing: a mistyped id must not become a search.
        match (text.parse(), text.len()) {
            (Ok(id), _) => Ok(Self::Whole(id)),
            (Err(error), 26 | 36) => Err(error),
            (Err(_), _) => text.parse().map(Self::Part),
        }
    }
}

impl RunRef {
    /// The run's id.
    ///
    /// # Errors
    /// `not_found` when no run fits; `validation` when several do, or when this user has enqueued nothing yet.
    pub async fn find(&self, app: &App, runs: &dyn Runs) -> Result<RunId> {
        match self {
            Self::Whole(id) => Ok(*id),
            Self::Part(part) => find(runs, part).await,
            Self::Last => last(&app.around),
        }
    }
}

async fn find(runs: &dyn Runs, part: &IdPart) -> Result<RunId> {
    let mut filter = ListFilter { id: Some(part.clone()), limit: 3, ..ListFilter::default() };
    let mut found: Vec<RunId> = Vec::new();
    loop {
        let page = runs.list(&filter).await?;
        found.extend(page.data.iter().map(|run| run.id));
        match page.next_cursor {
            Some(cursor) if found.len() < 2 => filter.cursor = Some(cursor),
            Some(_) | None => break,
        }
    }
    match found.as_slice() {
        [] => Err(Error::not_found(format_args!("run: {part}"))),
        [id] => Ok(*id),
        [one, other, ..] => {
            Err(Error::validation(format!("{part} matches several runs, such as {one} and {other}"))
                .with_hint("add characters; the end of an id is more distinctive"))
        }
    }
}

fn place(around: &Environment) -> Option<PathBuf> {
    around.data_folder.as_ref().map(|folder| folder.join("sprongus/last-run"))
}

fn last(around: &Environment) -> Result<RunId> {
    let text = place(around).and_then(|path| fs::read_to_string(path).ok());
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Error::validation("no last run: you have not enqueued any yet").with_hint("use the run's id")
    })
}

/// Remembers the run as the one this user enqueued last. It is a convenience: what cannot be remembered is left.
pub fn remember(around: &Environment, id: RunId) {
    if let Some(path) = place(around) {
        let _ = write_private(&path, &format!("{id}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_id_is_no_search() {
        assert_eq!("@last".parse::<RunRef>().unwrap(), RunRef::Last);
        assert!(matches!("8bh27q".parse::<RunRef>(), Ok(RunRef::Part(_))));
        assert!(matches!("01M80754D6E7K919GRYZ8BH27Q".parse::<RunRef>(), Ok(RunRef::Whole(_))));
        for bad in ["01M80754D6E7K919GRYZ8BH27U", "@first", "8BH27", ""] {
            assert!(bad.parse::<RunRef>().is_err(), "{bad}");
        }
    }
}
