//! Signing in with a token, and out again.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use sprongus_core::ids::TokenId;
use sprongus_core::token::TokenSecret;
use sprongus_core::{Error, ErrorCode};

use super::assets;
use super::form::{Fields, Posted};
use super::screen::{Failed, Shown, bare, timely};
use super::session::{cookie, local, no_cookie, same_origin};
use crate::server::Shared;
use crate::server::auth::Asker;
use crate::server::query::Query;

/// All sign-ins share one allowance: who brings wrong tokens has no name yet.
const ANYBODY: TokenId = TokenId::from_bits(0);

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    version: &'static str,
    next: &'a str,
    is_refused: bool,
}

/// The form.
pub async fn page(uri: Uri) -> Shown {
    let query = Query::read(&uri, &["next"])?;
    let next = query.text("next").unwrap_or_default().to_owned();
    query.end()?;
    Ok(bare(&Login { version: assets::version(), next: local(&next), is_refused: false }))
}

/// Looks at the token, and keeps it in the browser if it is good.
pub async fn sign_in(State(shared): State<Arc<Shared>>, request: Request) -> Result<Response, Response> {
    let failed = |error: Error| Failed::from(error).into_response();
    let headers = request.headers().clone();
    same_origin(&headers).map_err(failed)?;
    let fields = Fields::read(request, &shared).await?;
    let next = local(fields.text("next").unwrap_or_default());
    let sign_ins = &shared.dashboard.sign_ins;
    // Those that were good take nothing: see below.
    let is_admitted = sign_ins.take(ANYBODY, 1, true).is_none_or(|(taken, _)| taken);
    if !is_admitted {
        return Err(failed(
            Error::new(ErrorCode::RateLimited, "too many wrong tokens were tried")
                .with_hint("wait a few seconds, then try again"),
        ));
    }
    match timely(enter(fields.text("token").unwrap_or_default(), &headers, &shared)).await {
        Ok(cookie) => {
            sign_ins.give_back(ANYBODY);
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
        }
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
    let secret = TokenSecret::parse(text)?;
    let asker = Asker::with(&secret, shared).await?;
    let now = shared.service.store().now().await?;
    cookie(&secret, &asker.token, now, headers).ok_or_else(|| Error::internal("a cookie cannot be written"))
}

/// Forgets the token in the browser; what it allows elsewhere stays until somebody revokes it.
pub async fn sign_out(headers: HeaderMap, posted: Posted) -> Shown {
    drop(posted);
    let cookie = no_cookie(&headers).ok_or_else(|| Error::internal("a cookie cannot be written"))?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}
