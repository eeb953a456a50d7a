//! Who looks: a session is 256 random bits in a cookie that no script can read, and a row of the database that says for which token. So
//! any server behind a balancer knows it, it ends when the token does or when somebody signs out, and the token cannot be had from the
//! cookie: browsers send it to whatever listens on another port of the same host. The API never reads it: what a browser sends by itself
//! must not act there.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use form_urlencoded::Serializer;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::session::{Session, SessionSecret};
use sprongus_core::workspace::token::{self, Scope};
use sprongus_core::{Error, ErrorCode, Result};

use super::live;
use super::screen::{Failed, bare};
use crate::server::Shared;
use crate::server::answer::Refused;
use crate::server::auth::{Asker, Credential};
use crate::server::hosts::{self, PublicUrl};
use crate::server::path::RunOf;

/// What the cookie's name begins with; the port follows, for browsers keep one jar for all ports of a host.
const COOKIE: &str = "sprongus_session_";

/// What it begins with over TLS: browsers take such a cookie from this very host alone, and never without TLS.
const HOST_ONLY: &str = "__Host-";

/// What a form's own token is made of beside the session's. A change here ends every form that is open.
const FORM: &[u8] = b"sprongus dashboard form 1";

/// Somebody who is signed in.
pub struct Viewer {
    /// Who asks.
    pub asker: Asker,
    /// What the server shares.
    pub shared: Arc<Shared>,
    /// What a form of theirs carries.
    pub form_token: String,
    secret: SessionSecret,
}

impl Viewer {
    /// Ends the session.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn sign_out(&self) -> Result<()> {
        let closed = self.shared.service.store().close_session(&self.asker.token, &self.secret.hash()).await;
        self.shared.tokens.forget(&self.asker.credential);
        closed
    }

    /// Whether their token allows it.
    pub fn may(&self, scope: Scope) -> bool {
        self.asker.token.allows(scope)
    }

    /// Whether a form carries the token that this session's forms do; takes as long for every answer.
    pub fn owns(&self, form_token: &str) -> bool {
        let bytes: Option<Vec<u8>> = (0..form_token.len())
            .step_by(2)
            .map(|place| u8::from_str_radix(form_token.get(place..place + 2)?, 16).ok())
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

/// The run that a page's path names.
pub struct RunAt(pub RunId);

impl FromRequestParts<Arc<Shared>> for RunAt {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Failed> {
        let RunOf(id) = RunOf::from_request_parts(parts, shared).await.map_err(|Refused(error)| error)?;
        Ok(Self(id))
    }
}

impl FromRequestParts<Arc<Shared>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Response> {
        match viewer(parts, shared).await {
            Ok(viewer) => Ok(viewer),
            Err(error) if error.code() == ErrorCode::Unauthenticated => Err(sign_in_first(parts, shared)),
            Err(error) => Err(Failed::from(error).into_response()),
        }
    }
}

async fn viewer(parts: &Parts, shared: &Arc<Shared>) -> Result<Viewer> {
    let cookie = Cookie::of(&parts.headers, shared);
    let secret = SessionSecret::parse(cookie.held(&parts.headers).ok_or_else(token::refused)?)?;
    let asker = Asker::by(Credential::Session(secret.hash()), shared).await?;
    Ok(Viewer { asker, shared: Arc::clone(shared), form_token: form_token(&secret), secret })
}

/// What somebody is told who is not signed in.
fn sign_in_first(parts: &Parts, shared: &Shared) -> Response {
    if parts.uri.path().starts_with("/live/") {
        return live::signed_out();
    }
    if parts.method != Method::GET {
        return Redirect::to("/login").into_response();
    }
    let site = parts.headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_held = Cookie::of(&parts.headers, shared).held(&parts.headers).is_some();
    if !is_held && site == Some(b"cross-site") {
        // A link from elsewhere brings no cookie of this site; the page itself asks again, and then it comes.
        return bare(&Again { version: super::assets::version() });
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let next = Serializer::new(String::new()).append_pair("next", target).finish();
    Redirect::to(&format!("/login?{next}")).into_response()
}

#[derive(askama::Template)]
#[template(path = "again.html")]
struct Again {
    version: &'static str,
}

/// A path of this site to go to after signing in; anything else leads to the overview.
pub fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/login");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain && next.len() <= 2_048 { next } else { "/" }
}

/// The cookie of the site that a browser asked for.
pub struct Cookie {
    name: String,
    is_secure: bool,
}

impl Cookie {
    /// By the host and the scheme that the browser used, as far as a proxy tells of them.
    pub fn of(headers: &HeaderMap, shared: &Shared) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_forwarded = text("x-forwarded-proto").is_some_and(|proto| {
            proto.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https"))
        });
        let is_public = shared
            .options
            .public_url
            .as_ref()
            .is_some_and(|url| url.is_https() && text("host").is_some_and(|host| url.names(host)));
        let is_secure = is_forwarded || is_public;
        let port = hosts::port(headers).unwrap_or(if is_secure { 443 } else { 80 });
        Self { name: format!("{}{COOKIE}{port}", if is_secure { HOST_ONLY } else { "" }), is_secure }
    }

    /// What it holds.
    fn held<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name).map(|(_, value)| value)
    }

    /// That of somebody who has signed in. The browser forgets it when it is closed, or when the token ends.
    pub fn set(&self, secret: &SessionSecret, session: &Session, now: Timestamp) -> Option<HeaderValue> {
        let life = match session.token.expires_at {
            Some(_) => format!("; Max-Age={}", session.expires_at.since(now).as_secs()),
            None => String::new(),
        };
        let value = format!("{}={}{}{life}", self.name, secret.expose(), self.attributes());
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// That of somebody who has signed out.
    pub fn unset(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("{}={}; Max-Age=0", self.name, self.attributes())).ok()
    }

    fn attributes(&self) -> &'static str {
        if self.is_secure {
            "; Path=/; HttpOnly; SameSite=Strict; Secure"
        } else {
            "; Path=/; HttpOnly; SameSite=Strict"
        }
    }
}

/// Refuses what another site made a browser send.
///
/// # Errors
/// `forbidden`.
pub fn same_origin(headers: &HeaderMap, shared: &Shared) -> Result<()> {
    is_same_origin(headers, shared.options.public_url.as_ref())
}

fn is_same_origin(headers: &HeaderMap, public: Option<&PublicUrl>) -> Result<()> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            // A proxy may name another host than the browser did.
            (host.is_some() && host == text("host")) || public.is_some_and(|url| url.is_origin(origin))
        }
        // No browser: none leaves both out of a form that it posts.
        (None, None) => true,
    };
    if is_ours {
        return Ok(());
    }
    Err(Error::new(ErrorCode::Forbidden, "the form was sent from another site")
        .with_hint("open the dashboard directly and try again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_gone_to() {
        for good in ["/", "/runs?state=failed&kind=a%2Fb", "/runs/01M80754D6E7K919GRYZ8BH27Q"] {
            assert_eq!(local(good), good);
        }
        for bad in [
            "",
            "runs",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/login?next=/",
            "/a\r\nb",
            "/a b",
        ] {
            assert_eq!(local(bad), "/", "{bad:?}");
        }
    }

    #[test]
    fn a_forms_token_is_the_sessions_own() {
        let (one, other) = (SessionSecret::generate().unwrap(), SessionSecret::generate().unwrap());
        assert_eq!(form_token(&one), form_token(&one));
        assert_ne!(form_token(&one), form_token(&other));
        assert!(!form_token(&one).contains(&one.expose()[4..20]) && form_token(&one).len() == 64);
    }

    #[test]
    fn another_sites_form_is_refused() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect();
            let public = "https://runs.example".parse().unwrap();
            is_same_origin(&headers, Some(&public)).is_ok()
        };
        assert!(of(&[("sec-fetch-site", "same-origin"), ("origin", "http://a"), ("host", "a")]) && of(&[]));
        assert!(of(&[("origin", "http://a:3000"), ("host", "a:3000")]));
        assert!(of(&[("origin", "https://runs.example"), ("host", "127.0.0.1:3000")]));
        for site in ["cross-site", "same-site", "none"] {
            assert!(!of(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!of(&[("origin", "null"), ("host", "a")]) && !of(&[("origin", "http://b"), ("host", "a")]));
    }
}
