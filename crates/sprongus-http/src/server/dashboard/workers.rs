//! `/workers`: who works, on what, and telling one to stop taking more.

use std::collections::HashMap;

use askama::Template;
use axum::extract::Path;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use sprongus_core::run::Run;
use sprongus_core::run::list::{ListFilter, MAX_PAGE};
use sprongus_core::run::state::State;
use sprongus_core::values::names::WorkerId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Worker;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, Result};

use super::answering::Question;
use super::form::Posted;
use super::html::{Html, render};
use super::screen::{Fragment, Section, Shown, outer_all, screen, timely};
use super::session::Viewer;
use super::when::When;
use crate::server::answer::shown;
use crate::server::query;

/// Runs named in a worker's row.
const NAMED: usize = 8;

/// A worker as a row.
pub struct WorkerRow {
    /// Its name.
    pub id: String,
    /// Its machine and process there; none where the viewer is narrowed to projects.
    pub machine: Option<(String, u32)>,
    /// Its version.
    pub version: String,
    /// Runs it executes at once.
    pub concurrency: u32,
    /// The kinds it serves; none means any.
    pub kinds: Option<String>,
    /// Whether it takes nothing more.
    pub is_draining: bool,
    /// When it was last heard of.
    pub seen: When,
    /// Some of the runs it holds, by id and kind.
    pub holds: Vec<(String, String)>,
    /// How many it holds besides, as far as was looked.
    pub more: usize,
}

/// Runs by who holds them.
pub type Held<'a> = HashMap<&'a WorkerId, Vec<&'a Run>>;

/// Sorts running runs by who holds them.
pub fn held_by(running: &[Run]) -> Held<'_> {
    let mut held = Held::new();
    for run in running {
        if let Some(worker) = &run.claimed_by {
            held.entry(worker).or_default().push(run);
        }
    }
    held
}

impl WorkerRow {
    /// A worker and what it holds.
    pub fn new(worker: &Worker, held: &Held<'_>, now: Timestamp) -> Self {
        let holds = held.get(&worker.id).map(Vec::as_slice).unwrap_or_default();
        let kinds = worker.kinds.as_ref().map(|kinds| {
            let names: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            names.join(", ")
        });
        Self {
            id: worker.id.to_string(),
            machine: worker.host.clone().zip(worker.pid),
            version: worker.version.clone(),
            concurrency: worker.concurrency,
            kinds,
            is_draining: worker.draining,
            seen: When::new(worker.seen_at, now),
            holds: holds.iter().take(NAMED).map(|run| (run.id.to_string(), run.kind.to_string())).collect(),
            more: holds.len().saturating_sub(NAMED),
        }
    }
}

#[derive(Template)]
#[template(path = "workers.html")]
struct Page {
    parts: Vec<Html>,
}

#[derive(Template)]
#[template(path = "workers_table.html")]
struct Table {
    rows: Vec<WorkerRow>,
    may_drain: bool,
}

/// The page.
pub async fn page(viewer: Viewer, uri: Uri) -> Shown {
    viewer.asker.require(Scope::Read)?;
    query::none(&uri)?;
    let parts = outer_all(&fragments(&viewer).await?)?;
    let main = render(&Page { parts })?;
    Ok(screen(&viewer, Section::Workers, "Workers", Some("/live/workers"), &main)?)
}

/// Its one part.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer) -> Result<Vec<Fragment>> {
    let runs = viewer.asker.runs();
    let running = ListFilter { states: vec![State::Running], limit: MAX_PAGE, ..ListFilter::default() };
    let (workers, running, now) = timely(async {
        tokio::try_join!(runs.workers(), runs.list(&running), viewer.shared.service.store().now())
    })
    .await?;
    let held = held_by(&running.data);
    let rows = workers.iter().map(|worker| WorkerRow::new(worker, &held, now)).collect();
    Ok(vec![Fragment::new("workers", &Table { rows, may_drain: viewer.may(Scope::Admin) })?])
}

/// Asks whether to.
pub async fn ask_drain(viewer: Viewer, Path(id): Path<String>) -> Shown {
    viewer.asker.require(Scope::Admin)?;
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

/// Does.
pub async fn drain(Path(id): Path<String>, posted: Posted) -> Shown {
    posted.require(Scope::Admin)?;
    let id = named(&posted.viewer, &id).await?;
    timely(posted.viewer.asker.runs().drain_worker(&id)).await?;
    Ok(Redirect::to("/workers").into_response())
}

/// A worker that lives.
async fn named(viewer: &Viewer, text: &str) -> Result<WorkerId> {
    let workers = timely(viewer.asker.runs().workers()).await?;
    let found = workers.into_iter().map(|worker| worker.id).find(|id| id.as_str() == text);
    found.ok_or_else(|| {
        Error::not_found(format_args!("worker: {}", shown(text)))
            .with_hint("it may have stopped; check the list of workers")
    })
}
