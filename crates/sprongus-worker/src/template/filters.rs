//! The filters of argument templates: a short list of pure ones, each bounded in what it makes.

use std::sync::LazyLock;

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, tests};

use super::LARGEST_ELEMENT;

/// The one environment of all templates: strict about undefined names, with no loader, function or global.
pub(crate) fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(build);
    &ENVIRONMENT
}

fn build() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("trim", |text: String| text.trim().to_owned());
    environment.add_filter("length", length);
    environment.add_filter("first", |list: Value| end_of(&list, false));
    environment.add_filter("last", |list: Value| end_of(&list, true));
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("tojson", json);
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
    environment.add_test("string", tests::is_string);
    environment.add_test("number", tests::is_number);
    environment
}

/// The names that a load-time check can offer when a filter is unknown.
pub(crate) const FILTERS: &str = "default, upper, lower, trim, length, first, last, join, replace, tojson";

/// Unlike Jinja's, also steps in for `null`: an input says "absent" either way.
fn default(value: &Value, other: Option<Value>) -> Value {
    if value.is_undefined() || value.is_none() {
        other.unwrap_or_else(|| Value::from(""))
    } else {
        value.clone()
    }
}

fn length(value: &Value) -> Result<usize, Error> {
    value
        .len()
        .ok_or_else(|| Error::new(ErrorKind::MissingArgument, "length needs text, a list or an object"))
}

fn end_of(list: &Value, last: bool) -> Result<Value, Error> {
    if list.kind() != ValueKind::Seq {
        return Err(Error::new(ErrorKind::MissingArgument, "first and last need a list"));
    }
    let index = if last { list.len().and_then(|length| length.checked_sub(1)) } else { Some(0) };
    Ok(index.and_then(|index| list.get_item_by_index(index).ok()).unwrap_or(Value::UNDEFINED))
}

fn join(list: &Value, separator: Option<String>) -> Result<String, Error> {
    if list.kind() != ValueKind::Seq {
        return Err(Error::new(ErrorKind::MissingArgument, "join needs a list"));
    }
    let separator = separator.unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&as_text(&item)?);
        bounded(joined.len())?;
    }
    Ok(joined)
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let found = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from).count() };
    bounded(text.len().saturating_add(found.saturating_mul(to.len())).saturating_sub(found * from.len()))?;
    Ok(text.replace(from, to))
}

fn json(value: &Value) -> Result<String, Error> {
    let value = serde_json::to_string(value);
    value.map_err(|_| Error::new(ErrorKind::BadSerialization, "this value is not JSON"))
}

fn bounded(length: usize) -> Result<(), Error> {
    if length > LARGEST_ELEMENT {
        return Err(Error::new(ErrorKind::WriteFailure, "the result is longer than an argument may be"));
    }
    Ok(())
}

/// A value as an argument shows it: a text as it is, everything else as compact JSON.
pub(crate) fn as_text(value: &Value) -> Result<String, Error> {
    match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => json(value),
    }
}
