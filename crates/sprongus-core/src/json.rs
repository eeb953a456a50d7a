//! JSON as a run keeps it: read strictly once, then carried as canonical text.
//!
//! [`parse`] refuses what different readers understand differently: duplicate keys, NUL characters, lone surrogates,
//! numbers that no 64-bit type holds, and nesting beyond [`MAX_DEPTH`]. What it lets through has one spelling, so
//! equal documents are equal text: [`Json`] compares and hashes as a string, and an idempotency fingerprint can be
//! taken of it.
//!
//! Canonical text has sorted keys and no whitespace, and a float with a whole value below 2^53 reads as the integer,
//! so `1` and `1.0` are equal and `-0.0` is `0`.
//!
//! Left to others: the size limit ([`MAX_INPUT_BYTES`], checked where bytes come in, before they are all read), and
//! whether the document holds [`secrets`](crate::secrets).

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

mod fault;
mod strict;
#[cfg(test)]
pub(crate) mod tests;

pub use fault::{JsonFault, JsonFaultKind};

/// The most bytes that a run's input may have. Callers check it, best before they read the rest.
pub const MAX_INPUT_BYTES: usize = 1 << 20;

/// The most arrays and objects that may stand inside one another.
pub const MAX_DEPTH: usize = 64;

/// A JSON document as canonical text, cheap to clone.
///
/// `Debug` shows only the size, because inputs and results must not reach the logs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(Arc<str>);

/// Reads a document strictly and keeps its canonical text.
///
/// # Errors
/// [`JsonFault`] says what is wrong, and where.
pub fn parse(text: &[u8]) -> Result<Json, JsonFault> {
    parse_value(text).map(Json::from_value)
}

/// Reads a document by the same rules as [`parse`], as a value to look into.
///
/// # Errors
/// [`JsonFault`] says what is wrong, and where.
pub fn parse_value(text: &[u8]) -> Result<Value, JsonFault> {
    strict::read(text)
}

impl Json {
    /// The canonical text of a value that this program made or that [`parse_value`] let through.
    ///
    /// Depth and NUL characters are not checked here.
    #[must_use]
    pub fn from_value(mut value: Value) -> Self {
        spell_numbers(&mut value);
        value.sort_all_objects();
        Self(value.to_string().into())
    }

    /// Takes a store's own text as it is. It must have come from a `Json` before: nothing is checked.
    #[must_use]
    pub fn from_canonical(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The document `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Arc::from("null"))
    }

    /// The document `{}`.
    #[must_use]
    pub fn empty_object() -> Self {
        Self("{}".into())
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document as a value to look into; `null` if text given to [`Json::from_canonical`] is no JSON at all.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }
}

/// The empty object, which is the input of a run that was given none.
impl Default for Json {
    fn default() -> Self {
        Self::empty_object()
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self::from_value(value)
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Self {
        Self::from_value(value.clone())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.0.len())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Reads by the rules of [`parse`]. Works with serde_json only, and not inside `#[serde(flatten)]` or an untagged
/// enum, where serde keeps no raw text. For a fault with its place in a whole request, parse the request first.
impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        parse(raw.get().as_bytes()).map_err(|fault| D::Error::custom(fault.detail()))
    }
}

/// One spelling for one number: a whole float below 2^53 is exactly an integer.
fn spell(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "must be a whole number below 2^53")]
        let whole = number as i64;
        return Some(whole.into());
    }
    Number::from_f64(number)
}

fn spell_numbers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            if let Some(spelt) = number.as_f64().and_then(spell) {
                *number = spelt;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(spell_numbers),
        Value::Object(members) => members.values_mut().for_each(spell_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
