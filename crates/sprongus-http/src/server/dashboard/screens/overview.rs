//! `/`: what is stuck, since when, what runs, what failed, who works.

use std::sync::Arc;

use askama::Template;
use axum::http::Uri;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::view::RunView;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::directory::Worker;
use sprongus_core::workspace::token::Scope;
use sprongus_core::{ErrorCode, Result};

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::charts::Chart;
use crate::server::dashboard::parts::format::{number, span_ms, tokens};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::kinds_table::{KindsTable, kind_rows};
use crate::server::dashboard::parts::run_row::{RunRow, run_rows};
use crate::server::dashboard::parts::workers_table::{WorkerRow, WorkersTable, held_by};
use crate::server::dashboard::session::Viewer;
use crate::server::request::query;

/// Runs shown that run now, and that failed lately.
const RUNNING: u32 = 20;
const FAILED: u32 = 10;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page {
    parts: Vec<Html>,
}

#[derive(Template)]
#[template(path = "tiles.html")]
struct Tiles {
    due: String,
    oldest: Option<String>,
    later: String,
    waiting: String,
    running: String,
    workers: String,
    wait: Option<(String, String)>,
    run: Option<(String, String)>,
    tokens: Option<(String, String)>,
    is_starved: bool,
}

#[derive(Template)]
#[template(path = "charts.html")]
struct Charts {
    charts: RecentCharts,
}

/// What happened lately, if it can be shown.
enum RecentCharts {
    Ready(Vec<Chart>),
    /// They are of all projects, and the token of some.
    OtherProjects,
    /// The database did not give them; the rest of the page is shown all the same.
    Unavailable,
}

#[derive(Template)]
#[template(path = "running.html")]
struct Running {
    rows: Vec<RunRow>,
    has_more: bool,
}

#[derive(Template)]
#[template(path = "failed_lately.html")]
struct FailedLately {
    rows: Vec<RunRow>,
}

/// `GET /`.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    query::none(&uri)?;
    let parts = outer_all(&fragments(&viewer).await?)?;
    let main = render(&Page { parts })?;
    Ok(layout(&viewer, Section::Overview, "Overview", Some("/live/overview"), &main)?)
}

/// Its fragments, read now.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer) -> Result<Vec<Fragment>> {
    timely(read(viewer)).await
}

async fn read(viewer: &Viewer) -> Result<Vec<Fragment>> {
    let (runs, caller) = (viewer.principal.runs(), &viewer.principal.caller);
    let figures = &viewer.shared.dashboard.figures;
    let of = |state, limit| ListFilter { states: vec![state], limit, ..ListFilter::default() };
    let (running, failed) = (of(State::Running, RUNNING), of(State::Failed, FAILED));
    let (stats, running, failed, workers, settings, now) = tokio::try_join!(
        figures.stats(caller, Arc::clone(&runs)),
        runs.list(&running),
        runs.list(&failed),
        runs.workers(),
        runs.kinds(),
        viewer.shared.service.store().now(),
    )?;
    let charts = match figures.charted(caller).await {
        Ok(charted) => RecentCharts::Ready(vec![
            Chart::new("Last hour", "minute", &charted.hour),
            Chart::new("Last 24 hours", "hour", &charted.day),
        ]),
        Err(error) if error.code() == ErrorCode::Forbidden => RecentCharts::OtherProjects,
        Err(error) => {
            tracing::warn!(?error, "recent figures are not available");
            RecentCharts::Unavailable
        }
    };
    let kinds = kind_rows(&stats, &settings, &workers, now);
    let is_starved = kinds.iter().any(|row| row.is_starved);
    let pair = |half: Option<u64>, most: Option<u64>| Some((span_ms(half?), span_ms(most?)));
    let sum = |part: fn(&sprongus_core::workspace::directory::KindStats) -> u64| {
        number(stats.kinds.values().map(part).sum())
    };
    let tiles = Tiles {
        due: sum(|kind| kind.due),
        oldest: stats.kinds.values().filter_map(|kind| kind.oldest_due_ms).max().map(span_ms),
        later: sum(|kind| kind.later),
        waiting: sum(|kind| kind.waiting),
        running: sum(|kind| kind.running),
        workers: number(workers.len() as u64),
        wait: pair(stats.wait_p50_ms, stats.wait_p99_ms),
        run: pair(stats.run_p50_ms, stats.run_p99_ms),
        tokens: tokens(stats.tokens_in_last_hour, stats.tokens_out_last_hour),
        is_starved,
    };
    let may_pause = viewer.may(Scope::Admin);
    let form_token = viewer.form_token.clone();
    let held = held_by(&running.data);
    let differ = Worker::zone_data_differs(&workers);
    let workers = workers.iter().map(|worker| WorkerRow::new(worker, &held, differ, now)).collect();
    Ok(vec![
        Fragment::new("tiles", &tiles)?,
        Fragment::new("kinds", &KindsTable { rows: kinds, may_pause, form_token })?,
        Fragment::new("charts", &Charts { charts })?,
        Fragment::new("running", &running_of(&running.data, running.next_cursor.is_some(), now))?,
        Fragment::new("failed", &FailedLately { rows: run_rows(&failed.data, now) })?,
        Fragment::new("workers", &WorkersTable { rows: workers, may_drain: may_pause })?,
    ])
}

fn running_of(runs: &[RunView], has_more: bool, now: Timestamp) -> Running {
    Running { rows: run_rows(runs, now), has_more }
}
