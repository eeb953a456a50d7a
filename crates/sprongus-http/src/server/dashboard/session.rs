//! Who looks: a session is 256 random bits in a cookie that no script can read, and a row of the database that says for which token. So
//! any server behind a balancer knows it, it ends when the token does or when somebody signs out, and the token cannot be had from the
//! cookie: browsers send it to whatever listens on another port of the same host. The API never reads it: what a browser sends by itself
//! must not act there.
//!
//! `session/cookie.rs` is the cookie, `session/form.rs` what a form of somebody who is signed in sends, `session/origin.rs` whether it came from
//! this site.

pub mod cookie;
pub mod form;
pub mod origin;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse, Redirect, Response};
use bytes::Bytes;
use form_urlencoded::Serializer;
use futures_util::stream::once;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sprongus_core::workspace::session::SessionSecret;
use sprongus_core::workspace::token::{self, Scope};
use sprongus_core::{ErrorCode, Result};

use super::assets;
use super::page::{ErrorPage, bare};
use crate::server::Shared;
use crate::server::access::auth::{Credential, Principal};
use crate::server::streaming::sse;
use cookie::Cookie;

/// What a form's own token is made of beside the session's. A change here ends every form that is open.
const FORM: &[u8] = b"sprongus dashboard form 1";

/// The last message of a stream whose session has ended: to come back would be no use.
pub const SIGNED_OUT: &str = "event: signed-out\ndata: {}\n\n";

/// Somebody who is signed in.
pub struct Viewer {
    /// Their token, and the runs it may touch.
    pub principal: Principal,
    pub shared: Arc<Shared>,
    /// What each form of theirs carries beside its fields, 64 hexadecimal digits.
    pub form_token: String,
    secret: SessionSecret,
}

impl Viewer {
    /// Deletes the session; its cookie is good nowhere any more.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn sign_out(&self) -> Result<()> {
        let closed =
            self.shared.service.store().close_session(&self.principal.token, &self.secret.hash()).await;
        self.shared.tokens.forget(&self.principal.credential);
        closed
    }

    /// Whether their token allows it.
    pub fn may(&self, scope: Scope) -> bool {
        self.principal.token.allows(scope)
    }

    /// Whether a form carries the token that this session's forms do; takes as long for every answer.
    pub fn owns(&self, form_token: &str) -> bool {
        let bytes: Option<Vec<u8>> = (0..form_token.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(form_token.get(at..at + 2)?, 16).ok())
            .collect();
        bytes.is_some_and(|bytes| signed(&self.secret).is_some_and(|mac| mac.verify_slice(&bytes).is_ok()))
    }
}

fn signed(secret: &SessionSecret) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).ok()?;
    mac.update(FORM);
    Some(mac)
}

fn form_token(secret: &SessionSecret) -> String {
    let bytes = signed(secret).map(|mac| mac.finalize().into_bytes());
    bytes.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
}

impl FromRequestParts<Arc<Shared>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        match viewer(parts, shared).await {
            Ok(viewer) => Ok(viewer),
            Err(error) if error.code() == ErrorCode::Unauthenticated => Err(sign_in_first(parts, shared)),
            Err(error) => Err(ErrorPage::from(error).into_response()),
        }
    }
}

async fn viewer(parts: &Parts, shared: &Arc<Shared>) -> Result<Viewer> {
    let cookie = Cookie::of(&parts.headers, shared);
    let secret = SessionSecret::parse(cookie.held(&parts.headers).ok_or_else(token::refused)?)?;
    let principal = Principal::by(Credential::Session(secret.hash()), shared).await?;
    Ok(Viewer { principal, shared: Arc::clone(shared), form_token: form_token(&secret), secret })
}

/// The response to somebody who is not signed in.
fn sign_in_first(parts: &Parts, shared: &Shared) -> Response {
    if parts.uri.path().starts_with("/live/") {
        return sse::response(once(async { Ok(Bytes::from_static(SIGNED_OUT.as_bytes())) }));
    }
    if parts.method != Method::GET {
        return Redirect::to("/login").into_response();
    }
    let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_held = Cookie::of(&parts.headers, shared).held(&parts.headers).is_some();
    if !is_held && site == Some(b"cross-site") {
        // A link from elsewhere brings no cookie of this site; the page itself asks again, and then it comes.
        return bare(&ReloadPage { version: assets::version() });
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let next = Serializer::new(String::new()).append_pair("next", target).finish();
    Redirect::to(&format!("/login?{next}")).into_response()
}

#[derive(askama::Template)]
#[template(path = "reload.html")]
struct ReloadPage {
    version: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forms_token_is_the_sessions_own() {
        let (one, other) = (SessionSecret::generate().unwrap(), SessionSecret::generate().unwrap());
        assert_eq!(form_token(&one), form_token(&one));
        assert_ne!(form_token(&one), form_token(&other));
        assert!(!form_token(&one).contains(&one.expose()[4..20]) && form_token(&one).len() == 64);
    }
}
