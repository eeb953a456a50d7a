//! `/runs`: a page of the list, filtered by the URL, and the way to one run by its id or key.

pub mod bulk;
pub mod query;

use askama::Template;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use sprongus_core::Result;
use sprongus_core::run::state::State;
use sprongus_core::run::waiting::Reason;
use sprongus_core::values::ids::RunId;
use sprongus_core::workspace::token::Scope;

use crate::server::dashboard::fragment::{Fragment, outer_all};
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::html::{Html, render};
use crate::server::dashboard::parts::run_row::{RunRow, run_rows};
use crate::server::dashboard::session::Viewer;
use query::RunsQuery;

struct Choice {
    name: &'static str,
    is_chosen: bool,
}

struct ProjectChoice {
    id: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "runs.html")]
struct Page {
    states: Vec<Choice>,
    reasons: Vec<Choice>,
    kinds: Vec<String>,
    projects: Vec<ProjectChoice>,
    search: String,
    kind: String,
    tag: String,
    agent_task: String,
    schedule: String,
    since: String,
    before: String,
    is_filtered: bool,
    has_details: bool,
    missed: Option<String>,
    parts: Vec<Html>,
    form_token: String,
    may_write: bool,
}

#[derive(Template)]
#[template(path = "runs_table.html")]
struct Table {
    rows: Vec<RunRow>,
    next: Option<String>,
    first: Option<String>,
    is_filtered: bool,
    /// The filters, for what is done to all that match; empty where everything there is is on the page.
    all: Option<String>,
    may_write: bool,
}

/// `GET /runs`.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Read)?;
    let now = timely(viewer.shared.service.store().now()).await?;
    let query = RunsQuery::read(&uri, now)?;
    let runs = viewer.principal.runs();
    if let Some(search) = &query.search
        && let Some(id) = timely(found(&viewer, search)).await?
    {
        return Ok(Redirect::to(&format!("/runs/{id}")).into_response());
    }
    let (settings, projects) = timely(async { tokio::try_join!(runs.kinds(), runs.projects()) }).await?;
    // To suggest kinds is not worth counting how they stand.
    let mut kinds = viewer.shared.dashboard.figures.kinds(&viewer.principal.caller);
    kinds.extend(settings.into_iter().map(|setting| setting.kind.to_string()));
    kinds.sort_unstable();
    kinds.dedup();
    let parts = outer_all(&fragments(&viewer, &query).await?)?;
    let project = query.filter.project_id.as_ref();
    let reasons = Reason::ALL
        .map(|reason| Choice { name: reason.as_str(), is_chosen: query.filter.waiting == Some(reason) });
    let states = State::ALL
        .map(|state| Choice { name: state.as_str(), is_chosen: query.filter.states.contains(&state) });
    let details =
        ["tag", "agentTaskId", "scheduleId", "since", "before", "waiting"].map(|name| query.value(name));
    let has_details = details.iter().any(|value| !value.is_empty());
    let [tag, agent_task, schedule, since, before, _] = details;
    let main = render(&Page {
        states: states.into(),
        reasons: reasons.into(),
        kinds,
        projects: projects
            .into_iter()
            .map(|it| ProjectChoice { is_chosen: Some(&it.id) == project, id: it.id.to_string() })
            .collect(),
        kind: query.value("kind"),
        tag,
        agent_task,
        schedule,
        since,
        before,
        is_filtered: query.is_filtered(),
        has_details,
        missed: query.search.clone(),
        search: query.search.clone().unwrap_or_default(),
        parts,
        form_token: viewer.form_token.clone(),
        may_write: viewer.may(Scope::Write),
    })?;
    let live = query.path("/live/runs", query.filter.cursor.as_deref());
    Ok(layout(&viewer, Section::Runs, "Runs", Some(&live), &main)?)
}

/// The run that a search names: by id, in both forms, or by its key.
async fn found(viewer: &Viewer, search: &str) -> Result<Option<RunId>> {
    if let Ok(id) = search.parse::<RunId>() {
        return Ok(Some(id));
    }
    Ok(viewer.principal.runs().find_by_key(search).await?.map(|run| run.id))
}

/// The table, its only fragment.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer, query: &RunsQuery) -> Result<Vec<Fragment>> {
    let runs = viewer.principal.runs();
    let (data, next_cursor, now) = timely(async {
        let now = viewer.shared.service.store().now().await?;
        Ok(match &query.key {
            None => {
                let page = runs.list(&query.filter).await?;
                (page.data, page.next_cursor, now)
            }
            Some(key) => (runs.find_by_key(key).await?.into_iter().collect(), None, now),
        })
    })
    .await?;
    let has_more = next_cursor.is_some() || query.filter.cursor.is_some();
    let table = Table {
        rows: run_rows(&data, now),
        all: has_more.then(|| query.query()),
        next: next_cursor.map(|cursor| query.path("/runs", Some(&cursor))),
        first: query.filter.cursor.is_some().then(|| query.path("/runs", None)),
        is_filtered: query.is_filtered(),
        may_write: viewer.may(Scope::Write),
    };
    Ok(vec![Fragment::new("runs", &table)?])
}
