//! The strict reader: serde_json's grammar, with the refusals that it does not make itself.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::{Entry, Map};
use serde_json::{Number, Value};

use super::{JsonFault, JsonFaultKind, MAX_DEPTH, spell};
use crate::redact::redact;
use crate::values::text::{MAX_EXCERPT_CHARS, excerpt};

pub(super) fn read(text: &[u8]) -> Result<Value, JsonFault> {
    let text = std::str::from_utf8(text).map_err(|error| {
        // Only the part before the fault can be counted in characters.
        let sound =
            text.get(..error.valid_up_to()).and_then(|part| std::str::from_utf8(part).ok()).unwrap_or("");
        JsonFault::new(JsonFaultKind::NotUtf8, "not UTF-8").at_offset(sound, sound.len())
    })?;
    if text.trim_ascii().is_empty() {
        return Err(JsonFault::new(JsonFaultKind::Empty, "empty text"));
    }
    if text.starts_with('\u{feff}') {
        let fault = JsonFault::new(JsonFaultKind::Syntax, "it starts with a byte order mark");
        return Err(fault.at_offset(text, 0));
    }
    let notes = Notes::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = (Strict { depth: 0, notes: &notes }).deserialize(&mut reader);
    let value =
        value.and_then(|value| reader.end().map(|()| value)).map_err(|error| notes.fault(text, &error))?;
    if notes.huge.get()
        && let Some(offset) = oversized_integer(text)
    {
        return Err(JsonFault::new(JsonFaultKind::Number, NUMBER).at_offset(text, offset));
    }
    Ok(value)
}

const NUMBER: &str = "number out of range, send it as a string";

/// What the visitors saw that serde's errors have no room for.
#[derive(Default)]
struct Notes {
    fault: Cell<Option<(JsonFaultKind, String)>>,
    /// The way to the fault, from the inside out: filled only once there is one.
    path: RefCell<Vec<String>>,
    /// A float so large that it may have been written as an integer.
    huge: Cell<bool>,
}

impl Notes {
    fn refuse<E: Error>(&self, kind: JsonFaultKind, detail: impl Into<String>) -> E {
        self.fault.set(Some((kind, detail.into())));
        E::custom("refused")
    }

    fn check<E: Error>(&self, text: &str) -> Result<(), E> {
        if text.contains('\0') {
            return Err(self.refuse(JsonFaultKind::Nul, "NUL character (\\u0000)"));
        }
        Ok(())
    }

    fn passing<E>(&self, segment: impl FnOnce() -> String) -> impl FnOnce(E) -> E {
        |error| {
            self.path.borrow_mut().push(segment());
            error
        }
    }

    fn fault(&self, text: &str, error: &serde_json::Error) -> JsonFault {
        let (kind, detail) = self.fault.take().unwrap_or_else(|| explain(error));
        let mut fault = JsonFault::new(kind, detail).at(text, error.line(), error.column());
        fault.pointer = self.pointer();
        fault
    }

    /// A pointer is exact or absent: one that would have to be escaped, masked or cut points nowhere.
    fn pointer(&self) -> Option<String> {
        let path = self.path.borrow();
        let pointer: String =
            path.iter().rev().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1"))).collect();
        let safe = !pointer.is_empty() && excerpt(&pointer, MAX_EXCERPT_CHARS) == redact(&pointer);
        safe.then_some(pointer)
    }
}

/// serde_json tells its own faults apart only in words, which a test holds on to.
fn explain(error: &serde_json::Error) -> (JsonFaultKind, String) {
    let text = error.to_string();
    let words = text.split(" at line ").next().unwrap_or("");
    match words {
        "number out of range" => (JsonFaultKind::Number, NUMBER.to_owned()),
        "trailing characters" => (JsonFaultKind::Trailing, "trailing text after the document".to_owned()),
        "lone leading surrogate in hex escape" | "unexpected end of hex escape" => {
            (JsonFaultKind::Surrogate, "lone surrogate".to_owned())
        }
        _ => (
            JsonFaultKind::Syntax,
            excerpt(&words.replace("EOF while", "the text ends while"), MAX_EXCERPT_CHARS),
        ),
    }
}

/// The place of an integer literal that no 64-bit integer holds, in text that is known to be JSON.
fn oversized_integer(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        match bytes[at] {
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let in_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                at += bytes[at..].iter().take_while(|byte| in_number(byte)).count();
                let literal = &text[start..at];
                let whole = !literal.contains(['.', 'e', 'E']);
                if whole && literal.parse::<i64>().is_err() && literal.parse::<u64>().is_err() {
                    return Some(start);
                }
            }
            _ => at += 1,
        }
    }
    None
}

#[derive(Clone, Copy)]
struct Strict<'n> {
    depth: usize,
    notes: &'n Notes,
}

impl Strict<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            let detail = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(self.notes.refuse(JsonFaultKind::TooDeep, detail));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        const BEYOND_I64: f64 = 9_223_372_036_854_775_808.0;
        if value.abs() >= BEYOND_I64 {
            self.notes.huge.set(true);
        }
        let number: Option<Number> = spell(value);
        number.map(Value::Number).ok_or_else(|| self.notes.refuse(JsonFaultKind::Number, NUMBER))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.notes.check(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Vec::new();
        while let Some(item) =
            items.next_element_seed(inner).map_err(self.notes.passing(|| out.len().to_string()))?
        {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut out = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            self.notes.check(&key)?;
            match out.entry(key) {
                Entry::Occupied(entry) => {
                    let shown = excerpt(&redact(entry.key()), MAX_EXCERPT_CHARS);
                    let fault =
                        self.notes.refuse(JsonFaultKind::DuplicateKey, format!("duplicate key \"{shown}\""));
                    return Err(self.notes.passing(|| entry.key().clone())(fault));
                }
                Entry::Vacant(entry) => {
                    let value =
                        members.next_value_seed(inner).map_err(self.notes.passing(|| entry.key().clone()))?;
                    entry.insert(value);
                }
            }
        }
        Ok(Value::Object(out))
    }
}
