//! `/runs`: a page of them by what stands in the URL, and the way to one by its id or key.

use askama::Template;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use form_urlencoded::Serializer;
use sprongus_core::Result;
use sprongus_core::run::Run;
use sprongus_core::run::list::ListFilter;
use sprongus_core::run::state::State;
use sprongus_core::run::waiting::Reason;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::text::in_short;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::token::Scope;

use super::html::{Html, render};
use super::screen::{Fragment, Section, Shown, outer_all, screen, timely};
use super::session::Viewer;
use super::standing::{Waits, waits};
use super::when::{When, span};
use crate::server::answer::bad_field;
use crate::server::query;

/// Runs on a page.
const PAGE: u32 = 50;

/// A run as a row.
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// The claim it was seen under.
    pub epoch: u64,
    /// What it does.
    pub kind: String,
    /// Where it stands.
    pub state: &'static str,
    /// Its group.
    pub project: Option<String>,
    /// What it was made for.
    pub agent_task: Option<String>,
    /// Executions started, and allowed.
    pub attempt: u32,
    /// The most of them.
    pub max_attempts: u32,
    /// Percent done, while it runs and has said so.
    pub progress: Option<u8>,
    /// Who holds it.
    pub worker: Option<String>,
    /// When it was made.
    pub created: When,
    /// When its present execution began, while it runs.
    pub since: Option<When>,
    /// How long it took from its first start to its end.
    pub took: Option<String>,
    /// When it ended.
    pub finished: Option<When>,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// Why it failed last, in short.
    pub error: Option<String>,
    /// Pairs it is found by.
    pub tags: Vec<String>,
}

impl RunRow {
    /// A run as it is seen at `now`.
    pub fn new(run: &Run, now: Timestamp) -> Self {
        let is_running = run.state == State::Running;
        let when = |time: Option<Timestamp>| time.map(|time| When::new(time, now));
        Self {
            id: run.id.to_string(),
            epoch: run.epoch,
            kind: run.kind.to_string(),
            state: run.state.as_str(),
            project: run.project_id.as_ref().map(ToString::to_string),
            agent_task: run.agent_task_id.as_ref().map(ToString::to_string),
            attempt: run.attempt,
            max_attempts: run.max_attempts,
            progress: (is_running && run.progress > 0).then_some(run.progress),
            worker: run.claimed_by.as_ref().filter(|_| is_running).map(ToString::to_string),
            created: When::new(run.created_at, now),
            since: when(run.claimed_at.filter(|_| is_running)),
            took: run.finished_at.zip(run.started_at).map(|(end, start)| span(end.since(start))),
            finished: when(run.finished_at),
            waits: waits(run, now),
            error: run.error.as_deref().map(|error| in_short(error, 96)),
            tags: run.tags.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        }
    }
}

/// The rows of runs.
pub fn run_rows(runs: &[Run], now: Timestamp) -> Vec<RunRow> {
    runs.iter().map(|run| RunRow::new(run, now)).collect()
}

/// What the URL asks for.
pub struct Wanted {
    filter: ListFilter,
    key: Option<String>,
    /// What stands in the search box.
    search: Option<String>,
    /// The pairs of the URL without the search and the place in the list, with times made absolute.
    pairs: Vec<(String, String)>,
}

impl Wanted {
    /// Reads a URL. What was left empty in a form was not asked for; `2h` is two hours before now.
    ///
    /// # Errors
    /// `validation` with every bad value named.
    pub fn read(uri: &Uri, now: Timestamp) -> Result<Self> {
        let (mut search, mut cursor, mut pairs) = (None, None, Vec::new());
        let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        for (name, value) in given.filter(|(_, value)| !value.trim().is_empty()) {
            let value = value.trim().to_owned();
            match name.as_ref() {
                "q" => search = Some(value),
                "cursor" => cursor = Some(value),
                "since" | "before" => pairs.push((name.into_owned(), absolute(&value, now))),
                _ => pairs.push((name.into_owned(), value)),
            }
        }
        let whole = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let cursors = cursor.iter().map(|cursor| ("cursor", cursor.as_str()));
        let text = Serializer::new(String::new()).extend_pairs(whole.chain(cursors)).finish();
        let read: Uri =
            format!("/runs?{text}").parse().map_err(|_| bad_field("", "the filters are too long"))?;
        let (mut filter, key) = query::list(&read)?;
        filter.limit = filter.limit.min(PAGE);
        Ok(Self { filter, key, search, pairs })
    }

    /// The filters.
    ///
    /// # Errors
    /// `validation` when one run is asked for by its key.
    pub fn filter(&self) -> Result<ListFilter> {
        match self.key {
            None => Ok(self.filter.clone()),
            Some(_) => Err(bad_field("/filter", "a key matches one run: select it instead")),
        }
    }

    /// The filters as they stand in the URL.
    fn query(&self) -> String {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    fn value(&self, name: &str) -> String {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The path of the list, behind `cursor`.
    fn path(&self, base: &str, cursor: Option<&str>) -> String {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs = pairs.chain(cursor.map(|cursor| ("cursor", cursor)));
        let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
        if text.is_empty() { base.to_owned() } else { format!("{base}?{text}") }
    }
}

/// A time that was given as a span before now, as a time.
fn absolute(text: &str, now: Timestamp) -> String {
    let unit = text.char_indices().next_back();
    let span = unit.and_then(|(place, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let many: u32 = text.get(..place)?.parse().ok()?;
        Some(std::time::Duration::from_secs(u64::from(many) * seconds))
    });
    span.map_or_else(|| text.to_owned(), |span| now.minus(span).to_string())
}

/// A state to choose.
struct Choice {
    name: &'static str,
    is_chosen: bool,
}

/// A project to choose.
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

/// The page.
pub async fn page(viewer: Viewer, uri: Uri) -> Shown {
    viewer.asker.require(Scope::Read)?;
    let now = timely(viewer.shared.service.store().now()).await?;
    let wanted = Wanted::read(&uri, now)?;
    let runs = viewer.asker.runs();
    if let Some(search) = &wanted.search
        && let Some(id) = timely(found(&viewer, search)).await?
    {
        return Ok(Redirect::to(&format!("/runs/{id}")).into_response());
    }
    let (settings, projects) = timely(async { tokio::try_join!(runs.kinds(), runs.projects()) }).await?;
    // To suggest kinds is not worth counting how they stand.
    let mut kinds = viewer.shared.dashboard.figures.kinds(&viewer.asker.caller);
    kinds.extend(settings.into_iter().map(|setting| setting.kind.to_string()));
    kinds.sort_unstable();
    kinds.dedup();
    let parts = outer_all(&fragments(&viewer, &wanted).await?)?;
    let project = wanted.filter.project_id.as_ref();
    let reasons = Reason::ALL
        .map(|reason| Choice { name: reason.as_str(), is_chosen: wanted.filter.waiting == Some(reason) });
    let states = State::ALL
        .map(|state| Choice { name: state.as_str(), is_chosen: wanted.filter.states.contains(&state) });
    let details = ["tag", "agentTaskId", "since", "before", "waiting"].map(|name| wanted.value(name));
    let has_details = details.iter().any(|value| !value.is_empty());
    let [tag, agent_task, since, before, _] = details;
    let main = render(&Page {
        states: states.into(),
        reasons: reasons.into(),
        kinds,
        projects: projects
            .into_iter()
            .map(|it| ProjectChoice { is_chosen: Some(&it.id) == project, id: it.id.to_string() })
            .collect(),
        kind: wanted.value("kind"),
        tag,
        agent_task,
        since,
        before,
        is_filtered: !wanted.pairs.is_empty(),
        has_details,
        missed: wanted.search.clone(),
        search: wanted.search.clone().unwrap_or_default(),
        parts,
        form_token: viewer.form_token.clone(),
        may_write: viewer.may(Scope::Write),
    })?;
    let live = wanted.path("/live/runs", wanted.filter.cursor.as_deref());
    Ok(screen(&viewer, Section::Runs, "Runs", Some(&live), &main)?)
}

/// The run that a search names: by id, in both forms, or by its key.
async fn found(viewer: &Viewer, search: &str) -> Result<Option<RunId>> {
    if let Ok(id) = search.parse::<RunId>() {
        return Ok(Some(id));
    }
    Ok(viewer.asker.runs().find_by_key(search).await?.map(|run| run.id))
}

/// Its one part.
///
/// # Errors
/// Those of what is read.
pub async fn fragments(viewer: &Viewer, wanted: &Wanted) -> Result<Vec<Fragment>> {
    let runs = viewer.asker.runs();
    let (data, next_cursor, now) = timely(async {
        let now = viewer.shared.service.store().now().await?;
        Ok(match &wanted.key {
            None => {
                let page = runs.list(&wanted.filter).await?;
                (page.data, page.next_cursor, now)
            }
            Some(key) => (runs.find_by_key(key).await?.into_iter().collect(), None, now),
        })
    })
    .await?;
    let has_more = next_cursor.is_some() || wanted.filter.cursor.is_some();
    let table = Table {
        rows: run_rows(&data, now),
        all: has_more.then(|| wanted.query()),
        next: next_cursor.map(|cursor| wanted.path("/runs", Some(&cursor))),
        first: wanted.filter.cursor.is_some().then(|| wanted.path("/runs", None)),
        is_filtered: !wanted.pairs.is_empty(),
        may_write: viewer.may(Scope::Write),
    };
    Ok(vec![Fragment::new("runs", &table)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_empty_was_not_asked_for() {
        let now = "2026-11-26T10:00:00Z".parse().unwrap();
        let uri = "/runs?q=&state=failed&kind=&since=2h&before=&cursor=".parse().unwrap();
        let wanted = Wanted::read(&uri, now).unwrap();
        assert_eq!(
            (wanted.filter.states.as_slice(), wanted.filter.kinds.len()),
            ([State::Failed].as_slice(), 0)
        );
        assert_eq!(wanted.filter.since, Some("2026-11-26T08:00:00Z".parse().unwrap()));
        let path = wanted.path("/runs", Some("c"));
        assert_eq!(path, "/runs?state=failed&since=2026-11-26T08%3A00%3A00.000Z&cursor=c");
        assert!(Wanted::read(&"/runs?state=done".parse().unwrap(), now).is_err());
    }
}
