//! The search itself: one visitor that walks a parsed value and the JSON text found inside strings alike.
//!
//! JSON within a string is walked while it is read, not parsed first, so that a duplicate key hides nothing and what
//! comes before a syntax error counts.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::rules::first_match;
use super::{CREDENTIAL_NAME, MAX_DECODE_DEPTH, MAX_FINDINGS, SecretFinding};
use super::{base64, is_credential_name, is_reference};

/// A longer pointer is of no use to a reader, and many of them would take up much memory.
const MAX_POINTER: usize = 1024;

/// Below this length a secret may stand in a pointer by chance.
const MIN_HIDDEN: usize = 4;

/// No rule matches less (`://:x@`), nor is there JSON with a credential in less. Most keys are about this short.
const MIN_SEARCHED: usize = 6;

pub(super) fn scan(value: &Value) -> Vec<SecretFinding> {
    let state = RefCell::new(State::default());
    // Nothing in a parsed value can end the walk early.
    let _ = Walk::start(&state, 0).deserialize(value).is_ok();
    state.into_inner().findings
}

#[derive(Default)]
struct State {
    findings: Vec<SecretFinding>,
    pointer: String,
    /// How many levels above the current one keep the pointer as it is.
    hidden: usize,
}

impl State {
    fn report(&mut self, rule: &'static str, secret: Option<&str>) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        let mut shown = self.pointer.as_str();
        if let Some(secret) = secret.filter(|secret| secret.len() >= MIN_HIDDEN) {
            let (parent, _) = shown.rsplit_once('/').unwrap_or(("", ""));
            if let Some(at) = parent.find(&escape(secret)) {
                shown = parent[..at].rsplit_once('/').map_or("", |(above, _)| above);
            }
        }
        self.findings.push(SecretFinding { pointer: shown.to_owned(), rule });
    }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

struct Walk<'w> {
    state: &'w RefCell<State>,
    /// How many times the text that is being walked has been decoded.
    decoded: usize,
    /// Whether the value stands under a credential's name.
    credential: bool,
    /// Whether the value is itself a name, of a pair such as `{"name": …, "value": …}`.
    is_name: bool,
    /// Where the strings of the array around the value are joined.
    joined: Option<&'w RefCell<String>>,
}

/// What the value turned out to be, for the object or array around it.
#[derive(Default)]
struct Seen {
    is_text: bool,
    is_given: bool,
    is_credential_name: bool,
}

impl<'w> Walk<'w> {
    fn start(state: &'w RefCell<State>, decoded: usize) -> Self {
        Self { state, decoded, credential: false, is_name: false, joined: None }
    }

    fn text(&self, text: &str) -> Seen {
        if let Some(joined) = self.joined {
            joined.borrow_mut().push_str(text);
        }
        let is_given = !text.trim().is_empty() && !is_reference(text);
        if self.credential && is_given {
            self.state.borrow_mut().report(CREDENTIAL_NAME, Some(text));
        } else {
            self.search(text);
        }
        Seen { is_text: true, is_given, is_credential_name: self.is_name && is_credential_name(text) }
    }

    fn number(&self) -> Seen {
        if self.credential {
            self.state.borrow_mut().report(CREDENTIAL_NAME, None);
        }
        Seen { is_given: true, ..Seen::default() }
    }

    /// Reports what `text` holds, at most one finding save for JSON. Returns whether there was one.
    fn search(&self, text: &str) -> bool {
        let before = self.state.borrow().findings.len();
        if before >= MAX_FINDINGS {
            return true;
        }
        if text.len() < MIN_SEARCHED {
            return false;
        }
        if let Some(rule) = first_match(text) {
            self.state.borrow_mut().report(rule, None);
            return true;
        }
        if self.decoded == MAX_DECODE_DEPTH {
            return false;
        }
        let inner = || Walk::start(self.state, self.decoded + 1);
        if text.trim_ascii_start().starts_with(['{', '[', '"']) {
            self.state.borrow_mut().hidden += 1;
            let _ = inner().deserialize(&mut serde_json::Deserializer::from_str(text)).is_ok();
            self.state.borrow_mut().hidden -= 1;
        }
        let found = || self.state.borrow().findings.len() > before;
        let mut bytes = Vec::new();
        found()
            || base64::any_run(text, |run| {
                (0..4).any(|skip| {
                    base64::decode(run, skip, &mut bytes);
                    inner().search(&String::from_utf8_lossy(&bytes))
                })
            })
    }

    /// Walks on with the pointer one segment longer, unless the segment must not be shown.
    fn within<T>(&self, segment: Option<&str>, walk: impl FnOnce() -> T) -> T {
        let mut state = self.state.borrow_mut();
        let length = state.pointer.len();
        let shown = segment
            .filter(|segment| state.hidden == 0 && length + segment.len() < MAX_POINTER)
            .map(|segment| state.pointer.extend(["/", &escape(segment)]))
            .is_some();
        state.hidden += usize::from(!shown);
        drop(state);
        let result = walk();
        let mut state = self.state.borrow_mut();
        state.hidden -= usize::from(!shown);
        state.pointer.truncate(length);
        result
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Seen;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Seen, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Seen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Seen, E> {
        Ok(Seen::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Seen, E> {
        Ok(self.number())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Seen, E> {
        Ok(self.number())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Seen, E> {
        Ok(self.number())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Seen, E> {
        Ok(self.text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Seen, A::Error> {
        let joined = RefCell::new(String::new());
        let findings = || self.state.borrow().findings.len();
        let (mut strings, mut before) = (0, findings());
        for index in 0.. {
            let walk = Walk {
                credential: self.credential,
                joined: Some(&joined),
                ..Walk::start(self.state, self.decoded)
            };
            let item = self.within(Some(&index.to_string()), || items.next_element_seed(walk));
            if matches!(&item, Ok(Some(item)) if item.is_text) {
                strings += 1;
                continue;
            }
            // Parts of a secret that has been found in one string already are not another one.
            if strings > 1 && findings() == before {
                self.search(&joined.borrow());
            }
            if item?.is_none() {
                break;
            }
            joined.borrow_mut().clear();
            (strings, before) = (0, findings());
        }
        Ok(Seen::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Seen, A::Error> {
        let (mut named, mut given) = (false, false);
        let walk = || Walk::start(self.state, self.decoded);
        while let Some(key) = members.next_key::<String>()? {
            let is_secret = self.search(&key);
            let inner = Walk {
                credential: is_credential_name(&key),
                is_name: matches!(key.as_str(), "name" | "Name" | "NAME" | "key" | "Key" | "header"),
                ..walk()
            };
            let segment = (!is_secret).then_some(key.as_str());
            let seen = self.within(segment, || members.next_value_seed(inner))?;
            named |= seen.is_credential_name;
            given |= seen.is_given && key.eq_ignore_ascii_case("value");
        }
        if named && given {
            self.within(Some("value"), || self.state.borrow_mut().report(CREDENTIAL_NAME, None));
        }
        Ok(Seen::default())
    }
}
