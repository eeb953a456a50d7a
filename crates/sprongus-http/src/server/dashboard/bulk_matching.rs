//! Cancelling or retrying all runs that a list's filters match: counted and asked about first, then done a page at a time, each page by a
//! click of its own, so that no call takes longer than a hundred runs do.

use axum::http::Uri;
use futures_util::future::join_all;
use sprongus_core::list::{ListFilter, MAX_PAGE};
use sprongus_core::state::State;
use sprongus_core::token::Scope;
use sprongus_core::{Error, ErrorCode, Result, Runs};

use super::answering::Question;
use super::bulk::{Done, Outcome, Verb, apply};
use super::form::Posted;
use super::html::render;
use super::runs::Wanted;
use super::screen::{Section, Shown, screen, timely};
use crate::server::answer::bad_field;

/// Pages that are counted at most.
const PAGES: usize = 10;

/// Asks, or does the next page of what was asked about.
pub async fn act(posted: Posted, verb: Verb) -> Shown {
    posted.require(Scope::Write)?;
    let query = posted.fields.text("filter").unwrap_or_default().to_owned();
    let mut filter = read(&posted, verb, &query).await?;
    let runs = posted.viewer.asker.runs();
    if posted.fields.text("sure") != Some("yes") {
        let (count, is_all) = timely(count(runs.as_ref(), filter)).await?;
        if count == 0 {
            return Err(nothing(verb).into());
        }
        let more = if is_all { "" } else { " or more" };
        let noun = if count == 1 && is_all { "run matches" } else { "runs match" };
        let (title, text, button) = verb.words();
        let about = if query.is_empty() { "all runs".to_owned() } else { query.clone() };
        let question = Question {
            title,
            about: vec![(about, format!("{count}{more} {noun}"))],
            text,
            action: "/runs/bulk".to_owned(),
            button,
            is_dangerous: verb == Verb::Cancel,
            back: format!("/runs?{query}"),
            fields: vec![
                ("sure", "yes".to_owned()),
                ("act", verb.act_on_all().to_owned()),
                ("filter", query),
            ],
        };
        return question.ask(&posted.viewer, Section::Runs);
    }
    filter.cursor = posted.fields.text("cursor").filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    let page = timely(runs.list(&filter)).await?;
    posted.require_write(page.data.len())?;
    let outcomes: Vec<Outcome> = timely(async {
        Ok(join_all(page.data.iter().map(|run| apply(runs.as_ref(), verb, run.id, run.epoch))).await)
    })
    .await?;
    let done = outcomes.iter().filter(|outcome| outcome.is_done).count();
    let more = page.next_cursor.map(|cursor| {
        vec![
            ("sure", "yes".to_owned()),
            ("act", verb.act_on_all().to_owned()),
            ("filter", query),
            ("cursor", cursor),
        ]
    });
    let title = verb.done();
    let refused = outcomes.len() - done;
    let form_token = posted.viewer.form_token.clone();
    let main = render(&Done { title, done, refused, outcomes, more, form_token })?;
    Ok(screen(&posted.viewer, Section::Runs, title, None, &main)?)
}

/// The filter of the list, narrowed to the states that the verb is of use in.
async fn read(posted: &Posted, verb: Verb, query: &str) -> Result<ListFilter> {
    let uri: Uri =
        format!("/runs?{query}").parse().map_err(|_| bad_field("/filter", "not a list's filters"))?;
    let now = timely(posted.viewer.shared.service.store().now()).await?;
    let wanted = Wanted::read(&uri, now)?;
    let mut filter = ListFilter { limit: MAX_PAGE, cursor: None, ..wanted.filter()? };
    let of_use = match verb {
        Verb::Cancel => [State::Queued, State::Running],
        Verb::Retry => [State::Failed, State::Canceled],
    };
    if filter.states.is_empty() && filter.waiting.is_none() {
        filter.states = of_use.to_vec();
    } else {
        filter.states.retain(|state| of_use.contains(state));
        if filter.states.is_empty() && (filter.waiting.is_none() || verb == Verb::Retry) {
            return Err(nothing(verb));
        }
    }
    Ok(filter)
}

/// How many match, and whether that is all of them.
async fn count(runs: &dyn Runs, mut filter: ListFilter) -> Result<(usize, bool)> {
    let mut count = 0;
    for _ in 0..PAGES {
        let page = runs.list(&filter).await?;
        count += page.data.len();
        match page.next_cursor {
            Some(cursor) => filter.cursor = Some(cursor),
            None => return Ok((count, true)),
        }
    }
    Ok((count, false))
}

fn nothing(verb: Verb) -> Error {
    let message = match verb {
        Verb::Cancel => "no matching run is queued or running",
        Verb::Retry => "no matching run has failed or was canceled",
    };
    Error::new(ErrorCode::IllegalTransition, message).with_hint("go back, and change the filters")
}
