//! Masking of secrets and e-mail addresses in text that is about to be stored, logged or shown.
//!
//! A worker makes one [`Redactor`] for a run, with the values of the references it resolved, and passes every line,
//! error and output through it. [`redact`] does without values: it masks what has the shape of a secret, by the same
//! [`RULES`](crate::secrets::RULES) by which input is refused, what is assigned to a credential's name (`password=…`,
//! `"apiKey": "…"`), and e-mail addresses.
//!
//! Left to others: to hand over whole lines (a secret cut in two by a buffer's end is not seen), to redact before
//! cutting, and to escape what is printed ([`text`](crate::text)).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::secrets::{CREDENTIAL_ENDINGS, CREDENTIAL_WORDS, RULE_REGEXES, matching_rules};

mod forms;
#[cfg(test)]
mod tests;

use forms::Needle;

/// What a secret is replaced with.
pub const SECRET_MASK: &str = "[secret]";

/// What an e-mail address is replaced with.
pub const EMAIL_MASK: &str = "[email]";

/// The shortest value, in characters, that a [`Redactor`] masks.
pub const MIN_VALUE_CHARS: usize = 4;

/// The shortest single line of a value, in characters, that is masked on its own.
pub const MIN_LINE_CHARS: usize = 6;

static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"[\w.%+-]+@(?:[\w-]+\.)+\p{L}{2,}").ok());

/// `password=…` and `"password": "…"`, with the quotes escaped or not. A mere colon is not enough: it would mask the
/// word after `unexpected token:`.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let names: Vec<_> = CREDENTIAL_ENDINGS.iter().chain(CREDENTIAL_WORDS).map(|name| spaced(name)).collect();
    let quote = r#"\\{0,3}["']"#;
    Regex::new(&format!(
        r#"(?i)(?:{names})(?:{quote}[ ]?:[ ]?{quote}((?:[^"'\\]|\\[^"'])+)|(?:{quote})?=(?:{quote})?([^\s"'&;,\\]{{4,}}))"#,
        names = names.join("|"),
    ))
    .ok()
});

/// `apikey` may be written `api_key` or `api-key` too.
fn spaced(ending: &str) -> String {
    for word in ["key", "token", "secret"] {
        if let Some(head) = ending.strip_suffix(word).filter(|head| !head.is_empty()) {
            return format!("{head}[_-]?{word}");
        }
    }
    ending.to_owned()
}

/// Masks secrets that it knows by value, and whatever looks like a secret or an e-mail address.
///
/// A value is masked as it is, in base64 and base64url (within longer base64 too), URL-encoded and escaped for JSON;
/// each line of a longer value that has at least [`MIN_LINE_CHARS`] characters is masked on its own. Values shorter
/// than [`MIN_VALUE_CHARS`] are not masked: they would mask half of every log, and are no secrets.
#[derive(Clone, Default)]
pub struct Redactor {
    needles: Vec<Needle>,
}

impl Redactor {
    /// A redactor for the values of a run's resolved secrets.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        Self { needles: values.into_iter().filter_map(|value| Needle::new(&value)).collect() }
    }

    /// Masks one more value from now on.
    pub fn add(&mut self, value: &str) {
        self.needles.extend(Needle::new(value));
    }

    /// `text` with every secret replaced by `[secret]` and every e-mail address by `[email]`. Clean text is not
    /// copied.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut secrets = Vec::new();
        for needle in &self.needles {
            needle.find(text, &mut secrets);
        }
        find_shapes(text, &mut secrets);
        find_assigned(text, &mut secrets);
        let emails = find_emails(text);
        if secrets.is_empty() && emails.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(mask(text, secrets, emails))
    }
}

/// Shows how many values there are, never the values.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} values)", self.needles.len())
    }
}

/// [`Redactor::redact`] without any known values.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    Redactor::default().redact(text)
}

fn find_shapes(text: &str, found: &mut Vec<Range<usize>>) {
    for index in matching_rules(text) {
        let Some(regex) = RULE_REGEXES.get(index) else { continue };
        found.extend(
            regex.captures_iter(text).filter_map(|captures| captures.get(1)).map(|group| group.range()),
        );
    }
}

fn find_assigned(text: &str, found: &mut Vec<Range<usize>>) {
    // Two searches for one letter cost less than one for either, and every line of every log comes by here.
    if !text.contains('=') && !text.contains(':') {
        return;
    }
    let Some(regex) = ASSIGNED.as_ref() else { return };
    let values = regex.captures_iter(text).filter_map(|captures| captures.get(1).or_else(|| captures.get(2)));
    // A reference is no secret, and the reader of a log wants to know which it was.
    found.extend(
        values.filter(|value| !crate::secrets::is_reference(value.as_str())).map(|value| value.range()),
    );
}

fn find_emails(text: &str) -> Vec<Range<usize>> {
    let regex = EMAIL.as_ref().filter(|_| text.contains('@'));
    regex.map_or_else(Vec::new, |regex| regex.find_iter(text).map(|found| found.range()).collect())
}

/// Secrets that touch or overlap become one mask; an address that touches a secret becomes part of it.
fn mask(text: &str, secrets: Vec<Range<usize>>, emails: Vec<Range<usize>>) -> String {
    let mut all: Vec<_> = secrets.into_iter().map(|range| (range, SECRET_MASK)).collect();
    all.extend(emails.into_iter().map(|range| (range, EMAIL_MASK)));
    all.sort_by_key(|(range, _)| (range.start, range.end));
    let mut merged: Vec<(Range<usize>, &str)> = Vec::with_capacity(all.len());
    for (range, mask) in all {
        match merged.last_mut() {
            Some((last, kind)) if range.start < last.end || range.start == last.end && *kind == mask => {
                last.end = last.end.max(range.end);
                if mask == SECRET_MASK {
                    *kind = mask;
                }
            }
            _ => merged.push((range, mask)),
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (range, mask) in merged {
        out.push_str(&text[from..range.start]);
        out.push_str(mask);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}
