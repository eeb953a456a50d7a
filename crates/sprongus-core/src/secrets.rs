//! Secrets in a run's input: found so that the input can be refused, without ever repeating one.
//!
//! Input is stored and shown, so a secret must not be part of it; a [`SecretRef`] takes its place and is resolved in
//! the worker. [`find`] reports two things:
//!
//! - **A value that looks like a secret** by one of [`RULES`], in any string or object key.
//! - **A credential's name with a value**, under the rule [`CREDENTIAL_NAME`]: see [`is_credential_name`] for the
//!   names. The value counts if it is a number or a string that is neither blank nor a reference, directly or in an
//!   array; booleans, `null` and objects do not count (what is inside an object is looked at on its own). A pair of
//!   members such as `{"name": "API_KEY", "value": "…"}` counts as well.
//!
//! Both are also found in strings that hold JSON, in base64 and base64url of at least [`MIN_BASE64`] characters (on one line or
//! wrapped), up to [`MAX_DECODE_DEPTH`] decodings deep, and in adjacent strings of one array joined together.
//!
//! Not found, by design: secrets without a known shape under an innocent name, other encodings (hex, UTF-16,
//! compressed data), and text cut over several members of an object.
//!
//! Left to others: the answer to the caller, and masking in output ([`redact`](crate::redact)).

use serde_json::Value;

mod base64;
mod names;
mod prefilter;
mod rules;
mod scan;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use names::is_harmless_name;
pub use names::{CREDENTIAL_ENDINGS, CREDENTIAL_WORDS, HARMLESS_TOKEN_WORDS, is_credential_name};
pub use prefilter::may_hold_secret;
pub(crate) use rules::{RULE_REGEXES, holds_keyword, matching_rules};
pub use rules::{RULES, Rule};

/// The rule of a finding that rests on a name such as `password`.
pub const CREDENTIAL_NAME: &str = "credential_name";

/// How many times a string is decoded, as JSON or base64, in search of a secret.
pub const MAX_DECODE_DEPTH: usize = 2;

/// The shortest run of base64 characters that is decoded.
pub const MIN_BASE64: usize = 20;

/// The most findings that are reported for one input.
pub const MAX_FINDINGS: usize = 32;

/// A place in an input that holds a secret. It never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SecretFinding {
    /// RFC 6901 pointer to the string, or to the nearest part around it that can be named without repeating a secret
    /// or a very long key. It may hold any character that a key may: escape it before it is printed.
    pub pointer: String,
    /// [`Rule::name`], or [`CREDENTIAL_NAME`].
    pub rule: &'static str,
}

/// Every place in `value` that holds a secret, in the order of the document, at most [`MAX_FINDINGS`].
#[must_use]
pub fn find(value: &Value) -> Vec<SecretFinding> {
    scan::scan(value)
}

/// A reference to a secret, which only a worker resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretRef<'a> {
    /// `secret://env/NAME`: the worker's environment variable of that name.
    Env(&'a str),
    /// `secret://file/NAME`: the file of that name in the worker's folder of secrets.
    File(&'a str),
}

impl<'a> SecretRef<'a> {
    /// Reads a reference; `None` for anything else.
    ///
    /// An environment variable's name is a C identifier; a file's name is letters, digits, `.`, `_` and `-` without a
    /// leading dot or hyphen, so it cannot leave its folder. Both are at most 128 characters long.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (place, name) = text.strip_prefix("secret://")?.split_once('/')?;
        let first = *name.as_bytes().first()?;
        if name.len() > 128 {
            return None;
        }
        let identifier = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match place {
            "env" if !first.is_ascii_digit() && name.bytes().all(identifier) => Some(Self::Env(name)),
            "file"
                if identifier(first)
                    && name.bytes().all(|byte| identifier(byte) || b".-".contains(&byte)) =>
            {
                Some(Self::File(name))
            }
            _ => None,
        }
    }

    /// The name of the variable or file.
    #[must_use]
    pub const fn name(self) -> &'a str {
        match self {
            Self::Env(name) | Self::File(name) => name,
        }
    }
}

/// Whether `text` is a well-formed [`SecretRef`] and nothing else.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    SecretRef::parse(text).is_some()
}

/// Whether `text` holds `secret://`, in upper or lower case. Such a text is a reference, or was meant to be one: a worker
/// refuses it rather than passing it on as it is.
#[must_use]
pub fn mentions_reference(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let before = &text.as_bytes()[..at];
        before.len() >= 6 && before[before.len() - 6..].eq_ignore_ascii_case(b"secret")
    })
}
