//! Resolves secret references: those of an input, as far as its kind lists them, and those that the author of
//! `sprongus.toml` hands out.
//!
//! A reference is a whole string: `secret://env/NAME` is the worker's environment variable, `secret://file/NAME` the file
//! of that name in the worker's folder of secrets ([`WorkerOptions::secrets`](crate::WorkerOptions::secrets), by default
//! `.sprongus/secrets` beside `sprongus.toml`). A name has no slash and no leading dot, and a file that is a link out of
//! the folder is refused. One newline at the end of a file is no part of the secret. A text that merely holds `secret://`
//! is a mistake, and fails the run instead of reaching a command.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::Value;
use sprongus_core::json::Json;
use sprongus_core::redact::Redactor;
use sprongus_core::secrets::{SecretRef, mentions_reference};
use sprongus_core::values::text::excerpt;

use super::Masks;
use super::names::{SecretNames, is_own_credential, name_of, refuse_own};

/// A larger file is no secret.
const LARGEST: u64 = 64 * 1024;

/// How much of a text that is no reference an error repeats, in characters.
const SHOWN: usize = 64;

/// Shorter values of letters or digits alone are found by chance in what is no secret.
const SHORT: usize = 8;

/// An input with its references resolved, for the eyes of the run's code alone: it has no `Debug`.
pub(crate) struct Resolved {
    pub(crate) input: Value,
    pub(crate) masks: Masks,
}

/// Whether an input may hold a reference at all.
pub(crate) fn may_refer(input: &Json) -> bool {
    mentions_reference(input.as_str())
}

/// Resolves a reference of the author's, who may hand out anything but the worker's own credentials. A text that is no reference
/// is refused without being shown.
///
/// # Errors
/// A sentence that names the reference, never a value.
pub(crate) fn resolve_one(text: &str, folder: Option<&Path>) -> Result<String, String> {
    let Some(reference) = SecretRef::parse(text) else {
        return Err("the value is not a secret reference such as secret://env/NAME".to_owned());
    };
    let secret = refuse_own(reference).and_then(|()| read(reference, folder));
    secret.map_err(|why| format!("secret reference {text}: {why}"))
}

/// Resolves every reference in the input of a run of `kind`, all of which `allowed` has to list.
///
/// # Errors
/// A sentence that names the reference, never a value.
pub(crate) fn resolve(
    input: &Json,
    kind: &str,
    allowed: &SecretNames,
    folder: Option<&Path>,
) -> Result<Resolved, String> {
    let mut value = input.to_value();
    let mut values = Vec::new();
    if may_refer(input) {
        Resolving { kind, allowed, folder, values: &mut values }.replace(&mut value)?;
    }
    let any = !values.is_empty();
    Ok(Resolved { input: value, masks: Masks { redactor: Redactor::new(values), any } })
}

struct Resolving<'a> {
    kind: &'a str,
    allowed: &'a SecretNames,
    folder: Option<&'a Path>,
    values: &'a mut Vec<String>,
}

impl Resolving<'_> {
    fn replace(&mut self, value: &mut Value) -> Result<(), String> {
        match value {
            Value::String(text) => {
                if let Some(reference) = SecretRef::parse(text) {
                    let secret = self.allowed(reference).and_then(|()| read(reference, self.folder));
                    let secret = secret.map_err(|why| format!("secret reference {text}: {why}"))?;
                    warn_if_short(text, &secret);
                    self.values.push(secret.clone());
                    *text = secret;
                    return Ok(());
                }
                refuse_mention(
                    text,
                    "a reference must be the whole value: secret://env/NAME or secret://file/NAME",
                )
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.replace(item)),
            Value::Object(members) => {
                for key in members.keys() {
                    refuse_mention(key, "an object key cannot be a reference")?;
                }
                members.values_mut().try_for_each(|member| self.replace(member))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        }
    }

    fn allowed(&self, reference: SecretRef<'_>) -> Result<(), String> {
        refuse_own(reference)?;
        if self.allowed.allow(reference) {
            return Ok(());
        }
        let (kind, name) = (self.kind, name_of(reference));
        Err(format!(
            "not allowed in an input of {kind}; to allow it, list it in the kind: secrets = [{name:?}]"
        ))
    }
}

fn refuse_mention(text: &str, why: &str) -> Result<(), String> {
    if mentions_reference(text) {
        return Err(format!("not a secret reference: {}: {why}", excerpt(text, SHOWN)));
    }
    Ok(())
}

/// Says in the worker's log that a value is masked where it stands by chance too, or not at all.
pub(crate) fn warn_if_short(reference: &str, secret: &str) {
    let alike = |of: fn(&u8) -> bool| secret.as_bytes().iter().all(of);
    if secret.len() < SHORT
        && (alike(u8::is_ascii_digit) || alike(u8::is_ascii_alphabetic) || secret.len() < 4)
    {
        tracing::warn!(reference, "a secret is too short to be masked well in output: use a longer one");
    }
}

fn read(reference: SecretRef<'_>, folder: Option<&Path>) -> Result<String, String> {
    let secret = match reference {
        SecretRef::Env(name) => match std::env::var(name) {
            Ok(secret) => secret,
            Err(std::env::VarError::NotPresent) => {
                return Err("the variable is not set in the worker".to_owned());
            }
            Err(std::env::VarError::NotUnicode(_)) => return Err("the variable is not UTF-8 text".to_owned()),
        },
        SecretRef::File(name) => {
            let Some(folder) = folder else { return Err("this worker has no secrets folder".to_owned()) };
            read_file(folder, name)?
        }
    };
    if secret.is_empty() { Err("it is empty".to_owned()) } else { Ok(secret) }
}

fn read_file(folder: &Path, name: &str) -> Result<String, String> {
    let missing = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            return "no such file in the worker's secrets folder".to_owned();
        }
        format!("cannot read the file: {}", error.kind())
    };
    let folder = folder.canonicalize().map_err(missing)?;
    let path = folder.join(name).canonicalize().map_err(missing)?;
    if !path.starts_with(&folder) {
        return Err("the file is a link that leads out of the secrets folder".to_owned());
    }
    let metadata = fs::metadata(&path).map_err(missing)?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err("not a regular file of at most 64 KiB".to_owned());
    }
    if is_own_file(&metadata) {
        return Err(
            "the file contains a credential of the worker itself, which commands never get".to_owned()
        );
    }
    let text = fs::read(&path).map_err(missing)?;
    let mut text = String::from_utf8(text).map_err(|_| "the file is not UTF-8 text".to_owned())?;
    let kept = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).map_or(text.len(), str::len);
    text.truncate(kept);
    Ok(text)
}

/// Whether a variable such as `SPRONGUS_TOKEN_FILE` or `PGPASSFILE` names this very file.
fn is_own_file(file: &fs::Metadata) -> bool {
    let own = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_own_credential));
    let mut files = own.filter_map(|(_, path)| fs::metadata(path).ok());
    files.any(|own| (own.dev(), own.ino()) == (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(names: &[&str]) -> SecretNames {
        let mut listed = SecretNames::default();
        names.iter().for_each(|name| listed.add(name).unwrap());
        listed
    }

    fn refusal(input: Value, allowed: &SecretNames) -> String {
        resolve(&Json::from_value(input), "k", allowed, None).err().unwrap()
    }

    #[test]
    fn a_file_is_read_from_its_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("secrets");
        fs::create_dir(&inside).unwrap();
        fs::write(inside.join("good"), "kept-in-a-file\n").unwrap();
        fs::write(folder.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", inside.join("link")).unwrap();
        let allowed = listed(&["file/good", "file/link", "file/missing"]);
        let ask = |name: &str| {
            let input = Json::from_value(json!([{"a": format!("secret://file/{name}")}]));
            resolve(&input, "k", &allowed, Some(&inside))
        };
        assert_eq!(ask("good").ok().unwrap().input, json!([{"a": "kept-in-a-file"}]));
        assert!(ask("link").err().unwrap().contains("leads out"));
        assert_eq!(
            ask("missing").err().unwrap(),
            "secret reference secret://file/missing: no such file in the worker's secrets folder"
        );
    }

    #[test]
    fn an_input_reaches_what_its_kind_lists_and_nothing_else() {
        let reference = |name: &str| json!({"deep": [{"a": format!("secret://{name}")}]});
        // PATH is there, wherever a test runs.
        let path = std::env::var("PATH").unwrap();
        let resolved =
            resolve(&reference("env/PATH").into(), "k", &listed(&["env/PATH"]), None).ok().unwrap();
        assert_eq!(resolved.input, json!({"deep": [{"a": path}]}));
        assert_eq!(
            refusal(reference("env/PATH"), &listed(&["env/HOME", "file/PATH"])),
            "secret reference secret://env/PATH: not allowed in an input of k; to allow it, list it in the kind: \
             secrets = [\"env/PATH\"]"
        );
        for own in
            ["SPRONGUS_TOKEN", "SPRONGUS_DATABASE_URL", "DATABASE_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY"]
        {
            let seen = refusal(reference(&format!("env/{own}")), &SecretNames::default());
            assert!(seen.contains(own) && seen.contains("never passed to commands"), "{seen}");
            let seen = resolve_one(&format!("secret://env/{own}"), None).unwrap_err();
            assert!(seen.contains("never passed to commands"), "the author is refused too: {seen}");
        }
    }

    #[test]
    fn what_was_meant_to_be_a_reference_is_never_passed_on_as_text() {
        for text in [
            "secret://file/../../etc/passwd",
            "secret://nope/x",
            "secret://env/",
            "secret://",
            "SECRET://env/PATH",
            " secret://env/PATH",
            "secret://env/PATH\n",
            "Bearer secret://env/PATH",
            "postgres://u:secret://env/PATH@h/d",
        ] {
            for input in [json!(text), json!({"a": [{"b": text}]}), json!({"a": {text: 1}})] {
                let seen = refusal(input, &listed(&["env/PATH"]));
                assert!(seen.starts_with("not a secret reference: "), "{text}: {seen}");
            }
        }
        let seen = refusal(json!({"secret://env/PATH": 1}), &listed(&["env/PATH"]));
        assert!(seen.contains("an object key"), "{seen}");
        let harmless = json!({"a": "https://h/secret", "b": "secret:/x", "c": "secret//"});
        let resolved = resolve(&harmless.clone().into(), "k", &SecretNames::default(), None).ok().unwrap();
        assert_eq!(resolved.input, harmless);
    }
}
