//! Masks within JSON, cut so that it stays JSON: no half of an escape is left, and a number becomes a string.

use std::ops::Range;

use serde::de::IgnoredAny;

/// What a byte of a JSON text is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    InString,
    /// Within an escape, behind its backslash.
    InEscape,
}

/// Widens the `masks` of `text`, if it is a JSON object or array; answers where those begin that must be quoted.
pub(super) fn fit(text: &str, masks: &mut [(Range<usize>, &'static str)]) -> Vec<usize> {
    let mut quoted = Vec::new();
    if !text.trim_start().starts_with(['{', '[']) || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return quoted;
    }
    let places = places(text.as_bytes());
    let place = |at: usize| places.get(at).copied().unwrap_or(Place::Outside);
    for (range, _) in masks {
        while place(range.start) == Place::InEscape {
            range.start -= 1;
        }
        while place(range.end) == Place::InEscape {
            range.end += 1;
        }
        let bytes = text.as_bytes();
        let in_number = |at: usize| {
            place(at) == Place::Outside
                && bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
        };
        if range.start < range.end && range.clone().all(in_number) {
            while range.start > 0 && in_number(range.start - 1) {
                range.start -= 1;
            }
            while in_number(range.end) {
                range.end += 1;
            }
            quoted.push(range.start);
        }
    }
    quoted
}

fn places(text: &[u8]) -> Vec<Place> {
    let mut places = vec![Place::Outside; text.len()];
    let (mut at, mut inside) = (0, false);
    while let Some(&byte) = text.get(at) {
        match (inside, byte) {
            (true, b'\\') => {
                let length = if text.get(at + 1) == Some(&b'u') { 6 } else { 2 };
                places[at] = Place::InString;
                let end = (at + length).min(text.len());
                places[at + 1..end].fill(Place::InEscape);
                at = end;
                continue;
            }
            // The quote that ends a string is outside, so that a mask may end before it.
            (true, b'"') => inside = false,
            (false, b'"') => inside = true,
            (true, _) => places[at] = Place::InString,
            (false, _) => {}
        }
        at += 1;
    }
    places
}
