//! Resolves the secret references of an input, in the worker and nowhere else, and masks what they stood for.
//!
//! A reference is a whole string of the input: `secret://env/NAME` is the worker's environment variable,
//! `secret://file/NAME` the file of that name in the worker's folder of secrets
//! ([`WorkerOptions::secrets`](crate::WorkerOptions::secrets), by default `.sprongus/secrets` beside `sprongus.toml`).
//! A name has no slash and no leading dot, and a file that is a link out of the folder is refused: an input, which
//! anyone with `runs:write` may give, must not read other files of the worker's machine. One newline at the end of a
//! file is no part of the secret.
//!
//! Left to others: what a reference looks like and what masking does ([`sprongus_core::secrets`],
//! [`sprongus_core::redact`]).

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sprongus_core::json::{self, Json};
use sprongus_core::redact::{LineEnds, Redactor, redact_shapes};
use sprongus_core::secrets::SecretRef;

use crate::process::StepOutput;

/// A larger file is no secret.
const LARGEST: u64 = 64 * 1024;

/// More than the part of a secret that the end of a cut output may hold.
const CUT_END: usize = 4 * 1024;

/// An input with its references resolved, for the eyes of the run's code alone: it has no `Debug`.
pub(crate) struct Resolved {
    pub(crate) input: Value,
    pub(crate) masks: Masks,
}

/// What masks a run's secrets in everything it prints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    redactor: Redactor,
    any: bool,
}

/// Whether an input may hold a reference at all.
pub(crate) fn may_refer(input: &Json) -> bool {
    input.as_str().contains("secret://")
}

/// Resolves one reference; a text that is none is refused without being shown.
///
/// # Errors
/// A sentence that names the reference, never a value.
pub(crate) fn resolve_one(text: &str, folder: Option<&Path>) -> Result<String, String> {
    let Some(reference) = SecretRef::parse(text) else {
        return Err("what stands for the secret is no reference such as secret://env/NAME".to_owned());
    };
    read(reference, folder).map_err(|why| format!("secret reference {text}: {why}"))
}

/// Resolves every reference in `input`.
///
/// # Errors
/// A sentence that names the reference, never a value.
pub(crate) fn resolve(input: &Json, folder: Option<&Path>) -> Result<Resolved, String> {
    let mut value = input.to_value();
    let mut values = Vec::new();
    if may_refer(input) {
        replace(&mut value, folder, &mut values)?;
    }
    let any = !values.is_empty();
    Ok(Resolved { input: value, masks: Masks { redactor: Redactor::new(values), any } })
}

fn replace(value: &mut Value, folder: Option<&Path>, values: &mut Vec<String>) -> Result<(), String> {
    match value {
        Value::String(text) => {
            if let Some(reference) = SecretRef::parse(text) {
                let secret =
                    read(reference, folder).map_err(|why| format!("secret reference {text}: {why}"))?;
                values.push(secret.clone());
                *text = secret;
            }
            Ok(())
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, folder, values)),
        Value::Object(members) => members.values_mut().try_for_each(|member| replace(member, folder, values)),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn read(reference: SecretRef<'_>, folder: Option<&Path>) -> Result<String, String> {
    let secret = match reference {
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(secret) => secret,
            Err(std::env::VarError::NotPresent) => return Err("the worker has no such variable".to_owned()),
            Err(std::env::VarError::NotUnicode(_)) => return Err("the variable is not UTF-8 text".to_owned()),
        },
        SecretRef::File(name) => {
            let Some(folder) = folder else { return Err("this worker has no folder of secrets".to_owned()) };
            read_file(folder, name)?
        }
    };
    if secret.is_empty() { Err("it is empty".to_owned()) } else { Ok(secret) }
}

fn read_file(folder: &Path, name: &str) -> Result<String, String> {
    let missing = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return "there is no such file in the worker's folder of secrets".to_owned();
        }
        format!("the file cannot be read: {}", error.kind())
    };
    let folder = folder.canonicalize().map_err(missing)?;
    let path = folder.join(name).canonicalize().map_err(missing)?;
    if !path.starts_with(&folder) {
        return Err("the file is a link that leads out of the folder of secrets".to_owned());
    }
    let metadata = fs::metadata(&path).map_err(missing)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err("it is no regular file of at most 64 KiB".to_owned());
    }
    let text = fs::read(&path).map_err(missing)?;
    let mut text = String::from_utf8(text).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    let kept = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).map_or(text.len(), str::len);
    text.truncate(kept);
    Ok(text)
}

impl Masks {
    /// Masks for these values.
    #[cfg(test)]
    pub(crate) fn of(values: impl IntoIterator<Item = String>) -> Self {
        Self { redactor: Redactor::new(values), any: true }
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
    fn a_file_is_read_from_its_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("secrets");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("good"), "kept-in-a-file\n").unwrap();
        fs::write(folder.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", inside.join("link")).unwrap();
        let ask = |name: &str| {
            resolve(&Json::from_value(json!([{"a": format!("secret://file/{name}")}])), Some(&inside))
        };
        assert_eq!(ask("good").ok().unwrap().input, json!([{"a": "kept-in-a-file"}]));
        assert!(ask("link").err().unwrap().contains("leads out"));
        assert_eq!(
            ask("missing").err().unwrap(),
            "secret reference secret://file/missing: there is no such file in the worker's folder of secrets"
        );
        // Not a reference at all, so it stays what it is.
        assert_eq!(ask("../outside").ok().unwrap().input, json!([{"a": "secret://file/../outside"}]));
    }

    #[test]
    fn a_result_keeps_its_addresses_and_loses_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("k"), "hunter2-hunter2").unwrap();
        let masks =
            resolve(&Json::from_value(json!("secret://file/k")), Some(folder.path())).ok().unwrap().masks;
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
        assert_eq!(shown, ["[secret]", "[secret]", "end"]);
    }
}
