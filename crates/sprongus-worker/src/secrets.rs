//! Secrets of a run: which it may have, what they are, and the masking of what they stood for.
//!
//! [`names`] says what an input may refer to, [`references`] resolves references, in the worker and nowhere else; [`Masks`] keeps
//! the values out of everything that is kept.
//!
//! Left to others: what a reference looks like and what masking does ([`sprongus_core::secrets`],
//! [`sprongus_core::redact`]).

pub(crate) mod names;
mod references;

use std::borrow::Cow;

use serde_json::Value;
use sprongus_core::json;
use sprongus_core::redact::{LineEnds, Redactor, redact_shapes};

use crate::process::StepOutput;

pub(crate) use references::{Resolved, may_refer, resolve, resolve_one, warn_if_short};

/// More than the part of a secret that the end of a cut output may hold.
const CUT_END: usize = 4 * 1024;

/// What masks a run's secrets in everything it prints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    redactor: Redactor,
    any: bool,
}

impl Masks {
    /// Masks for these values.
    #[cfg(test)]
    pub(crate) fn of(values: impl IntoIterator<Item = String>) -> Self {
        Self { redactor: Redactor::new(values), any: true }
    }

    /// Whether there is a value to mask.
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    /// Masks one more value from now on.
    pub(crate) fn add(&mut self, secret: &str) {
        self.redactor.add(secret);
        self.any = true;
    }

    /// [`Masks::text`] of the next line of a stream, whose lines before it ended in `ends`: a clean one is not copied.
    pub(crate) fn line(&self, text: String, ends: &mut LineEnds) -> String {
        match self.redactor.redact_line(&text, ends) {
            Cow::Borrowed(_) => text,
            Cow::Owned(masked) => masked,
        }
    }

    /// Whether a name, which cannot be masked, holds a secret.
    pub(crate) fn are_in(&self, name: &str) -> bool {
        self.redactor.holds_value(name) || matches!(redact_shapes(name), Cow::Owned(_))
    }

    /// Text that is for people: secrets by value, what looks like one, and e-mail addresses are masked.
    pub(crate) fn text(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }

    /// A step's output as it is kept. One that was cut may end within a secret, which is not seen for one then, so its end
    /// goes after masking.
    pub(crate) fn output(&self, output: &StepOutput) -> String {
        let mut text = self.text(&output.text);
        if output.cut {
            text.truncate(text.floor_char_boundary(text.len().saturating_sub(CUT_END)));
            text.push_str("\n[output cut]");
        }
        text
    }

    /// Data that is for programs: only text that holds a secret by value is masked, for an address may be what was
    /// asked for.
    pub(crate) fn data(&self, text: &str) -> Option<String> {
        (self.any && self.redactor.holds_value(text)).then(|| self.redactor.redact(text).into_owned())
    }

    /// The same, with text that holds no secret as it is.
    pub(crate) fn known(&self, text: &str) -> String {
        self.data(text).unwrap_or_else(|| text.to_owned())
    }

    /// A result that is still text: a secret may be spelt otherwise in JSON than it is.
    pub(crate) fn result(&self, text: &str) -> String {
        match json::parse_value(text.as_bytes()) {
            Ok(mut value) if self.any => {
                self.json(&mut value);
                value.to_string()
            }
            Ok(_) | Err(_) => self.known(text),
        }
    }

    /// A result, with the strings and keys that hold a secret masked.
    pub(crate) fn json(&self, value: &mut Value) {
        if !self.any {
            return;
        }
        match value {
            Value::String(text) => {
                if let Some(masked) = self.data(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(members) => {
                let entries = std::mem::take(members).into_iter().map(|(key, mut member)| {
                    self.json(&mut member);
                    (self.data(&key).unwrap_or(key), member)
                });
                *members = entries.collect();
            }
            Value::Number(number) => {
                if let Some(masked) = self.data(&number.to_string()) {
                    *value = Value::String(masked);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_keeps_its_addresses_and_loses_its_secrets() {
        let masks = Masks::of(["hunter2-hunter2".to_owned()]);
        let mut value = json!({"to": "a@example.org", "hunter2-hunter2": ["x hunter2-hunter2 y"]});
        masks.json(&mut value);
        assert_eq!(value, json!({"to": "a@example.org", "[secret]": ["x [secret] y"]}));
        assert_eq!(masks.result("{\"a\": \"hunter2\\u002dhunter2\"}"), "{\"a\":\"[secret]\"}");
        assert_eq!(masks.result("no JSON: hunter2-hunter2"), "no JSON: [secret]");
        assert_eq!(masks.text("a@example.org hunter2-hunter2"), "[email] [secret]");
        assert!(masks.are_in("report-hunter2%2dhunter2.txt") && !masks.are_in("report-hunter2.txt"));
    }

    #[test]
    fn a_secret_may_go_on_from_line_to_line() {
        let masks = Masks::of(["correct horse battery staple, and more of it".to_owned()]);
        let mut ends = LineEnds::default();
        let wrapped = ["Y29ycmVjdCBob3JzZSBiYXR0ZXJ5", "IHN0YXBsZSwgYW5kIG1vcmUgb2YgaXQK", "end"];
        let shown = wrapped.map(|line| masks.line(line.to_owned(), &mut ends));
        // The last letter is of the line feed behind the value alone.
        assert_eq!(shown, ["[secret]", "[secret]K", "end"]);
    }
}
