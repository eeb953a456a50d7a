//! Typed access to the parsed TOML; every refusal knows its key and its place.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::DeclarationFault;
use super::source::Source;
use super::suggestion::nearest;
use sprongus_core::values::duration::parse_duration;

/// A value, with the path of keys that leads to it.
#[derive(Debug, Clone)]
pub(crate) struct Node<'a, 'i> {
    pub(crate) source: Source<'a>,
    pub(crate) key: String,
    value: &'a Spanned<DeValue<'i>>,
}

/// A table and its keys.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a, 'i> {
    source: Source<'a>,
    key: String,
    offset: usize,
    table: &'a DeTable<'i>,
}

impl<'a, 'i> Node<'a, 'i> {
    pub(crate) fn fault(&self, problem: impl Into<String>) -> DeclarationFault {
        self.source.fault(self.value.span().start, Some(&self.key), problem)
    }

    fn expected(&self, what: &str) -> DeclarationFault {
        self.fault(format!("expected {what}, found {}", describe(self.value.get_ref())))
    }

    pub(crate) fn text(&self, what: &str) -> Result<&'a str, DeclarationFault> {
        self.value.get_ref().as_str().ok_or_else(|| self.expected(what))
    }

    pub(crate) fn boolean(&self) -> Result<bool, DeclarationFault> {
        self.value.get_ref().as_bool().ok_or_else(|| self.expected("true or false"))
    }

    pub(crate) fn integer(&self, least: u32, most: u32) -> Result<u32, DeclarationFault> {
        let integer = self.value.get_ref().as_integer();
        integer
            .and_then(|integer| u32::from_str_radix(integer.as_str(), integer.radix()).ok())
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.expected(&format!("a whole number from {least} to {most}")))
    }

    pub(crate) fn number(&self, least: f64, most: f64) -> Result<f64, DeclarationFault> {
        let value = self.value.get_ref();
        let whole = value.as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        // Exact for every number inside the bounds; outside them only its size counts.
        let whole = whole.map(|integer| integer as f64);
        whole
            .or_else(|| value.as_float().and_then(|float| float.as_str().parse().ok()))
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.expected(&format!("a number from {least} to {most}")))
    }

    pub(crate) fn duration(&self) -> Result<Duration, DeclarationFault> {
        let text = self.text("a duration such as \"5m\"")?;
        parse_duration(text).map_err(|fault| self.fault(fault.to_string()))
    }

    /// A duration above zero, since a limit of nothing is a mistake and not a limit.
    pub(crate) fn span_of_time(&self, most: Duration) -> Result<Duration, DeclarationFault> {
        let duration = self.duration()?;
        if duration.is_zero() || duration > most {
            let most = sprongus_core::values::duration::format_duration(most);
            return Err(self.expected(&format!("a duration above zero and at most {most}")));
        }
        Ok(duration)
    }

    /// Any value, as JSON has it: a date is text.
    pub(crate) fn json(&self) -> Result<serde_json::Value, DeclarationFault> {
        use serde_json::Value;
        Ok(match self.value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_err(|_| self.fault("a number out of range"))?
                .into(),
            DeValue::Float(float) => float
                .as_str()
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| self.fault("a number that JSON does not have"))?,
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(_) => {
                self.items("a list")?.iter().map(Node::json).collect::<Result<Vec<_>, _>>()?.into()
            }
            DeValue::Table(_) => {
                let entries = self.fields("a table")?.entries().into_iter();
                let fields = entries.map(|(name, value)| Ok((name.to_owned(), value.json()?)));
                Value::Object(fields.collect::<Result<_, DeclarationFault>>()?)
            }
        })
    }

    pub(crate) fn items(&self, what: &str) -> Result<Vec<Node<'a, 'i>>, DeclarationFault> {
        let array = self.value.get_ref().as_array().ok_or_else(|| self.expected(what))?;
        let item =
            |(index, value)| Node { source: self.source, key: format!("{}[{index}]", self.key), value };
        Ok(array.iter().enumerate().map(item).collect())
    }

    pub(crate) fn fields(&self, what: &str) -> Result<Fields<'a, 'i>, DeclarationFault> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.expected(what))?;
        Ok(Fields { source: self.source, key: self.key.clone(), offset: self.value.span().start, table })
    }
}

impl<'a, 'i> Fields<'a, 'i> {
    pub(crate) fn root(source: Source<'a>, table: &'a DeTable<'i>) -> Self {
        Self { source, key: String::new(), offset: 0, table }
    }

    /// A fault of the table as a whole, such as a key that is missing.
    pub(crate) fn fault(&self, problem: impl Into<String>) -> DeclarationFault {
        self.source.fault(self.offset, Some(&self.key), problem)
    }

    /// A fault of one key's name, placed at the key and not at its value.
    pub(crate) fn key_fault(&self, name: &str, problem: impl Into<String>) -> DeclarationFault {
        let offset = self.table.get_key_value(name).map_or(self.offset, |(key, _)| key.span().start);
        self.source.fault(offset, Some(&join(&self.key, name)), problem)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Node<'a, 'i>> {
        let value = self.table.get(name)?;
        Some(Node { source: self.source, key: join(&self.key, name), value })
    }

    /// All keys in the order of the file, so that the first fault reported is the first one met by the
    /// reader.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Node<'a, 'i>)> {
        let mut entries: Vec<_> = self.table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let node = |value, name: &str| Node { source: self.source, key: join(&self.key, name), value };
        entries.into_iter().map(|(key, value)| (key.get_ref().as_ref(), node(value, key.get_ref()))).collect()
    }

    /// Refuses every key that is not in `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), DeclarationFault> {
        let unknown = self.entries().into_iter().map(|(name, _)| name).find(|name| !known.contains(name));
        let Some(name) = unknown else { return Ok(()) };
        let hint = match nearest(name, known.iter().copied()) {
            Some(near) => format!("unknown key, did you mean `{near}`?"),
            None => format!("unknown key, expected one of {}", known.join(", ")),
        };
        Err(self.key_fault(name, hint))
    }
}

/// `kinds` and `script.pull` make `kinds."script.pull"`.
fn join(path: &str, name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let shown = if bare { name.to_owned() } else { format!("{:?}", shorten(name, 140)) };
    if path.is_empty() { shown } else { format!("{path}.{shown}") }
}

fn shorten(text: &str, most: usize) -> String {
    let mut short: String = text.chars().take(most).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", shorten(text, 40)),
        DeValue::Integer(integer) => shorten(integer.as_str(), 40),
        DeValue::Float(float) => shorten(float.as_str(), 40),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => format!("the date or time {datetime}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
