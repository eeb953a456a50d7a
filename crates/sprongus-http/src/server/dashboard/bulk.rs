//! Cancelling or retrying the runs that were ticked in a list: asked about first, each named; then done, and what came of each told.

use std::collections::BTreeMap;

use askama::Template;
use futures_util::future::join_all;
use sprongus_core::ids::RunId;
use sprongus_core::list::MAX_PAGE;
use sprongus_core::run::Run;
use sprongus_core::{Error, ErrorCode, Result};

use super::answering::{Question, epoch};
use super::form::{Fields, Posted};
use super::html::render;
use super::screen::{Section, Shown, screen, timely};
use super::session::Viewer;
use super::standing::is_to_be_retried;
use crate::server::answer::bad_field;

/// What is done to all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Cancel,
    Retry,
}

/// What came of one.
struct Outcome {
    id: String,
    is_done: bool,
    text: String,
}

#[derive(Template)]
#[template(path = "bulk_done.html")]
struct Done {
    title: &'static str,
    done: usize,
    refused: usize,
    outcomes: Vec<Outcome>,
}

/// Asks, or does what was asked about.
pub async fn act(posted: Posted) -> Shown {
    let verb = match posted.fields.text("act") {
        Some("cancel") => Verb::Cancel,
        Some("retry") => Verb::Retry,
        Some(_) | None => return Err(bad_field("/act", "act is cancel or retry").into()),
    };
    let chosen = chosen(&posted.fields)?;
    if posted.fields.text("sure") == Some("yes") {
        posted.require_write(chosen.len())?;
        return done(&posted.viewer, verb, &chosen).await;
    }
    posted.require(sprongus_core::token::Scope::Write)?;
    ask(&posted.viewer, verb, &chosen).await
}

/// The runs that were ticked, each with the claim that it was seen under.
fn chosen(fields: &Fields) -> Result<BTreeMap<RunId, u64>> {
    let mut chosen = BTreeMap::new();
    for text in fields.all("run") {
        let (id, seen) = text.split_once(':').unwrap_or((text, ""));
        chosen.insert(id.parse()?, epoch(Some(seen))?);
    }
    if chosen.is_empty() {
        return Err(
            Error::validation("no run was chosen").with_hint("go back, and tick those that are meant")
        );
    }
    if chosen.len() > MAX_PAGE as usize {
        return Err(Error::validation(format!("at most {MAX_PAGE} runs at once: {}", chosen.len())));
    }
    Ok(chosen)
}

fn is_meant(verb: Verb, run: &Run) -> bool {
    match verb {
        Verb::Cancel => !run.state.is_final(),
        Verb::Retry => is_to_be_retried(run.state),
    }
}

async fn ask(viewer: &Viewer, verb: Verb, chosen: &BTreeMap<RunId, u64>) -> Shown {
    let runs = viewer.asker.runs();
    let found = timely(async { Ok(join_all(chosen.keys().map(|id| runs.get(*id))).await) }).await?;
    let mut meant = Vec::new();
    for run in found {
        match run {
            Ok(run) if is_meant(verb, &run) => meant.push(run),
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if meant.is_empty() {
        let message = match verb {
            Verb::Cancel => "all of these runs have ended",
            Verb::Retry => "none of these runs has failed or was canceled",
        };
        return Err(Error::new(ErrorCode::IllegalTransition, message)
            .with_hint("go back, and choose others")
            .into());
    }
    let mut fields = vec![("sure", "yes".to_owned())];
    fields.extend(meant.iter().map(|run| ("run", format!("{}:{}", run.id, run.epoch))));
    let (title, text, button, act) = match verb {
        Verb::Cancel => (
            "Cancel these runs?",
            "Processes that run for them are stopped. They can be retried afterwards.",
            "Cancel them",
            "cancel",
        ),
        Verb::Retry => (
            "Retry these runs?",
            "They are queued again, each with a new budget of attempts.",
            "Retry them",
            "retry",
        ),
    };
    fields.push(("act", act.to_owned()));
    let question = Question {
        title,
        about: meant
            .iter()
            .map(|run| (run.id.to_string(), format!("{} · {}", run.kind, run.state)))
            .collect(),
        text,
        action: "/runs/bulk".to_owned(),
        button,
        is_dangerous: verb == Verb::Cancel,
        back: "/runs".to_owned(),
        fields,
    };
    question.ask(viewer, Section::Runs)
}

async fn done(viewer: &Viewer, verb: Verb, chosen: &BTreeMap<RunId, u64>) -> Shown {
    let runs = viewer.asker.runs();
    let one = |(&id, &epoch): (&RunId, &u64)| {
        let runs = &runs;
        async move {
            let answer = match verb {
                Verb::Cancel => runs.cancel(id).await,
                Verb::Retry => runs.retry(id, Some(epoch)).await,
            };
            let text = match &answer {
                Ok(run) => run.state.to_string(),
                Err(error) => error.message().to_owned(),
            };
            Outcome { id: id.to_string(), is_done: answer.is_ok(), text }
        }
    };
    let outcomes = timely(async { Ok(join_all(chosen.iter().map(one)).await) }).await?;
    let done = outcomes.iter().filter(|outcome| outcome.is_done).count();
    let title = match verb {
        Verb::Cancel => "Canceled",
        Verb::Retry => "Queued again",
    };
    let main = render(&Done { title, done, refused: outcomes.len() - done, outcomes })?;
    Ok(screen(viewer, Section::Runs, title, None, &main)?)
}
