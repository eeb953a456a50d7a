//! `/tokens`: who may ask for what, for admins.

use std::time::Duration;

use askama::Template;
use axum::extract::Path;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use sprongus_core::values::ids::TokenId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::token::{NewToken, Scope, Token};
use sprongus_core::{Error, Result};

use super::question::Question;
use crate::server::dashboard::layout::{Section, layout};
use crate::server::dashboard::page::{PageResult, timely};
use crate::server::dashboard::parts::format::When;
use crate::server::dashboard::parts::html::render;
use crate::server::dashboard::session::Viewer;
use crate::server::dashboard::session::form::Posted;
use crate::server::request::query;
use crate::server::response::{bad_field, shown};

/// A day, in which the lives of tokens are given.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A token as a row.
struct TokenRow {
    id: String,
    name: String,
    scopes: String,
    projects: Option<String>,
    created: When,
    expires: Option<When>,
    used: Option<When>,
    status: &'static str,
    is_live: bool,
    is_own: bool,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Page {
    rows: Vec<TokenRow>,
    scopes: Vec<&'static str>,
    projects: Vec<String>,
    form_token: String,
}

#[derive(Template)]
#[template(path = "token_made.html")]
struct Made<'a> {
    name: &'a str,
    secret: &'a str,
}

/// `GET /tokens`.
pub async fn page(viewer: Viewer, uri: Uri) -> PageResult {
    viewer.principal.require(Scope::Admin)?;
    query::none(&uri)?;
    let (admin, runs) = (viewer.principal.admin(), viewer.principal.runs());
    let (tokens, projects, now) = timely(async {
        tokio::try_join!(admin.tokens(), runs.projects(), viewer.shared.service.store().now())
    })
    .await?;
    let own = viewer.principal.token.id;
    let main = render(&Page {
        rows: tokens.iter().map(|token| row(token, own, now)).collect(),
        scopes: Scope::ALL.map(Scope::as_str).into(),
        projects: projects.into_iter().map(|project| project.id.to_string()).collect(),
        form_token: viewer.form_token.clone(),
    })?;
    Ok(layout(&viewer, Section::Tokens, "Tokens", None, &main)?)
}

fn row(token: &Token, own: TokenId, now: Timestamp) -> TokenRow {
    let scopes: Vec<_> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    let projects = token.projects.as_ref().map(|projects| {
        let ids: Vec<_> = projects.iter().map(|project| project.as_str()).collect();
        ids.join(", ")
    });
    let when = |time: Option<Timestamp>| time.map(|time| When::new(time, now));
    let is_live = token.is_live(now);
    let status = match (is_live, token.revoked_at) {
        (true, _) => "live",
        (false, Some(_)) => "revoked",
        (false, None) => "expired",
    };
    TokenRow {
        id: token.id.to_string(),
        name: token.name.clone(),
        scopes: scopes.join(", "),
        projects,
        created: When::new(token.created_at, now),
        expires: when(token.expires_at),
        used: when(token.last_used_at),
        status,
        is_live,
        is_own: token.id == own,
    }
}

/// `POST /tokens`: creates one, and shows its secret this once.
pub async fn create(posted: Posted) -> PageResult {
    posted.require(Scope::Admin)?;
    let fields = &posted.fields;
    let scopes: Vec<Scope> = fields.all("scope").map(str::parse).collect::<Result<_>>()?;
    let projects: Vec<_> =
        fields.all("project").filter(|id| !id.is_empty()).map(str::parse).collect::<Result<_>>()?;
    let days = match fields.text("days").map(str::parse::<u32>) {
        None => None,
        Some(Ok(days)) => Some(days),
        Some(Err(_)) => return Err(bad_field("/days", "must be a whole number of days").into()),
    };
    let new = NewToken {
        name: fields.text("name").unwrap_or_default().to_owned(),
        scopes,
        projects: Some(projects).filter(|projects| !projects.is_empty()),
        expires_in: days.map(|days| DAY * days),
    };
    let made = timely(posted.viewer.principal.admin().create_token(new)).await?;
    let main = render(&Made { name: &made.token.name, secret: made.secret.expose() })?;
    Ok(layout(&posted.viewer, Section::Tokens, "New token", None, &main)?)
}

/// `GET /tokens/{id}/revoke`: asks whether to.
pub async fn ask_revoke(viewer: Viewer, Path(id): Path<String>) -> PageResult {
    viewer.principal.require(Scope::Admin)?;
    let id = token_id(&id)?;
    let tokens = timely(viewer.principal.admin().tokens()).await?;
    let token = tokens.into_iter().find(|token| token.id == id).ok_or_else(|| unknown(&id.to_string()))?;
    let question = Question {
        title: "Revoke this token?",
        about: vec![(token.name, token.id.to_string())],
        text: "Requests with it are refused within a second. This cannot be undone.",
        action: format!("/tokens/{id}/revoke"),
        button: "Revoke token",
        is_dangerous: true,
        back: "/tokens".to_owned(),
        fields: Vec::new(),
    };
    question.ask(&viewer, Section::Tokens)
}

/// `POST /tokens/{id}/revoke`.
pub async fn revoke(Path(id): Path<String>, posted: Posted) -> PageResult {
    posted.require(Scope::Admin)?;
    timely(posted.viewer.principal.admin().revoke_token(token_id(&id)?)).await?;
    posted.viewer.shared.tokens.forget_all();
    Ok(Redirect::to("/tokens").into_response())
}

fn token_id(text: &str) -> Result<TokenId> {
    text.parse().map_err(|_| unknown(text))
}

fn unknown(text: &str) -> Error {
    Error::not_found(format_args!("token: {}", shown(text))).with_hint("check the list of tokens")
}
