//! What is done to one run: canceling, retrying, answering its gate.

use axum::response::{IntoResponse, Redirect, Response};
use sprongus_core::run::Answer;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::token::Scope;

use crate::server::dashboard::layout::Section;
use crate::server::dashboard::page::{PageResult, RunAt, timely};
use crate::server::dashboard::screens::question::Question;
use crate::server::dashboard::session::Viewer;
use crate::server::dashboard::session::form::{Posted, epoch};

/// `GET /runs/{id}/cancel`: asks whether to.
pub async fn ask_cancel(viewer: Viewer, RunAt(id): RunAt) -> PageResult {
    viewer.principal.require(Scope::Write)?;
    let run = timely(viewer.principal.runs().get(id)).await?;
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

/// `POST /runs/{id}/cancel`.
pub async fn cancel(RunAt(id): RunAt, posted: Posted) -> PageResult {
    posted.require_write(1)?;
    timely(posted.viewer.principal.runs().cancel(id)).await?;
    Ok(to_run(id))
}

/// `GET /runs/{id}/retry`: asks whether to.
pub async fn ask_retry(viewer: Viewer, RunAt(id): RunAt) -> PageResult {
    viewer.principal.require(Scope::Write)?;
    let run = timely(viewer.principal.runs().get(id)).await?;
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

/// `POST /runs/{id}/retry`.
pub async fn retry(RunAt(id): RunAt, posted: Posted) -> PageResult {
    posted.require_write(1)?;
    let epoch = epoch(posted.fields.text("epoch"))?;
    timely(posted.viewer.principal.runs().retry(id, Some(epoch))).await?;
    Ok(to_run(id))
}

/// `POST /runs/{id}/approve`.
pub async fn approve(RunAt(id): RunAt, posted: Posted) -> PageResult {
    answer(id, &posted, Answer::Approved, posted.fields.text("comment")).await
}

/// `POST /runs/{id}/reject`.
pub async fn reject(RunAt(id): RunAt, posted: Posted) -> PageResult {
    answer(id, &posted, Answer::Rejected, posted.fields.text("reason")).await
}

async fn answer(id: RunId, posted: &Posted, answer: Answer, text: Option<&str>) -> PageResult {
    posted.require(Scope::Approve)?;
    let step = posted.fields.parsed("stepId")?;
    let comment = text.map(str::to_owned);
    timely(posted.viewer.principal.runs().answer(id, Some(step), answer, comment)).await?;
    Ok(to_run(id))
}

fn to_run(id: RunId) -> Response {
    Redirect::to(&format!("/runs/{id}")).into_response()
}
