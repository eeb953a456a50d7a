//! Reading a route's path: ids, and verbs behind a colon.
//!
//! The contract writes a verb as `/v1/runs/{id}:cancel`. The router below us matches whole segments only, so a colon in the last
//! segment of such a path is turned into a segment of its own before it looks, and the verb is marked so that nobody can name it
//! otherwise.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{Method, Uri};
use sprongus_core::Error;
use sprongus_core::run::artifact::ArtifactName;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::ScheduleId;

use crate::server::Shared;
use crate::server::response::{ApiError, bad_field, shown};

/// What a verb's segment begins with inside of this server.
const MARK: char = '@';

/// A path that is no route.
const NOWHERE: &str = "/@";

/// The things whose verbs stand behind a colon; of those whose ids may hold one, the verbs there are.
const WITH_VERBS: [(&str, Option<&str>); 3] =
    [("/v1/runs/", None), ("/v1/schedules/", None), ("/v1/workers/", Some("drain"))];

/// Gives the verb behind a colon a segment of its own.
pub fn split_verb(mut request: Request) -> Request {
    let uri = request.uri();
    let path = if request.method() == Method::POST { plain_colons(uri.path()) } else { uri.path().into() };
    let rewritten = split(&path).or(match path {
        Cow::Owned(path) => Some(path),
        Cow::Borrowed(_) => None,
    });
    if let Some(path) = rewritten {
        let with_query = match uri.query() {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        if let Ok(path_and_query) = with_query.parse::<PathAndQuery>() {
            *request.uri_mut() = Uri::from(path_and_query);
        }
    }
    request
}

/// The path with its colons as they are: some clients escape the one before a verb. What a path names is decoded in any case. Only verbs
/// are posted there; for other methods an escaped colon belongs to a worker's id, such as `a:drain`.
fn plain_colons(path: &str) -> Cow<'_, str> {
    if path.starts_with("/v1/") && path.contains("%3") {
        Cow::Owned(path.replace("%3A", ":").replace("%3a", ":"))
    } else {
        Cow::Borrowed(path)
    }
}

/// The path that the router knows, where it is another one.
fn split(path: &str) -> Option<String> {
    let (below, only) = WITH_VERBS.iter().find_map(|(base, only)| Some((path.strip_prefix(base)?, only)))?;
    if below.contains('/') {
        // A segment with the mark is nothing of ours but behind a colon.
        let forged = below.split('/').nth(1).is_some_and(|segment| segment.starts_with(MARK));
        return forged.then(|| NOWHERE.to_owned());
    }
    let (id, verb) = below.rsplit_once(':').filter(|(_, verb)| only.is_none_or(|only| only == *verb))?;
    let base = &path[..path.len() - below.len()];
    Some(format!("{base}{id}/{MARK}{verb}"))
}

/// The run a path names.
pub struct RunOf(pub RunId);

impl FromRequestParts<Arc<Shared>> for RunOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let text = named(parts, shared, "id").await;
        // What is no id names no run: the answer must not tell the two apart.
        text.parse().map(Self).map_err(|_| ApiError(Error::not_found(format_args!("run: {}", shown(&text)))))
    }
}

/// The schedule a path names.
pub struct ScheduleOf(pub ScheduleId);

impl FromRequestParts<Arc<Shared>> for ScheduleOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let text = named(parts, shared, "id").await;
        let unknown = |_| ApiError(Error::not_found(format_args!("schedule: {}", shown(&text))));
        text.parse().map(Self).map_err(unknown)
    }
}

/// The artifact a path names: a run, and what is left of the path behind it, in which a `/` may be escaped or not.
pub struct ArtifactOf(pub RunId, pub ArtifactName);

impl FromRequestParts<Arc<Shared>> for ArtifactOf {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        // The name first: where the path is not even text, it is the name that is wrong.
        let text = named(parts, shared, "name").await;
        let name = text.parse().map_err(|_| {
            let message = format!("not an artifact name: {}", shown(&text));
            ApiError(bad_field("/name", message).with_hint(ArtifactName::RULE))
        })?;
        let RunOf(id) = RunOf::from_request_parts(parts, shared).await?;
        Ok(Self(id, name))
    }
}

/// One parameter of the path, decoded; empty where the route has none of this name.
pub async fn named(parts: &mut Parts, shared: &Arc<Shared>, name: &str) -> String {
    match RawPathParams::from_request_parts(parts, shared).await {
        Ok(params) => {
            let found = params.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned()).unwrap_or_default()
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn routed(method: Method, path: &str) -> String {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        split_verb(request).uri().to_string()
    }

    fn posted(path: &str) -> String {
        routed(Method::POST, path)
    }

    #[test]
    fn a_verb_is_split_off_and_cannot_be_forged() {
        assert_eq!(posted("/v1/runs/01A:cancel"), "/v1/runs/01A/@cancel");
        assert_eq!(posted("/v1/runs/01A:cancel?x=1"), "/v1/runs/01A/@cancel?x=1");
        assert_eq!(posted("/v1/workers/a:1:drain"), "/v1/workers/a:1/@drain");
        assert_eq!(posted("/v1/runs/01A/@cancel"), NOWHERE);
        assert_eq!(posted("/v1/runs/01A%3Acancel?x=%3A"), "/v1/runs/01A/@cancel?x=%3A");
        assert_eq!(posted("/v1/workers/a%3a1%3Adrain"), "/v1/workers/a:1/@drain");
        assert_eq!(posted("/v1/runs%3Aclaim"), "/v1/runs:claim");
        assert_eq!(posted("/v1/runs/01A/%3A@cancel"), "/v1/runs/01A/:@cancel");
        for same in [
            "/v1/runs:claim",
            "/v1/runs",
            "/v1/workers/a:1",
            "/v1/runs/01A/logs",
            "/v1/runs/01A/artifacts/a:b",
            "/v1/runs/01A%253Acancel",
            "/x/y:z",
            "/runs/01A%3Acancel",
        ] {
            assert_eq!(posted(same), same);
        }
        let named = "/v1/workers/a%3Adrain";
        assert_eq!(routed(Method::DELETE, named), named, "a worker may be called a:drain");
    }
}
