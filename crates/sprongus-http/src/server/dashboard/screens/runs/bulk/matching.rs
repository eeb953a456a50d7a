//! Cancelling or retrying all runs that a list's filters match: counted and asked about first, then done a page at a time, each page by a
//! click of its own, so that no call takes longer than a hundred runs do.

use std::fmt;

use axum::http::Uri;
use form_urlencoded::Serializer;
use futures_util::future::join_all;
use sprongus_core::run::list::{ListFilter, MAX_PAGE};
use sprongus_core::run::state::State;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, ErrorCode, Result, Runs};

use super::{BulkAction, BulkOutcome, More, apply, outcome_page};
use crate::server::dashboard::layout::Section;
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::format::number;
use crate::server::dashboard::screens::question::Question;
use crate::server::dashboard::screens::runs::query::RunsQuery;
use crate::server::dashboard::session::form::Posted;
use crate::server::response::bad_field;

/// Pages that are counted at most.
const PAGES: usize = 100;

/// Asks, or does the next page of what was asked about.
pub async fn act(posted: Posted, action: BulkAction) -> PageResult {
    posted.require(Scope::Write)?;
    let query = posted.fields.text("filter").unwrap_or_default().to_owned();
    let now = timely(posted.viewer.shared.service.store().now()).await?;
    let mut filter = read(action, &query, now)?;
    let runs = posted.viewer.principal.runs();
    if posted.fields.text("sure") != Some("yes") {
        // What is made after the question was asked is not what it is about.
        let before = filter.before.map_or(now, |before| before.min(now));
        filter.before = Some(before);
        let count = timely(count(runs.as_ref(), filter)).await?;
        if count.runs == 0 {
            return Err(nothing(action).into());
        }
        let (title, text, button) = action.words();
        let about = if query.is_empty() { "all runs".to_owned() } else { query.clone() };
        let noun = if count.is_one() { "run matches" } else { "runs match" };
        let question = Question {
            title,
            about: vec![(about, format!("{count} {noun}"))],
            text,
            action: "/runs/bulk".to_owned(),
            button,
            is_dangerous: action == BulkAction::Cancel,
            back: format!("/runs?{query}"),
            fields: confirmed(action, until(&query, before)),
        };
        return question.ask(&posted.viewer, Section::Runs);
    }
    filter.cursor = posted.fields.text("cursor").map(str::to_owned);
    let page = timely(runs.list(&filter)).await?;
    posted.require_write(page.data.len())?;
    let outcomes: Vec<BulkOutcome> = timely(async {
        Ok(join_all(page.data.iter().map(|run| apply(runs.as_ref(), action, run.id, run.epoch))).await)
    })
    .await?;
    let more = match page.next_cursor {
        None => None,
        Some(cursor) => {
            let rest = ListFilter { cursor: Some(cursor.clone()), ..filter };
            let left = timely(count(runs.as_ref(), rest)).await?;
            let mut fields = confirmed(action, query);
            fields.push(("cursor", cursor));
            (left.runs > 0).then(|| More { left: left.to_string(), fields })
        }
    };
    outcome_page(&posted.viewer, action, outcomes, more)
}

/// What the answer yes carries.
fn confirmed(action: BulkAction, query: String) -> Vec<(&'static str, String)> {
    vec![("sure", "yes".to_owned()), ("act", action.act_on_all().to_owned()), ("filter", query)]
}

/// The filters, narrowed to runs that were made before `time`.
fn until(query: &str, time: Timestamp) -> String {
    let given = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "before");
    Serializer::new(String::new()).extend_pairs(given).append_pair("before", &time.to_string()).finish()
}

/// The filter of the list, narrowed to the states that the action is of use in.
fn read(action: BulkAction, query: &str, now: Timestamp) -> Result<ListFilter> {
    let uri: Uri = format!("/runs?{query}").parse().map_err(|_| bad_field("/filter", "not valid filters"))?;
    let wanted = RunsQuery::read(&uri, now)?;
    let mut filter = ListFilter { limit: MAX_PAGE, cursor: None, ..wanted.filter()? };
    let of_use = match action {
        BulkAction::Cancel => [State::Queued, State::Running],
        BulkAction::Retry => [State::Failed, State::Canceled],
    };
    if filter.states.is_empty() && filter.waiting.is_none() {
        filter.states = of_use.to_vec();
    } else {
        filter.states.retain(|state| of_use.contains(state));
        if filter.states.is_empty() && (filter.waiting.is_none() || action == BulkAction::Retry) {
            return Err(nothing(action));
        }
    }
    Ok(filter)
}

/// How many runs match.
struct Count {
    runs: u64,
    /// Whether those are all; the rest were not counted.
    is_whole: bool,
}

impl Count {
    fn is_one(&self) -> bool {
        self.runs == 1 && self.is_whole
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", number(self.runs), if self.is_whole { "" } else { " or more" })
    }
}

async fn count(runs: &dyn Runs, mut filter: ListFilter) -> Result<Count> {
    let mut found = 0;
    for _ in 0..PAGES {
        let page = runs.list(&filter).await?;
        found += page.data.len() as u64;
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return Ok(Count { runs: found, is_whole: true }),
        }
    }
    Ok(Count { runs: found, is_whole: false })
}

fn nothing(action: BulkAction) -> Error {
    let message = match action {
        BulkAction::Cancel => "no matching run is queued or running",
        BulkAction::Retry => "no matching run failed or was canceled",
    };
    Error::new(ErrorCode::IllegalTransition, message).with_hint("go back and change the filters")
}
