//! Cancelling or retrying the runs that were ticked in a list: asked about first, each named; then done, and what came of each told.

mod matching;

use std::collections::BTreeMap;

use askama::Template;
use futures_util::future::join_all;
use sprongus_core::run::list::MAX_PAGE;
use sprongus_core::run::view::RunView;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result, Runs};

use crate::server::dashboard::screens::question::Question;
use crate::server::dashboard::session::form::{Fields, Posted, epoch};

use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::html::render;
use crate::server::dashboard::parts::run_status::is_to_be_retried;
use crate::server::dashboard::session::Viewer;
use crate::server::response::bad_field;

/// What is done to all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum BulkAction {
    Cancel,
    Retry,
}

impl BulkAction {
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

    /// The title of the page that says what came of it.
    pub fn done(self) -> &'static str {
        match self {
            Self::Cancel => "Canceled",
            Self::Retry => "Queued again",
        }
    }
}

/// What came of one run.
pub struct BulkOutcome {
    pub id: String,
    /// Whether it was done.
    pub is_done: bool,
    /// Where the run stands now, or why it was not done.
    pub text: String,
}

/// The runs that were asked about too.
pub struct More {
    /// How many are left, such as `1,200 or more`.
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
    outcomes: Vec<BulkOutcome>,
    more: Option<More>,
    form_token: &'a str,
}

/// Asks, or does what was asked about.
pub async fn act(posted: Posted) -> PageResult {
    // Who may not is told so before what is wrong with the form.
    posted.require(sprongus_core::workspace::token::Scope::Write)?;
    let action = match posted.fields.text("act") {
        Some("cancel") => BulkAction::Cancel,
        Some("retry") => BulkAction::Retry,
        Some("cancel_all") => return matching::act(posted, BulkAction::Cancel).await,
        Some("retry_all") => return matching::act(posted, BulkAction::Retry).await,
        Some(_) | None => {
            return Err(bad_field("/act", "act must be cancel, retry, cancel_all or retry_all").into());
        }
    };
    let chosen = chosen(&posted.fields)?;
    if posted.fields.text("sure") == Some("yes") {
        posted.require_write(chosen.len())?;
        return done(&posted.viewer, action, &chosen).await;
    }
    ask(&posted.viewer, action, &chosen).await
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

fn is_meant(action: BulkAction, run: &RunView) -> bool {
    match action {
        BulkAction::Cancel => !run.state.is_final(),
        BulkAction::Retry => is_to_be_retried(run.state),
    }
}

async fn ask(viewer: &Viewer, action: BulkAction, chosen: &BTreeMap<RunId, u64>) -> PageResult {
    let runs = viewer.principal.runs();
    let found = timely(async { Ok(join_all(chosen.keys().map(|id| runs.get(*id))).await) }).await?;
    let mut meant = Vec::new();
    for run in found {
        match run {
            Ok(run) if is_meant(action, &run) => meant.push(run),
            Ok(_) => {}
            Err(error) if error.code() == ErrorCode::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    if meant.is_empty() {
        let message = match action {
            BulkAction::Cancel => "all of these runs have ended",
            BulkAction::Retry => "none of these runs failed or was canceled",
        };
        return Err(Error::new(ErrorCode::IllegalTransition, message)
            .with_hint("go back and select others")
            .into());
    }
    let mut fields = vec![("sure", "yes".to_owned())];
    fields.extend(meant.iter().map(|run| ("run", format!("{}:{}", run.id, run.epoch))));
    let (title, text, button) = action.words();
    let act = match action {
        BulkAction::Cancel => "cancel",
        BulkAction::Retry => "retry",
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
        is_dangerous: action == BulkAction::Cancel,
        back: "/runs".to_owned(),
        fields,
    };
    question.ask(viewer, Section::Runs)
}

async fn done(viewer: &Viewer, action: BulkAction, chosen: &BTreeMap<RunId, u64>) -> PageResult {
    let runs = viewer.principal.runs();
    let one = |(&id, &epoch): (&RunId, &u64)| apply(runs.as_ref(), action, id, epoch);
    let outcomes = timely(async { Ok(join_all(chosen.iter().map(one)).await) }).await?;
    outcome_page(viewer, action, outcomes, None)
}

/// The page that says what came of it.
///
/// # Errors
/// `internal`.
pub fn outcome_page(
    viewer: &Viewer,
    action: BulkAction,
    outcomes: Vec<BulkOutcome>,
    more: Option<More>,
) -> PageResult {
    let done = outcomes.iter().filter(|outcome| outcome.is_done).count();
    let (title, refused) = (action.done(), outcomes.len() - done);
    let main = render(&Done { title, done, refused, outcomes, more, form_token: &viewer.form_token })?;
    Ok(layout(viewer, Section::Runs, title, None, &main)?)
}

/// Cancels or retries one run, which was shown at `epoch`.
pub async fn apply(runs: &dyn Runs, action: BulkAction, id: RunId, epoch: u64) -> BulkOutcome {
    let answer = match action {
        BulkAction::Cancel => runs.cancel(id).await,
        BulkAction::Retry => runs.retry(id, Some(epoch)).await,
    };
    let text = match &answer {
        Ok(run) => run.state.to_string(),
        Err(error) => error.message().to_owned(),
    };
    BulkOutcome { id: id.to_string(), is_done: answer.is_ok(), text }
}
