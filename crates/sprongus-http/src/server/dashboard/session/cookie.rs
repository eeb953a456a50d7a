//! The cookie that holds a session: its name, which depends on the port and on TLS, and what browsers may do with it.

use axum::http::{HeaderMap, HeaderValue, header};
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::session::{Session, SessionSecret};

use crate::server::Shared;
use crate::server::access::hosts;

/// What the cookie's name begins with; the port follows, for browsers keep one jar for all ports of a host.
const COOKIE: &str = "sprongus_session_";

/// What it begins with over TLS: browsers take such a cookie from this very host alone, and never without TLS.
const HOST_ONLY: &str = "__Host-";

/// The cookie of the site that a browser asked for.
pub struct Cookie {
    name: String,
    is_secure: bool,
}

impl Cookie {
    /// Its name follows from the host and the scheme that the browser used, as far as a proxy passes them on.
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

    /// The cookie's value, if the browser sent it.
    pub fn held<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == self.name).map(|(_, value)| value)
    }

    /// The `Set-Cookie` header of somebody who has signed in. The browser forgets it when it is closed, or when the token ends.
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

    /// The `Set-Cookie` header of somebody who has signed out.
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
