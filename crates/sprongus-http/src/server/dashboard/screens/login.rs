//! Signing in with a token, and out again.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use sprongus_core::workspace::session::{MAX_LIFE, Session, SessionSecret};
use sprongus_core::workspace::token::TokenSecret;
use sprongus_core::{Error, ErrorCode};

use crate::server::Shared;
use crate::server::access::auth::{Credential, Principal};
use crate::server::dashboard::assets;
use crate::server::dashboard::page::{ErrorPage, PageResult, bare, timely};
use crate::server::dashboard::session::cookie::Cookie;
use crate::server::dashboard::session::form::{Fields, Posted};
use crate::server::dashboard::session::origin::{local, same_origin};
use crate::server::request::query::Query;

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    version: &'static str,
    next: &'a str,
    is_refused: bool,
}

/// `GET /login`.
pub async fn page(uri: Uri) -> PageResult {
    let query = Query::read(&uri, &["next"])?;
    let next = query.text("next").unwrap_or_default().to_owned();
    query.end()?;
    Ok(bare(&Login { version: assets::version(), next: local(&next), is_refused: false }))
}

/// Looks at the token, and opens a session if it is good. Wrong ones are not counted: a count would let strangers shut the door, and
/// nobody guesses 256 random bits.
pub async fn sign_in(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Response> {
    let failed = |error: Error| ErrorPage::from(error).into_response();
    let headers = request.headers().clone();
    same_origin(&headers, &shared).map_err(failed)?;
    let fields = Fields::read(request, &shared).await?;
    let next = local(fields.text("next").unwrap_or_default());
    match timely(enter(fields.text("token").unwrap_or_default(), &headers, &shared)).await {
        Ok(cookie) => Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response()),
        Err(error) if error.code() == ErrorCode::Unauthenticated => {
            let page = bare(&Login { version: assets::version(), next, is_refused: true });
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
        Err(error) => Err(failed(error)),
    }
}

async fn enter(
    text: &str,
    headers: &HeaderMap,
    shared: &Arc<Shared>,
) -> sprongus_core::Result<header::HeaderValue> {
    let credential = Credential::Token(TokenSecret::parse(text)?.hash());
    let token = Principal::by(credential, shared).await?.token;
    let store = shared.service.store();
    let now = store.now().await?;
    let expires_at = token.expires_at.into_iter().chain([now.plus(MAX_LIFE)]).min().unwrap_or(now);
    let secret = SessionSecret::generate()?;
    store.open_session(&token, &secret.hash(), expires_at).await?;
    let session = Session { token: token.as_ref().clone(), expires_at };
    let cookie = Cookie::of(headers, shared).set(&secret, &session, now);
    cookie.ok_or_else(|| Error::internal("cannot write a cookie"))
}

/// Ends the session, wherever its cookie is; what the token allows elsewhere stays until somebody revokes it.
pub async fn sign_out(headers: HeaderMap, posted: Posted) -> PageResult {
    let shared = Arc::clone(&posted.viewer.shared);
    timely(posted.viewer.sign_out()).await?;
    let cookie = Cookie::of(&headers, &shared).unset();
    let cookie = cookie.ok_or_else(|| Error::internal("cannot write a cookie"))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}
