//! Masking of secrets and e-mail addresses in text that is about to be stored, logged or shown.
//!
//! A worker makes one [`Redactor`] for a run, with the values of the references it resolved, and passes every line,
//! error and output through it. [`redact`] does without values: it masks what has the shape of a secret, by the same
//! [`RULES`](crate::secrets::RULES) by which input is refused, what is assigned to a credential's name (`password=…`,
//! `"apiKey": "…"`), and e-mail addresses.
//!
//! Left to others: to hand over whole lines (a secret cut in two by a buffer's end is not seen), to redact before
//! cutting, and to escape what is printed ([`text`](crate::values::text)).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

mod shapes;
mod spelling;
#[cfg(test)]
mod tests;
mod trie;
mod valid_json;
mod values;

use shapes::{find_assigned, find_emails, find_shapes};
use trie::Hits;
use values::{Ends, Values};

/// What a secret is replaced with.
pub const SECRET_MASK: &str = "[secret]";

/// What an e-mail address is replaced with.
pub const EMAIL_MASK: &str = "[email]";

/// The shortest value, in characters, that a [`Redactor`] masks.
pub const MIN_VALUE_CHARS: usize = 4;

/// The shortest single line of a value, in characters, that is masked wherever it stands. A shorter one, of two
/// characters at least, is masked where it is a whole line, or follows the line before it.
pub const MIN_LINE_CHARS: usize = 4;

/// Masks secrets that it knows by value, and whatever looks like a secret or an e-mail address.
///
/// A value is masked however its characters are spelt: each may stand as itself, as `%XX`, `\\u00fc`, `\\/` or another
/// escape of JSON, C, Python, SQL or a shell, or as an HTML entity, with a terminal's colours in between. So is its base64, of
/// both alphabets, within longer base64 and wrapped over lines, and its hexadecimal digits. What is a secret alone is masked
/// alone: each line of a value from [`MIN_LINE_CHARS`] characters on, the password of an address, the fields of a JSON
/// document. Values shorter than [`MIN_VALUE_CHARS`] are not masked: they would mask half of every log, and are no secrets. A
/// number of less than eight digits is not masked within other digits.
///
/// Where a text is JSON, what is masked is JSON.
#[derive(Clone, Default)]
pub struct Redactor {
    values: Values,
}

/// What the lines of one stream ended in, for [`Redactor::redact_line`].
#[derive(Clone, Debug, Default)]
pub struct LineEnds(Ends);

impl Redactor {
    /// A redactor for the values of a run's resolved secrets.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut redactor = Self::default();
        values.into_iter().for_each(|value| redactor.add(&value));
        redactor
    }

    /// Masks one more value from now on.
    pub fn add(&mut self, value: &str) {
        self.values.add(value);
    }

    /// `text` with every secret replaced by `[secret]` and every e-mail address by `[email]`. Clean text is not
    /// copied.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut hits = Hits::default();
        self.values.find(text, &mut hits);
        masked(text, hits.whole)
    }

    /// [`Redactor::redact`] for the next line of a stream, where a value may go on from one line to the next. The end of a line that
    /// may be the beginning of one is masked.
    #[must_use]
    pub fn redact_line<'a>(&self, text: &'a str, ends: &mut LineEnds) -> Cow<'a, str> {
        let mut hits = Hits::default();
        self.values.find_in_line(text, &mut ends.0, &mut hits);
        masked(text, hits.whole)
    }

    /// Whether `text` holds one of the values, however it is spelt.
    #[must_use]
    pub fn holds_value(&self, text: &str) -> bool {
        let mut hits = Hits::default();
        self.values.find(text, &mut hits);
        !hits.whole.is_empty()
    }
}

/// Shows how many values there are, never the values.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} values)", self.values.count())
    }
}

/// [`Redactor::redact`] without any known values.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    masked(text, Vec::new())
}

/// Masks what has the shape of a secret in text that is for programs: an address, or a value under a credential's name, may be
/// what was asked for.
#[must_use]
pub fn redact_shapes(text: &str) -> Cow<'_, str> {
    let mut secrets = Vec::new();
    find_shapes(text, &mut secrets);
    if secrets.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(mask(text, secrets, Vec::new())) }
}

/// Masks the secrets that were found, and those that have a shape.
fn masked(text: &str, mut secrets: Vec<Range<usize>>) -> Cow<'_, str> {
    find_shapes(text, &mut secrets);
    find_assigned(text, &mut secrets);
    let emails = find_emails(text);
    if secrets.is_empty() && emails.is_empty() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(mask(text, secrets, emails))
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
    let quoted = valid_json::fit(text, &mut merged);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (range, mask) in merged {
        // One may have grown over the next.
        if range.start < from {
            from = from.max(range.end);
            continue;
        }
        out.push_str(&text[from..range.start]);
        if quoted.contains(&range.start) {
            out.extend(["\"", mask, "\""]);
        } else {
            out.push_str(mask);
        }
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}
