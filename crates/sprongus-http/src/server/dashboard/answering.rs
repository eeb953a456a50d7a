//! Doing something about one run: calling it off, trying it again, letting it pass a gate or not. What cannot be taken back is asked
//! about first, on a page of its own.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use sprongus_core::Result;
use sprongus_core::run::Answer;
use sprongus_core::workspace::token::Scope;

use super::form::Posted;
use super::html::render;
use super::screen::{Section, Shown, screen, timely};
use super::session::{RunAt, Viewer};
use crate::server::answer::bad_field;

/// A question that is answered by a form.
#[derive(Template)]
#[template(path = "question.html")]
pub struct Asked<'a> {
    question: &'a Question,
    form_token: &'a str,
}

/// What is asked before something is done.
pub struct Question {
    /// The question.
    pub title: &'static str,
    /// What it is about, each with what there is to say of it.
    pub about: Vec<(String, String)>,
    /// What comes of a yes.
    pub text: &'static str,
    /// Where a yes goes to.
    pub action: String,
    /// What a yes is called.
    pub button: &'static str,
    /// Whether it ends something.
    pub is_dangerous: bool,
    /// Where a no goes to.
    pub back: String,
    /// What a yes carries.
    pub fields: Vec<(&'static str, String)>,
}

impl Question {
    /// Asks it.
    ///
    /// # Errors
    /// `internal`.
    pub fn ask(&self, viewer: &Viewer, section: Section) -> Shown {
        let main = render(&Asked { question: self, form_token: &viewer.form_token })?;
        Ok(screen(viewer, section, self.title, None, &main)?)
    }
}

/// Asks whether to call a run off.
pub async fn ask_cancel(viewer: Viewer, RunAt(id): RunAt) -> Shown {
    viewer.asker.require(Scope::Write)?;
    let run = timely(viewer.asker.runs().get(id)).await?;
    let question = Question {
        title: "Cancel this run?",
        about: vec![(run.id.to_string(), format!("{} · {}", run.kind, run.state))],
        text: "A running process is stopped. The run can be retried later.",
        action: format!("/runs/{id}/cancel"),
        button: "Cancel run",
        is_dangerous: true,
        back: format!("/runs/{id}"),
        fields: Vec::new(),
    };
    question.ask(&viewer, Section::Runs)
}

/// Calls it off.
pub async fn cancel(RunAt(id): RunAt, posted: Posted) -> Shown {
    posted.require_write(1)?;
    timely(posted.viewer.asker.runs().cancel(id)).await?;
    Ok(to_run(id))
}

/// Asks whether to try a run again.
pub async fn ask_retry(viewer: Viewer, RunAt(id): RunAt) -> Shown {
    viewer.asker.require(Scope::Write)?;
    let run = timely(viewer.asker.runs().get(id)).await?;
    let question = Question {
        title: "Retry this run?",
        about: vec![(run.id.to_string(), format!("{} · {}", run.kind, run.state))],
        text: "It is queued again, with all its attempts; its history is kept.",
        action: format!("/runs/{id}/retry"),
        button: "Retry run",
        is_dangerous: false,
        back: format!("/runs/{id}"),
        // So that a form that is sent twice grants one budget.
        fields: vec![("epoch", run.epoch.to_string())],
    };
    question.ask(&viewer, Section::Runs)
}

/// Tries it again.
pub async fn retry(RunAt(id): RunAt, posted: Posted) -> Shown {
    posted.require_write(1)?;
    let epoch = epoch(posted.fields.text("epoch"))?;
    timely(posted.viewer.asker.runs().retry(id, Some(epoch))).await?;
    Ok(to_run(id))
}

/// The claim a run was seen under.
///
/// # Errors
/// `validation`.
pub fn epoch(text: Option<&str>) -> Result<u64> {
    text.and_then(|text| text.parse().ok()).ok_or_else(|| bad_field("/epoch", "epoch must be a whole number"))
}

/// Lets a run pass its gate.
pub async fn approve(RunAt(id): RunAt, posted: Posted) -> Shown {
    answer(id, &posted, Answer::Approved, posted.fields.text("comment")).await
}

/// Does not.
pub async fn reject(RunAt(id): RunAt, posted: Posted) -> Shown {
    answer(id, &posted, Answer::Rejected, posted.fields.text("reason")).await
}

async fn answer(
    id: sprongus_core::values::ids::RunId,
    posted: &Posted,
    answer: Answer,
    text: Option<&str>,
) -> Shown {
    posted.require(Scope::Approve)?;
    let step = posted.fields.parsed("stepId")?;
    let comment = text.map(str::to_owned);
    timely(posted.viewer.asker.runs().answer(id, Some(step), answer, comment)).await?;
    Ok(to_run(id))
}

fn to_run(id: sprongus_core::values::ids::RunId) -> Response {
    Redirect::to(&format!("/runs/{id}")).into_response()
}
