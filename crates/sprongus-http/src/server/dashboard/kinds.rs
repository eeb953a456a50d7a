//! `/kinds`: how each kind stands, and pausing it.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use sprongus_core::Result;
use sprongus_core::values::names::Kind;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::{KindSetting, KindStats, Stats, Worker};
use sprongus_core::workspace::token::Scope;

use super::form::Posted;
use super::html::{Html, render};
use super::screen::{Fragment, Section, Shown, outer_all, screen, timely};
use super::session::Viewer;
use super::when::{When, number, span_ms};
use crate::server::answer::bad_field;
use crate::server::query;

/// A kind as a row.
pub struct KindRow {
    /// Its name.
    pub kind: String,
    /// Runs that are due.
    pub due: String,
    /// Runs that are not, yet.
    pub later: String,
    /// Those that wait for an approval.
    pub waiting: String,
    /// Runs that run.
    pub running: String,
    /// How long the oldest due one has been due.
    pub oldest: Option<String>,
    /// If somebody paused it, who and when.
    pub paused: Option<Paused>,
    /// Whether runs are due and no worker that lives would take them.
    pub is_starved: bool,
}

/// A pause, as far as it is known.
pub struct Paused {
    /// Who did it.
    pub by: Option<String>,
    /// Since when.
    pub since: Option<When>,
}

/// The rows of the kinds that have live runs, and of those that somebody paused.
pub fn rows(stats: &Stats, settings: &[KindSetting], workers: &[Worker], now: Timestamp) -> Vec<KindRow> {
    let none = KindStats::default();
    let paused = settings.iter().filter(|setting| setting.paused);
    let mut all: BTreeMap<&str, (&KindStats, Option<&KindSetting>)> =
        paused.map(|setting| (setting.kind.as_str(), (&none, Some(setting)))).collect();
    for (kind, stats) in &stats.kinds {
        all.entry(kind).or_insert((stats, None)).0 = stats;
    }
    let row = |(kind, (stats, paused)): (&str, (&KindStats, Option<&KindSetting>))| {
        let is_served =
            kind.parse::<Kind>().is_ok_and(|kind| workers.iter().any(|worker| worker.serves(&kind)));
        KindRow {
            kind: kind.to_owned(),
            due: number(stats.due),
            later: number(stats.later),
            waiting: number(stats.waiting),
            running: number(stats.running),
            oldest: stats.oldest_due_ms.map(span_ms),
            paused: paused.map(|setting| Paused {
                by: setting.changed_by.clone(),
                since: setting.changed_at.map(|at| When::new(at, now)),
            }),
            is_starved: stats.due > 0 && paused.is_none() && !is_served,
        }
    };
    all.into_iter().map(row).collect()
}

#[derive(Template)]
#[template(path = "kinds.html")]
struct Page {
    parts: Vec<Html>,
    may_pause: bool,
    form_token: String,
}

#[derive(Template)]
#[template(path = "kinds_table.html")]
struct Table {
    rows: Vec<KindRow>,
    may_pause: bool,
    form_token: String,
}

/// The page.
pub async fn page(viewer: Viewer, uri: Uri) -> Shown {
    viewer.asker.require(Scope::Read)?;
    query::none(&uri)?;
    let parts = outer_all(&fragments(&viewer).await?)?;
    let (may_pause, form_token) = (viewer.may(Scope::Admin), viewer.form_token.clone());
    let main = render(&Page { parts, may_pause, form_token })?;
    Ok(screen(&viewer, Section::Kinds, "Kinds", Some("/live/kinds"), &main)?)
}

/// Its one part.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer) -> Result<Vec<Fragment>> {
    let rows = timely(super::overview::kind_rows(viewer)).await?;
    let (may_pause, form_token) = (viewer.may(Scope::Admin), viewer.form_token.clone());
    Ok(vec![Fragment::new("kinds", &Table { rows, may_pause, form_token })?])
}

/// Pauses a kind, or resumes it.
pub async fn set(posted: Posted) -> Shown {
    posted.require(Scope::Admin)?;
    let kind: Kind = posted.fields.parsed("kind")?;
    let paused = match posted.fields.text("act") {
        Some("pause") => true,
        Some("resume") => false,
        Some(_) | None => return Err(bad_field("/act", "act must be pause or resume").into()),
    };
    timely(posted.viewer.asker.runs().pause_kind(&kind, paused)).await?;
    Ok(Redirect::to("/kinds").into_response())
}
