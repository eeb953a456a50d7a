//! `/workers`: the live workers, the runs they hold, and draining one.

use askama::Template;
use axum::extract::Path;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use sprongus_core::run::list::{ListFilter, MAX_PAGE};
use sprongus_core::run::state::State;
use sprongus_core::values::names::WorkerId;
use sprongus_core::workspace::directory::Worker;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, Result};

use super::question::Question;
use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::workers_table::{WorkerRow, WorkersTable, held_by};
use crate::server::dashboard::session::Viewer;
use crate::server::dashboard::session::form::Posted;
use crate::server::request::query;
use crate::server::response::shown;

#[derive(Template)]
#[template(path = "workers.html")]
struct Page {
    parts: Vec<Html>,
}

/// `GET /workers`.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    query::none(&uri)?;
    let parts = outer_all(&fragments(&viewer).await?)?;
    let main = render(&Page { parts })?;
    Ok(layout(&viewer, Section::Workers, "Workers", Some("/live/workers"), &main)?)
}

/// The table, its only fragment.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer) -> Result<Vec<Fragment>> {
    let runs = viewer.principal.runs();
    let running = ListFilter { states: vec![State::Running], limit: MAX_PAGE, ..ListFilter::default() };
    let (workers, running, now) = timely(async {
        tokio::try_join!(runs.workers(), runs.list(&running), viewer.shared.service.store().now())
    })
    .await?;
    let held = held_by(&running.data);
    let differ = Worker::zone_data_differs(&workers);
    let rows = workers.iter().map(|worker| WorkerRow::new(worker, &held, differ, now)).collect();
    Ok(vec![Fragment::new("workers", &WorkersTable { rows, may_drain: viewer.may(Scope::Admin) })?])
}

/// `GET /workers/{id}/drain`: asks whether to.
pub async fn ask_drain(viewer: Viewer, Path(id): Path<String>) -> PageResult {
    viewer.principal.require(Scope::Admin)?;
    let id = named(&viewer, &id).await?;
    let question = Question {
        title: "Drain this worker?",
        about: vec![(id.to_string(), String::new())],
        text: "It finishes its current runs, claims no more, and stops. To use it again, restart it.",
        action: format!("/workers/{id}/drain"),
        button: "Drain worker",
        is_dangerous: true,
        back: "/workers".to_owned(),
        fields: Vec::new(),
    };
    question.ask(&viewer, Section::Workers)
}

/// `POST /workers/{id}/drain`.
pub async fn drain(Path(id): Path<String>, posted: Posted) -> PageResult {
    posted.require(Scope::Admin)?;
    let id = named(&posted.viewer, &id).await?;
    timely(posted.viewer.principal.runs().drain_worker(&id)).await?;
    Ok(Redirect::to("/workers").into_response())
}

/// The live worker of this name.
///
/// # Errors
/// `not_found` when there is none.
async fn named(viewer: &Viewer, text: &str) -> Result<WorkerId> {
    let workers = timely(viewer.principal.runs().workers()).await?;
    let found = workers.into_iter().map(|worker| worker.id).find(|id| id.as_str() == text);
    found.ok_or_else(|| {
        Error::not_found(format_args!("worker: {}", shown(text)))
            .with_hint("it may have stopped; check the list of workers")
    })
}
