//! What stands around a page of somebody who is signed in: the navigation, who they are, and where the page is kept fresh.

use askama::Template;
use axum::response::Response;
use sprongus_core::Result;
use sprongus_core::workspace::token::Scope;

use super::assets;
use super::page::html_response;
use super::parts::html::{Html, render};
use super::session::Viewer;

/// Where in the dashboard a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What is due, running and failed, at `/`.
    Overview,
    /// The list of runs, and each run's page.
    Runs,
    /// The kinds of runs, and pausing one.
    Kinds,
    /// The schedules, and each one's page.
    Schedules,
    /// The live workers.
    Workers,
    /// Events of the workspace, newest first.
    Audit,
    /// The workspace's tokens, for admins alone.
    Tokens,
}

impl Section {
    const ALL: [Self; 7] =
        [Self::Overview, Self::Runs, Self::Kinds, Self::Schedules, Self::Workers, Self::Audit, Self::Tokens];

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Runs => "Runs",
            Self::Kinds => "Kinds",
            Self::Schedules => "Schedules",
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
            Self::Schedules => "/schedules",
            Self::Workers => "/workers",
            Self::Audit => "/audit",
            Self::Tokens => "/tokens",
        }
    }

    fn scope(self) -> Scope {
        match self {
            Self::Overview | Self::Runs | Self::Kinds | Self::Schedules | Self::Workers | Self::Audit => {
                Scope::Read
            }
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

/// A page of somebody who is signed in: `main` within the navigation. `live` is the path of the stream that keeps its fragments fresh.
///
/// # Errors
/// `internal`.
pub fn layout(
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
        workspace: viewer.principal.caller.workspace.as_str(),
        name: &viewer.principal.token.name,
        form_token: &viewer.form_token,
        links: links.map(|it| Link { name: it.name(), path: it.path(), is_here: it == section }).collect(),
        live,
        main,
    };
    Ok(html_response(render(&page)?))
}
