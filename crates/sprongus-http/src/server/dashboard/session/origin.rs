//! What is this site's own: forms that it sent itself, and paths to go to after signing in.

use axum::http::HeaderMap;
use sprongus_core::{Error, ErrorCode, Result};

use crate::server::Shared;
use crate::server::access::hosts::PublicUrl;

/// A path of this site to go to after signing in; anything else leads to the overview.
pub fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/login");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain && next.len() <= 2_048 { next } else { "/" }
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
    use axum::http::HeaderValue;

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
