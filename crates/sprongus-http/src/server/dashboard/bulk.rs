//! Cancelling or retrying the runs that were ticked in a list: asked about first, each named; then done, and what came of each told.

use std::collections::BTreeMap;

use askama::Template;
use futures_util::future::join_all;
use sprongus_core::run::Run;
use sprongus_core::run::list::MAX_PAGE;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result, Runs};

use super::answering::{Question, epoch};
use super::bulk_matching;
use super::form::{Fields, Posted};
use super::html::render;
use super::screen::{Section, Shown, screen, timely};
use super::session::Viewer;
use super::standing::is_to_be_retried;
use crate::server::answer::bad_field;

/// What is done to all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Call them off.
    Cancel,
    /// Queue them again.
    Retry,
}

impl Verb {
    /// The question, what comes of a yes, and what a yes is called.
    pub fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Cancel => (
                "Cancel these runs?",
                "Running processes are stopped. The runs can be retried later.",
                "Cancel runs",
            ),
            Self::Retry => {
                ("Retry these runs?", "They are queued again, with all their attempts.", "Retry runs")
            }
        }
    }

    /// What the button says that is about all runs of a list.
    pub fn act_on_all(self) -> &'static str {
        match self {
            Self::Cancel => "cancel_all",
            Self::Retry => "retry_all",
        }
    }

    /// What was done.
    pub fn done(self) -> &'static str {
        match self {
            Self::Cancel => "Canceled",
            Self::Retry => "Queued again",
        }
    }
}

/// What came of one.
pub struct Outcome {
    /// The run.
    pub id: String,
    /// Whether it was done.
    pub is_done: bool,
    /// Where the run stands now, or why it was not done.
    pub text: String,
}

/// The runs that were asked about too.
pub struct More {
    /// How many.
    pub left: String,
    /// What the form carries that goes on with them.
    pub fields: Vec<(&'static str, String)>,
}

#[derive(Template)]
#[template(path = "bulk_done.html")]
struct Done<'a> {
    title: &'static str,
    done: usize,
    refused: usize,
    outcomes: Vec<Outcome>,
    more: Option<More>,
    form_token: &'a str,
}

/// Asks, or does what was asked about.
pub async fn act(posted: Posted) -> Shown {
    // Who may not is told so before what is wrong with the form.
    posted.require(sprongus_core::workspace::token::Scope::Write)?;
    let verb = match posted.fields.text("act") {
        Some("cancel") => Verb::Cancel,
        Some("retry") => Verb::Retry,
        Some("cancel_all") => return bulk_matching::act(posted, Verb::Cancel).await,
        Some("retry_all") => return bulk_matching::act(posted, Verb::Retry).await,
        Some(_) | None => {
            return Err(bad_field("/act", "act must be cancel, retry, cancel_all or retry_all").into());
        }
    };
    let chosen = chosen(&posted.fields)?;
    if posted.fields.text("sure") == Some("yes") {
        posted.require_write(chosen.len())?;
        return done(&posted.viewer, verb, &chosen).await;
    }
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
        return Err(Error::validation("no runs selected").with_hint("go back and select some"));
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
            Verb::Retry => "none of these runs failed or was canceled",
        };
        return Err(Error::new(ErrorCode::IllegalTransition, message)
            .with_hint("go back and select others")
            .into());
    }
    let mut fields = vec![("sure", "yes".to_owned())];
    fields.extend(meant.iter().map(|run| ("run", format!("{}:{}", run.id, run.epoch))));
    let (title, text, button) = verb.words();
    let act = match verb {
        Verb::Cancel => "cancel",
        Verb::Retry => "retry",
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
    let one = |(&id, &epoch): (&RunId, &u64)| apply(runs.as_ref(), verb, id, epoch);
    let outcomes = timely(async { Ok(join_all(chosen.iter().map(one)).await) }).await?;
    shown(viewer, verb, outcomes, None)
}

/// The page that says what came of it.
///
/// # Errors
/// `internal`.
pub fn shown(viewer: &Viewer, verb: Verb, outcomes: Vec<Outcome>, more: Option<More>) -> Shown {
    let done = outcomes.iter().filter(|outcome| outcome.is_done).count();
    let (title, refused) = (verb.done(), outcomes.len() - done);
    let main = render(&Done { title, done, refused, outcomes, more, form_token: &viewer.form_token })?;
    Ok(screen(viewer, Section::Runs, title, None, &main)?)
}

/// Does it to one run, seen at `epoch`.
pub async fn apply(runs: &dyn Runs, verb: Verb, id: RunId, epoch: u64) -> Outcome {
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
