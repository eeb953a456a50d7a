//! Which bytes of an artifact a request wants, and whether the client has them already: `Range`, `If-Range` and `If-None-Match` of
//! RFC 9110.
//!
//! What is not understood is ignored, as the RFC has it: several ranges at once, another unit, a range that runs backwards. The response
//! is then the whole, with status 200.

use axum::http::{HeaderMap, HeaderName, header};
use sprongus_core::run::artifact::ByteRange;

/// The one range that is wanted; none means the whole.
pub fn requested(headers: &HeaderMap) -> Option<ByteRange> {
    let (unit, set) = single(headers, header::RANGE)?.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    match (first.trim_end(), last.trim_start()) {
        ("", last) => number(last).map(ByteRange::Last),
        (first, "") => number(first).map(|first| ByteRange::From(first, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(ByteRange::From(first, Some(last)))
        }
    }
}

/// Whether `If-None-Match` lists `etag`: the client has it already.
pub fn if_none_match(headers: &HeaderMap, etag: &str) -> bool {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    // Our own tags hold no comma, so one that does is cut into pieces of which none is ours.
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether `If-Range` lets a range of `etag` be sent. A date never does, for the server gives none.
pub fn if_range(headers: &HeaderMap, etag: &str) -> bool {
    !headers.contains_key(header::IF_RANGE) || single(headers, header::IF_RANGE) == Some(etag)
}

/// The value of a header that is given once.
fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        (Some(_) | None, Some(_) | None) => None,
    }
}

/// A number of bytes; one that is too large for any file is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn one_range_of_bytes_is_understood_and_all_else_is_the_whole() {
        for (value, wanted) in [
            ("bytes=0-0", ByteRange::From(0, Some(0))),
            ("Bytes = 2-", ByteRange::From(2, None)),
            ("bytes=-5", ByteRange::Last(5)),
            ("bytes=-0", ByteRange::Last(0)),
            ("bytes=7-99999999999999999999999", ByteRange::From(7, Some(u64::MAX))),
        ] {
            assert_eq!(requested(&with(header::RANGE, &[value])), Some(wanted), "{value}");
        }
        let others = [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-4",
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=a-",
            "bytes=0x1-2",
            "bytes=+1-2",
            "bytes=--1",
        ];
        for value in others {
            assert_eq!(requested(&with(header::RANGE, &[value])), None, "{value}");
        }
        assert_eq!(requested(&with(header::RANGE, &["bytes=0-1", "bytes=3-4"])), None);
        assert_eq!(requested(&HeaderMap::new()), None);
    }

    #[test]
    fn tags_are_compared_as_the_rfc_says() {
        let etag = "\"abc\"";
        for known in ["\"abc\"", "W/\"abc\"", "*", "\"x\", \"abc\""] {
            assert!(if_none_match(&with(header::IF_NONE_MATCH, &[known]), etag), "{known}");
        }
        assert!(if_none_match(&with(header::IF_NONE_MATCH, &["\"x\"", "\"abc\""]), etag));
        for other in ["", "\"ab\"", "abc", "\"x,abc\""] {
            assert!(!if_none_match(&with(header::IF_NONE_MATCH, &[other]), etag), "{other}");
        }
        assert!(if_range(&HeaderMap::new(), etag));
        assert!(if_range(&with(header::IF_RANGE, &["\"abc\""]), etag));
        for other in ["W/\"abc\"", "\"x\"", "Thu, 26 Nov 2026 03:31:22 GMT"] {
            assert!(!if_range(&with(header::IF_RANGE, &[other]), etag), "{other}");
        }
    }
}
