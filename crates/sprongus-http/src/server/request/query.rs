//! Reading a request's query: each name known, each given once unless it may repeat, each value checked and named when it is bad.

use std::str::FromStr;

use axum::http::{HeaderMap, Uri};
use sprongus_core::error::FieldError;
use sprongus_core::run::Hold;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::list::ListFilter;
use sprongus_core::values::ids::RunId;
use sprongus_core::{Error, ErrorCode, Result};

use crate::server::response::{bad_field, shown};
use crate::wire::LEASE_TOKEN_HEADER;

/// Names that would be a credential: what stands in a URL stands in logs.
const CREDENTIALS: [&str; 5] = ["token", "access_token", "api_key", "apikey", "authorization"];

/// The pairs of a query, and what is wrong with their values.
pub struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<FieldError>,
}

impl Query {
    /// Reads the query, which may hold these names; those with a star behind them may repeat.
    ///
    /// # Errors
    /// `malformed` for a credential, or what is no text; `validation` for an unknown name, or one that stands there twice.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self> {
        let query = uri.query().unwrap_or_default();
        let decoded = percent_encoding::percent_decode_str(query).decode_utf8();
        if decoded.is_err() || decoded.is_ok_and(|text| text.contains('\0')) {
            return Err(Error::new(ErrorCode::Malformed, "the query is not valid text")
                .with_hint("send UTF-8, percent-encoded, without NUL"));
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if CREDENTIALS.contains(&name.to_ascii_lowercase().as_str()) {
                return Err(Error::new(ErrorCode::Malformed, "the URL contains a credential")
                    .with_hint("send it as `Authorization: Bearer …`, and revoke the one in the URL"));
            }
            let repeats = known.iter().any(|it| it.strip_suffix('*') == Some(name.as_ref()));
            if !repeats && !known.contains(&name.as_ref()) {
                let names: Vec<_> = known.iter().map(|name| name.trim_end_matches('*')).collect();
                let hint = match names.as_slice() {
                    [] => "this route takes no query parameters".to_owned(),
                    names => format!("use: {}", names.join(", ")),
                };
                return Err(
                    bad_field(format!("/{}", shown(&name)), "unknown query parameter").with_hint(hint)
                );
            }
            if !repeats && pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad_field(format!("/{name}"), "given more than once"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self { pairs, faults: Vec::new() })
    }

    /// Everything said under a name, repeated or with commas between: no value that is read so holds one.
    pub fn all<T: FromStr<Err = Error>>(&mut self, name: &str) -> Vec<T> {
        let said = self.pairs.iter().filter(|(key, _)| key == name);
        let texts: Vec<String> = said.flat_map(|(_, text)| text.split(',')).map(str::to_owned).collect();
        texts.iter().filter_map(|text| self.parsed(name, text)).collect()
    }

    /// One value; a bad one is noted.
    fn parsed<T: FromStr<Err = Error>>(&mut self, name: &str, text: &str) -> Option<T> {
        text.parse()
            .inspect_err(|error: &Error| self.fault(name, format!("{}; {}", error.message(), error.hint())))
            .ok()
    }

    /// What is said under a name.
    pub fn one<T: FromStr<Err = Error>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name)?.to_owned();
        self.parsed(name, &text)
    }

    /// The number under a name.
    pub fn number(&mut self, name: &str) -> Option<u64> {
        let text = self.text(name)?.to_owned();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        // No database keeps a larger one as a whole number.
        let number = digits.filter(|&number| i64::try_from(number).is_ok());
        if number.is_none() {
            let message = format!("not a whole number: {}", shown(&text));
            self.faults.push(FieldError { pointer: format!("/{name}"), message });
        }
        number
    }

    /// The text under a name; none where the name is missing.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Notes a bad value, for [`Query::end`].
    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        self.faults.push(FieldError { pointer: format!("/{name}"), message: message.into() });
    }

    /// Ends the reading: only now is it known whether all values are good.
    ///
    /// # Errors
    /// `validation` with every bad value named.
    pub fn end(self) -> Result<()> {
        if self.faults.is_empty() { Ok(()) } else { Err(Error::invalid_fields(self.faults)) }
    }
}

/// The hold on a run, where the body is not there to say it. Its token is in a header: addresses get into logs.
///
/// # Errors
/// As [`Query::read`]; `validation` when the worker or the epoch is missing, or more than one token is there.
pub fn hold(id: RunId, uri: &Uri, headers: &HeaderMap) -> Result<Hold> {
    let mut query = Query::read(uri, &["workerId", "epoch"])?;
    for name in ["workerId", "epoch"] {
        if query.text(name).is_none() {
            query.fault(name, format!("missing query parameter `{name}`"));
        }
    }
    let (worker_id, epoch) = (query.one("workerId"), query.number("epoch"));
    query.end()?;
    match (worker_id, epoch) {
        (Some(worker_id), Some(epoch)) => Ok(Hold { id, worker_id, epoch, token: lease_token(headers)? }),
        (Some(_) | None, Some(_) | None) => Err(Error::internal("incomplete lease in the request")),
    }
}

/// The lease token a request brings; none where there is no header.
fn lease_token(headers: &HeaderMap) -> Result<LeaseToken> {
    let mut given = headers.get_all(LEASE_TOKEN_HEADER).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(LeaseToken::default()),
        (Some(token), None) => Ok(LeaseToken::given(token.to_str().unwrap_or_default())),
        (Some(_), Some(_)) => Err(Error::validation("more than one Sprongus-Lease-Token header")),
    }
}

/// The names that a list of runs knows.
const OF_LIST: [&str; 14] = [
    "projectId",
    "state*",
    "kind*",
    "agentTaskId",
    "scheduleId",
    "tag*",
    "since",
    "before",
    "waiting",
    "id",
    "sort",
    "limit",
    "cursor",
    "idempotencyKey",
];

/// Which runs to list, and the key that names one.
///
/// # Errors
/// `validation` with every bad value named.
pub fn list(uri: &Uri) -> Result<(ListFilter, Option<String>)> {
    let mut query = Query::read(uri, &OF_LIST)?;
    let filter = filter(&mut query);
    let key = query.text("idempotencyKey").map(str::to_owned);
    query.end()?;
    Ok((filter, key))
}

/// The names that the inbox of approvals knows.
const OF_GATES: [&str; 10] =
    ["projectId", "kind*", "agentTaskId", "scheduleId", "tag*", "since", "before", "sort", "limit", "cursor"];

/// The runs whose gates to list.
///
/// # Errors
/// `validation` with every bad value named.
pub fn gates(uri: &Uri) -> Result<ListFilter> {
    let mut query = Query::read(uri, &OF_GATES)?;
    let filter = filter(&mut query);
    query.end()?;
    Ok(filter)
}

fn filter(query: &mut Query) -> ListFilter {
    let mut filter = ListFilter {
        project_id: query.one("projectId"),
        states: query.all("state"),
        kinds: query.all("kind"),
        agent_task_id: query.one("agentTaskId"),
        schedule_id: query.one("scheduleId"),
        since: query.one("since"),
        before: query.one("before"),
        waiting: query.one("waiting"),
        id: query.one("id"),
        cursor: query.text("cursor").map(str::to_owned),
        ..ListFilter::default()
    };
    match query.text("sort") {
        None | Some("-createdAt") => {}
        Some("createdAt") => filter.oldest_first = true,
        Some(_) => query.fault("sort", "sort must be createdAt or -createdAt"),
    }
    if let Some(limit) = query.number("limit") {
        filter.limit = u32::try_from(limit).unwrap_or(u32::MAX);
    }
    let tags: Vec<String> =
        query.pairs.iter().filter(|(name, _)| name == "tag").map(|(_, pair)| pair.clone()).collect();
    for pair in tags {
        match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                filter.tags.insert(name.to_owned(), value.to_owned());
            }
            Some(_) | None => query.fault("tag", "a tag is NAME=VALUE"),
        }
    }
    filter
}

/// Refuses any query parameter.
///
/// # Errors
/// As [`Query::read`].
pub fn none(uri: &Uri) -> Result<()> {
    Query::read(uri, &[])?.end()
}

#[cfg(test)]
mod tests {
    use sprongus_core::run::state::State;

    use super::*;

    fn refused(query: &str) -> Error {
        list(&format!("/v1/runs?{query}").parse().unwrap()).unwrap_err()
    }

    #[test]
    fn a_list_is_read_whole() {
        let uri = "/v1/runs?state=queued&state=running&kind=a%2Fb&tag=x=1&sort=createdAt&limit=7&since=2026-11-21T09:30:00Z";
        let (filter, key) = list(&uri.parse().unwrap()).unwrap();
        assert_eq!((filter.states.len(), filter.kinds[0].as_str(), filter.limit), (2, "a/b", 7));
        assert!(filter.oldest_first && filter.since.is_some() && key.is_none());
        assert_eq!(filter.tags["x"], "1");
    }

    #[test]
    fn states_and_kinds_may_be_separated_by_commas() {
        let (filter, _) =
            list(&"/v1/runs?state=queued,canceled&state=failed&kind=a,b/c".parse().unwrap()).unwrap();
        assert_eq!(filter.states, [State::Queued, State::Canceled, State::Failed]);
        assert_eq!(filter.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b/c"]);
        for query in ["state=queued,", "state=queued,done", "kind=a,,b"] {
            assert_eq!(refused(query).code(), ErrorCode::Validation, "{query}");
        }
    }

    #[test]
    fn a_hold_is_read_whole_or_refused() {
        let id = RunId::new();
        let headers = HeaderMap::from_iter([(LEASE_TOKEN_HEADER.parse().unwrap(), "spl_x".parse().unwrap())]);
        let read = |query: &str| hold(id, &format!("/?{query}").parse().unwrap(), &headers);
        let good = read("workerId=w%3A1&epoch=7").unwrap();
        assert_eq!((good.id, good.worker_id.as_str(), good.epoch), (id, "w:1", 7));
        assert_eq!(good.token.expose(), "spl_x");
        let uri = "/?workerId=w&epoch=1".parse().unwrap();
        assert!(hold(id, &uri, &HeaderMap::new()).unwrap().token.is_absent());
        let mut twice = headers.clone();
        twice.append(LEASE_TOKEN_HEADER, "spl_y".parse().unwrap());
        assert_eq!(hold(id, &uri, &twice).unwrap_err().code(), ErrorCode::Validation);
        for (query, pointers) in [
            ("", vec!["/workerId", "/epoch"]),
            ("workerId=w", vec!["/epoch"]),
            ("workerId=a%2Fb&epoch=-1", vec!["/workerId", "/epoch"]),
            ("workerId=w&epoch=1&epoch=2", vec!["/epoch"]),
            ("workerId=w&epoch=1&attempt=2", vec!["/attempt"]),
        ] {
            let error = read(query).unwrap_err();
            let named: Vec<_> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
            assert_eq!((error.code(), named), (ErrorCode::Validation, pointers), "{query}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = refused("state=done&limit=ten&sort=kind&tag=x");
        let pointers: Vec<_> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/state", "/sort", "/limit", "/tag"]);
        assert_eq!(refused("limit=1&limit=2").fields()[0].pointer, "/limit");
        assert_eq!(refused("workspace=x").fields()[0].pointer, "/workspace");
        assert_eq!(refused("token=hunter2").code(), ErrorCode::Malformed);
        assert!(!format!("{:?}", refused("access_token=hunter2")).contains("hunter2"));
        assert_eq!(refused("kind=%00").code(), ErrorCode::Malformed);
        assert_eq!(refused("kind=%ff").code(), ErrorCode::Malformed);
        assert_eq!(refused("limit=-1").code(), ErrorCode::Validation);
    }
}
