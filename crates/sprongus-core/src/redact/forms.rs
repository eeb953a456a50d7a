//! The forms in which one secret value shows up in output.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use regex::{Regex, RegexBuilder};

use super::{MIN_LINE_CHARS, MIN_VALUE_CHARS};

/// Room for a private key in all its forms.
const REGEX_LIMIT: usize = 64 << 20;

/// Below this length the inside of a value's base64 is too short to be told from other text.
const MIN_ALIGNED: usize = 6;

/// One value, ready to be searched for in all its forms.
#[derive(Clone)]
pub(super) enum Needle {
    Regex(Regex),
    /// A value too long for an expression is still masked, only more slowly.
    Forms(Vec<String>),
}

impl Needle {
    pub(super) fn new(value: &str) -> Option<Self> {
        // A secret file ends in a line feed that its use does not.
        let forms = forms(value.trim());
        if forms.is_empty() {
            return None;
        }
        let pattern: Vec<_> = forms.iter().map(|form| regex::escape(form)).collect();
        let regex = RegexBuilder::new(&pattern.join("|")).size_limit(REGEX_LIMIT).build();
        Some(regex.map_or_else(|_| Self::Forms(forms), Self::Regex))
    }

    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        match self {
            Self::Regex(regex) => found.extend(regex.find_iter(text).map(|found| found.range())),
            Self::Forms(forms) => {
                for form in forms {
                    found.extend(text.match_indices(form).map(|(at, _)| at..at + form.len()));
                }
            }
        }
    }
}

/// Longest first, so that an expression prefers the whole value to its first line.
fn forms(value: &str) -> Vec<String> {
    let mut forms = BTreeSet::new();
    if value.chars().count() >= MIN_VALUE_CHARS {
        add_encoded(value, &mut forms);
    }
    if value.contains('\n') {
        let lines = value.lines().map(str::trim).filter(|line| line.chars().count() >= MIN_LINE_CHARS);
        forms.extend(lines.map(str::to_owned));
    }
    let mut forms: Vec<_> = forms.into_iter().collect();
    forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    forms
}

fn add_encoded(value: &str, forms: &mut BTreeSet<String>) {
    let mut add = |form: String| {
        forms.insert(form);
    };
    add(value.to_owned());
    for encoded in [STANDARD.encode(value), STANDARD.encode(format!("{value}\n"))] {
        let url = encoded.replace('+', "-").replace('/', "_");
        add(url.trim_end_matches('=').to_owned());
        add(url);
        add(encoded.trim_end_matches('=').to_owned());
        add(encoded);
    }
    if value.len() >= MIN_ALIGNED {
        for lead in 0..3 {
            let inside = inside_base64(value, lead);
            add(inside.replace('+', "-").replace('/', "_"));
            add(inside);
        }
    }
    for (upper, space) in [(true, "%20"), (false, "%20"), (true, "+"), (false, "+")] {
        add(percent(value, upper, space));
    }
    let json = serde_json::Value::from(value).to_string();
    add(json[1..json.len() - 1].to_owned());
}

/// The letters of base64 that a value alone decides when `lead` other bytes come before it, as in `user:password`.
fn inside_base64(value: &str, lead: usize) -> String {
    let bytes = [&[0; 2][..lead], value.as_bytes()].concat();
    let first = (lead * 8).div_ceil(6);
    let last = bytes.len() * 8 / 6;
    STANDARD_NO_PAD.encode(bytes)[first..last].to_owned()
}

fn percent(value: &str, upper: bool, space: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for byte in value.bytes() {
        // Writing to a string cannot fail.
        let _ = match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.write_char(char::from(byte))
            }
            b' ' => out.write_str(space),
            _ if upper => write!(out, "%{byte:02X}"),
            _ => write!(out, "%{byte:02x}"),
        };
    }
    out
}
