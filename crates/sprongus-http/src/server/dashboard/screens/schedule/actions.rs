//! What is done to one schedule: pausing, resuming, deleting it, and enqueueing a run of it now.

use axum::response::{IntoResponse, Redirect, Response};
use sprongus_core::values::names::ScheduleId;
use sprongus_core::workspace::token::Scope;

use crate::server::dashboard::layout::Section;
use crate::server::dashboard::page::{PageResult, ScheduleAt, timely};
use crate::server::dashboard::screens::question::Question;
use crate::server::dashboard::session::Viewer;
use crate::server::dashboard::session::form::Posted;

/// `POST /schedules/{id}/pause`.
pub async fn pause(ScheduleAt(id): ScheduleAt, posted: Posted) -> PageResult {
    posted.require(Scope::Settings)?;
    timely(posted.viewer.principal.schedules().pause(&id)).await?;
    Ok(to_schedule(&id))
}

/// `POST /schedules/{id}/resume`.
pub async fn resume(ScheduleAt(id): ScheduleAt, posted: Posted) -> PageResult {
    posted.require(Scope::Settings)?;
    timely(posted.viewer.principal.schedules().resume(&id)).await?;
    Ok(to_schedule(&id))
}

/// `POST /schedules/{id}/trigger`.
pub async fn trigger(ScheduleAt(id): ScheduleAt, posted: Posted) -> PageResult {
    posted.require_write(1)?;
    let run = timely(posted.viewer.principal.schedules().trigger(&id)).await?;
    Ok(Redirect::to(&format!("/runs/{}", run.id)).into_response())
}

/// `GET /schedules/{id}/delete`: asks whether to.
pub async fn ask_delete(viewer: Viewer, ScheduleAt(id): ScheduleAt) -> PageResult {
    viewer.principal.require(Scope::Settings)?;
    let view = timely(viewer.principal.schedules().get(&id)).await?;
    let question = Question {
        title: "Delete this schedule?",
        about: vec![(id.to_string(), format!("{} · {}", view.definition.run.kind, view.state.as_str()))],
        text: "It enqueues no more runs. Its runs are kept.",
        action: format!("/schedules/{id}/delete"),
        button: "Delete schedule",
        is_dangerous: true,
        back: format!("/schedules/{id}"),
        fields: Vec::new(),
    };
    question.ask(&viewer, Section::Schedules)
}

/// `POST /schedules/{id}/delete`.
pub async fn delete(ScheduleAt(id): ScheduleAt, posted: Posted) -> PageResult {
    posted.require(Scope::Settings)?;
    timely(posted.viewer.principal.schedules().delete(&id)).await?;
    Ok(Redirect::to("/schedules").into_response())
}

fn to_schedule(id: &ScheduleId) -> Response {
    Redirect::to(&format!("/schedules/{id}")).into_response()
}
