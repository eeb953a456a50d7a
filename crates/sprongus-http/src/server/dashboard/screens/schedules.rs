//! `/schedules`: the schedules of the workspace, and how far each has got.

use askama::Template;
use axum::http::Uri;
use sprongus_core::Result;
use sprongus_core::values::names::ScheduleId;
use sprongus_core::workspace::token::Scope;

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::schedule_row::{Clocks, ScheduleRow};
use crate::server::dashboard::session::Viewer;
use crate::server::request::query::Query;

/// Schedules on a page.
const PAGE: usize = 50;

/// Which page of them.
pub struct SchedulesQuery {
    /// The last of the page before.
    after: Option<ScheduleId>,
}

impl SchedulesQuery {
    /// Reads a URL.
    ///
    /// # Errors
    /// `validation`.
    pub fn read(uri: &Uri) -> Result<Self> {
        let mut query = Query::read(uri, &["after"])?;
        let after = query.one("after");
        query.end()?;
        Ok(Self { after })
    }

    fn path(base: &str, after: Option<&str>) -> String {
        after.map_or_else(|| base.to_owned(), |after| format!("{base}?after={after}"))
    }
}

#[derive(Template)]
#[template(path = "schedules.html")]
struct Page {
    parts: Vec<Html>,
}

#[derive(Template)]
#[template(path = "schedules_table.html")]
struct Table {
    rows: Vec<ScheduleRow>,
    next: Option<String>,
    first: Option<String>,
}

/// `GET /schedules`.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let query = SchedulesQuery::read(&uri)?;
    let parts = outer_all(&fragments(&viewer, &query).await?)?;
    let main = render(&Page { parts })?;
    let live = SchedulesQuery::path("/live/schedules", query.after.as_ref().map(ScheduleId::as_str));
    Ok(layout(&viewer, Section::Schedules, "Schedules", Some(&live), &main)?)
}

/// The table, its only fragment.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer, query: &SchedulesQuery) -> Result<Vec<Fragment>> {
    let (schedules, store) = (viewer.principal.schedules(), viewer.shared.service.store());
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let (mut views, now) =
        timely(async { tokio::try_join!(schedules.list(query.after.as_ref(), limit), store.now()) }).await?;
    let is_cut = views.len() > PAGE;
    views.truncate(PAGE);
    let mut clocks = Clocks::new(store.zones(), now);
    let last = views.last().filter(|_| is_cut);
    let table = Table {
        rows: views.iter().map(|view| ScheduleRow::new(view, &mut clocks)).collect(),
        next: last.map(|last| SchedulesQuery::path("/schedules", Some(last.id.as_str()))),
        first: query.after.is_some().then(|| SchedulesQuery::path("/schedules", None)),
    };
    Ok(vec![Fragment::new("schedules", &table)?])
}
