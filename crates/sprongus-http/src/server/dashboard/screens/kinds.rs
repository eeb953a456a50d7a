//! `/kinds`: how each kind stands, and pausing it.

use std::sync::Arc;

use askama::Template;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use sprongus_core::Result;
use sprongus_core::values::names::Kind;
use sprongus_core::workspace::token::Scope;

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::kinds_table::{KindRow, KindsTable, kind_rows};
use crate::server::dashboard::session::Viewer;
use crate::server::dashboard::session::form::Posted;
use crate::server::request::query;
use crate::server::response::bad_field;

#[derive(Template)]
#[template(path = "kinds.html")]
struct Page {
    parts: Vec<Html>,
    may_pause: bool,
    form_token: String,
}

/// `GET /kinds`.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    query::none(&uri)?;
    let parts = outer_all(&fragments(&viewer).await?)?;
    let (may_pause, form_token) = (viewer.may(Scope::Admin), viewer.form_token.clone());
    let main = render(&Page { parts, may_pause, form_token })?;
    Ok(layout(&viewer, Section::Kinds, "Kinds", Some("/live/kinds"), &main)?)
}

/// The table, its only fragment.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer) -> Result<Vec<Fragment>> {
    let rows = timely(read(viewer)).await?;
    let (may_pause, form_token) = (viewer.may(Scope::Admin), viewer.form_token.clone());
    Ok(vec![Fragment::new("kinds", &KindsTable { rows, may_pause, form_token })?])
}

async fn read(viewer: &Viewer) -> Result<Vec<KindRow>> {
    let runs = viewer.principal.runs();
    let figures = &viewer.shared.dashboard.figures;
    let (stats, settings, workers, now) = tokio::try_join!(
        figures.stats(&viewer.principal.caller, Arc::clone(&runs)),
        runs.kinds(),
        runs.workers(),
        viewer.shared.service.store().now(),
    )?;
    Ok(kind_rows(&stats, &settings, &workers, now))
}

/// `POST /kinds`: pauses a kind, or resumes it.
pub async fn set(posted: Posted) -> PageResult {
    posted.require(Scope::Admin)?;
    let kind: Kind = posted.fields.parsed("kind")?;
    let paused = match posted.fields.text("act") {
        Some("pause") => true,
        Some("resume") => false,
        Some(_) | None => return Err(bad_field("/act", "act must be pause or resume").into()),
    };
    timely(posted.viewer.principal.runs().pause_kind(&kind, paused)).await?;
    Ok(Redirect::to("/kinds").into_response())
}
