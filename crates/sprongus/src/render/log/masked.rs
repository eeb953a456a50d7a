//! The last thing that sees a line of the log: masks what looks like a secret or an e-mail address, whoever wrote it.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;
use sprongus_core::redact::redact;

/// Writes events to `W`, masked. An event comes in one piece, so nothing is cut in two between two calls.
pub struct Masked<W>(W);

impl<W: Write> Masked<W> {
    /// Masks what goes to `out`.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write> Write for Masked<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        self.0.write_all(masked(&text).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A mask that begins within one string of a JSON document could end within another, so there each string is masked by itself.
fn masked(event: &str) -> Cow<'_, str> {
    let whole = redact(event);
    if let Cow::Borrowed(_) = whole {
        return whole;
    }
    match serde_json::from_str::<Value>(event) {
        Ok(mut document) if document.is_object() => {
            mask(&mut document);
            Cow::Owned(format!("{document}\n"))
        }
        Ok(_) | Err(_) => whole,
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = redact(text) {
                *text = masked;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(members) => members.values_mut().for_each(mask),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event: &str) -> String {
        let mut out = Vec::new();
        Masked::new(&mut out).write_all(event.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_written_without_what_nobody_should_read() {
        let line = "INFO to jane@example.org by postgres://ada:hunter2@db run=1\n";
        assert_eq!(written(line), "INFO to [email] by postgres://ada:[secret]@db run=1\n");
        assert_eq!(written("INFO nothing of that\n"), "INFO nothing of that\n");
    }

    #[test]
    fn a_document_stays_one() {
        let line =
            "{\"a\":\"-----BEGIN PRIVATE KEY----- MII\",\"b\":{\"to\":[\"jane@example.org\"],\"n\":1}}\n";
        let document: Value = serde_json::from_str(&written(line)).unwrap();
        assert_eq!(document, serde_json::json!({"a": "[secret]", "b": {"to": ["[email]"], "n": 1}}));
    }
}
