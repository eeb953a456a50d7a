//! A page as a whole: what stands around each, the fragments that are kept fresh, and how a failure looks.

use std::time::Duration;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use sprongus_core::workspace::token::Scope;
use sprongus_core::{Error, ErrorCode, Result};

use super::assets;
use super::html::{Html, render};
use super::session::Viewer;
use crate::server::answer::{RETRY_AFTER, log_refusal, shown_line};
use crate::server::context::request_id;

/// How long a page waits for what it shows. Postgres gives a statement up by itself too (`statement_timeout`).
const PATIENCE: Duration = Duration::from_secs(8);

/// What a page answers.
pub type Shown = Result<Response, Failed>;

/// Where in the dashboard a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// How everything stands.
    Overview,
    /// The runs, and each of them.
    Runs,
    /// What runs do.
    Kinds,
    /// Who does it.
    Workers,
    /// What was done, and by whom.
    Audit,
    /// Who may ask for what.
    Tokens,
}

impl Section {
    const ALL: [Self; 6] =
        [Self::Overview, Self::Runs, Self::Kinds, Self::Workers, Self::Audit, Self::Tokens];

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Runs => "Runs",
            Self::Kinds => "Kinds",
            Self::Workers => "Workers",
            Self::Audit => "Audit",
            Self::Tokens => "Tokens",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Overview => "/",
            Self::Runs => "/runs",
            Self::Kinds => "/kinds",
            Self::Workers => "/workers",
            Self::Audit => "/audit",
            Self::Tokens => "/tokens",
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Overview | Self::Runs | Self::Kinds | Self::Workers | Self::Audit => Scope::Read,
            Self::Tokens => Scope::Admin,
        }
    }
}

/// A link of the navigation.
struct Link {
    name: &'static str,
    path: &'static str,
    is_here: bool,
}

#[derive(Template)]
#[template(path = "layout.html")]
struct Layout<'a> {
    version: &'static str,
    title: &'a str,
    workspace: &'a str,
    name: &'a str,
    form_token: &'a str,
    links: Vec<Link>,
    /// Where its fragments are kept fresh.
    live: Option<&'a str>,
    main: &'a Html,
}

/// A page of somebody who is signed in.
///
/// # Errors
/// `internal`.
pub fn screen(
    viewer: &Viewer,
    section: Section,
    title: &str,
    live: Option<&str>,
    main: &Html,
) -> Result<Response> {
    let links = Section::ALL.into_iter().filter(|it| viewer.may(it.scope()));
    let page = Layout {
        version: assets::version(),
        title,
        workspace: viewer.asker.caller.workspace.as_str(),
        name: &viewer.asker.token.name,
        form_token: &viewer.form_token,
        links: links.map(|it| Link { name: it.name(), path: it.path(), is_here: it == section }).collect(),
        live,
        main,
    };
    Ok(answer(render(&page)?))
}

/// A page on its own.
pub fn bare(template: &impl Template) -> Response {
    match render(template) {
        Ok(html) => answer(html),
        Err(error) => Failed::from(error).into_response(),
    }
}

fn answer(html: Html) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
}

/// A part of a page that is kept fresh.
pub struct Fragment {
    /// Its id on the page.
    pub id: &'static str,
    /// What it holds.
    pub html: Html,
    /// What tells it from another state of itself.
    pub mark: String,
}

#[derive(Template)]
#[template(
    source = r#"<div id="{{ id }}" class="fragment" data-mark="{{ mark }}">{{ html|safe }}</div>"#,
    ext = "html"
)]
struct Outer<'a> {
    id: &'static str,
    mark: &'a str,
    html: &'a Html,
}

impl Fragment {
    /// A part with its id.
    ///
    /// # Errors
    /// `internal`.
    pub fn new(id: &'static str, template: &impl Template) -> Result<Self> {
        let html = render(template)?;
        let mark = mark(html.as_str());
        Ok(Self { id, html, mark })
    }

    /// The part with what it is found by.
    ///
    /// # Errors
    /// `internal`.
    pub fn outer(&self) -> Result<Html> {
        render(&Outer { id: self.id, mark: &self.mark, html: &self.html })
    }
}

/// A digest of all but what relative times say: those grow by themselves.
fn mark(html: &str) -> String {
    let mut hash = Sha256::new();
    let mut pieces = html.split("<time ");
    hash.update(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (head, rest) = piece.split_once('>').unwrap_or((piece, ""));
        hash.update(head);
        hash.update(rest.split_once("</time>").map_or(rest, |(_, after)| after));
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The whole page of fragments one below the other.
///
/// # Errors
/// `internal`.
pub fn outer_all(fragments: &[Fragment]) -> Result<Vec<Html>> {
    fragments.iter().map(Fragment::outer).collect()
}

/// What is read for a page, or that it took too long.
///
/// # Errors
/// `unavailable` after eight seconds, and those of what is read.
pub async fn timely<T>(reading: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, reading).await {
        Ok(read) => read,
        Err(_) => Err(Error::new(ErrorCode::Unavailable, "the database did not answer in time")),
    }
}

/// A page that cannot be shown.
#[derive(Debug)]
pub struct Failed(Error);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage<'a> {
    version: &'static str,
    status: u16,
    title: &'static str,
    message: String,
    hint: &'a str,
    retryable: bool,
    request_id: &'a str,
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let request_id = request_id();
        log_refusal(&error, "page");
        let (error, facts) = (error.masked(), error.code().facts());
        let page = FailedPage {
            version: assets::version(),
            status: facts.status,
            title: facts.title,
            message: shown_line(error.message()),
            hint: error.hint(),
            retryable: facts.retryable,
            request_id: &request_id,
        };
        let status = StatusCode::from_u16(facts.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = match render(&page) {
            Ok(html) => (status, answer(html)).into_response(),
            Err(_) => status.into_response(),
        };
        if facts.retryable {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER.into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_changes_with_what_is_said_and_not_with_the_time_that_passes() {
        let at =
            |ago: &str, state: &str| mark(&format!("<p>{state} <time datetime=\"x\">{ago}</time>, then</p>"));
        assert_eq!(at("1 s ago", "queued"), at("2 s ago", "queued"));
        assert_ne!(at("1 s ago", "queued"), at("1 s ago", "running"));
        assert_ne!(mark("<time a>1</time>"), mark("<time b>1</time>"));
    }
}
