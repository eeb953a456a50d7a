//! Which runs the URL of the list asks for, and the URLs of the pages beside it.

use axum::http::Uri;
use form_urlencoded::Serializer;
use sprongus_core::Result;
use sprongus_core::run::list::ListFilter;
use sprongus_core::values::time::Timestamp;

use crate::server::request::query;
use crate::server::response::bad_field;

/// Runs on a page.
const PAGE: u32 = 50;

/// What the URL asks for.
pub struct RunsQuery {
    /// The filters, with at most 50 runs a page.
    pub filter: ListFilter,
    /// The idempotency key of the one run that is asked for.
    pub key: Option<String>,
    /// The text in the search box, which is never empty.
    pub search: Option<String>,
    /// The pairs of the URL without the search and the place in the list, with times made absolute.
    pairs: Vec<(String, String)>,
}

impl RunsQuery {
    /// Reads a URL. What was left empty in a form was not asked for; `2h` is two hours before now.
    ///
    /// # Errors
    /// `validation` with every bad value named.
    pub fn read(uri: &Uri, now: Timestamp) -> Result<Self> {
        let (mut search, mut cursor, mut pairs) = (None, None, Vec::new());
        let given = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        for (name, value) in given.filter(|(_, value)| !value.trim().is_empty()) {
            let value = value.trim().to_owned();
            match name.as_ref() {
                "q" => search = Some(value),
                "cursor" => cursor = Some(value),
                "since" | "before" => pairs.push((name.into_owned(), absolute(&value, now))),
                _ => pairs.push((name.into_owned(), value)),
            }
        }
        let whole = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let cursors = cursor.iter().map(|cursor| ("cursor", cursor.as_str()));
        let text = Serializer::new(String::new()).extend_pairs(whole.chain(cursors)).finish();
        let read: Uri =
            format!("/runs?{text}").parse().map_err(|_| bad_field("", "the filters are too long"))?;
        let (mut filter, key) = query::list(&read)?;
        filter.limit = filter.limit.min(PAGE);
        Ok(Self { filter, key, search, pairs })
    }

    /// The filters, for what is done to all runs that match.
    ///
    /// # Errors
    /// `validation` when one run is asked for by its key.
    pub fn filter(&self) -> Result<ListFilter> {
        match self.key {
            None => Ok(self.filter.clone()),
            Some(_) => Err(bad_field("/filter", "a key matches one run: select it instead")),
        }
    }

    /// Whether anything but the search narrows the list.
    pub fn is_filtered(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// The filters as a query string, without `?`.
    pub fn query(&self) -> String {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Serializer::new(String::new()).extend_pairs(pairs).finish()
    }

    /// The value of a filter as it was given; empty where it was not.
    pub fn value(&self, name: &str) -> String {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// The address of the page that begins behind `cursor`; `base` is its path.
    pub fn path(&self, base: &str, cursor: Option<&str>) -> String {
        let pairs = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs = pairs.chain(cursor.map(|cursor| ("cursor", cursor)));
        let text = Serializer::new(String::new()).extend_pairs(pairs).finish();
        if text.is_empty() { base.to_owned() } else { format!("{base}?{text}") }
    }
}

/// A time that was given as a span before now, as a time.
fn absolute(text: &str, now: Timestamp) -> String {
    let unit = text.char_indices().next_back();
    let span = unit.and_then(|(at, unit)| {
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let many: u32 = text.get(..at)?.parse().ok()?;
        Some(std::time::Duration::from_secs(u64::from(many) * seconds))
    });
    span.map_or_else(|| text.to_owned(), |span| now.minus(span).to_string())
}

#[cfg(test)]
mod tests {
    use sprongus_core::run::state::State;

    use super::*;

    #[test]
    fn what_was_left_empty_was_not_asked_for() {
        let now = "2026-11-26T10:00:00Z".parse().unwrap();
        let uri = "/runs?q=&state=failed&kind=&since=2h&before=&cursor=".parse().unwrap();
        let wanted = RunsQuery::read(&uri, now).unwrap();
        assert_eq!(
            (wanted.filter.states.as_slice(), wanted.filter.kinds.len()),
            ([State::Failed].as_slice(), 0)
        );
        assert_eq!(wanted.filter.since, Some("2026-11-26T08:00:00Z".parse().unwrap()));
        let path = wanted.path("/runs", Some("c"));
        assert_eq!(path, "/runs?state=failed&since=2026-11-26T08%3A00%3A00.000Z&cursor=c");
        assert!(RunsQuery::read(&"/runs?state=done".parse().unwrap(), now).is_err());
    }
}
