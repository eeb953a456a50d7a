//! What can go wrong, told once: the closed list of codes, and for each its HTTP status, exit code, hint and whether a
//! repeat can help. A message is a lower-case fragment with the offending value last; it never holds a secret, SQL or a
//! stack. The cause, for the log alone, is kept apart.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::redact::redact;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The closed list of things that go wrong. `contract.md` fixes the names; each is one row of `docs/errors.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The token is missing, expired or revoked.
    Unauthenticated,
    /// The token does not allow this.
    Forbidden,
    /// It does not exist, or another workspace owns it.
    NotFound,
    /// The path exists, but does not support this method.
    MethodNotAllowed,
    /// The request names a host that this server does not answer to.
    Misdirected,
    /// The run's state does not allow the verb.
    IllegalTransition,
    /// The caller no longer holds the run.
    LeaseLost,
    /// Something else was already recorded under the same name.
    Conflict,
    /// The body or the input is over its limit.
    PayloadTooLarge,
    /// The body has an unsupported content type.
    UnsupportedMediaType,
    /// The JSON is invalid or ambiguous.
    Malformed,
    /// A value is not allowed.
    Validation,
    /// The idempotency key was already used for a different request.
    IdempotencyKeyReused,
    /// The input holds a secret instead of a reference to one.
    SecretInInput,
    /// Too many requests.
    RateLimited,
    /// The caller's timeout ran out; the run continues.
    TimedOut,
    /// The store or the server cannot be reached, or is full or locked.
    Unavailable,
    /// The database schema does not match this version of the program.
    SchemaMismatch,
    /// A bug in Sprongus.
    Internal,
}

/// What each code means to a caller; see [`ErrorCode::facts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The code's name on the wire.
    pub name: &'static str,
    /// A title for people.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The exit code of the command line.
    pub exit: u8,
    /// Whether the same call may succeed later.
    pub retryable: bool,
    /// What to do about it, when the error itself says nothing more precise.
    pub hint: &'static str,
}

impl ErrorCode {
    /// Every code, in the order of the contract.
    pub const ALL: [Self; 19] = [
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Misdirected,
        Self::IllegalTransition,
        Self::LeaseLost,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::Malformed,
        Self::Validation,
        Self::IdempotencyKeyReused,
        Self::SecretInInput,
        Self::RateLimited,
        Self::TimedOut,
        Self::Unavailable,
        Self::SchemaMismatch,
        Self::Internal,
    ];

    /// Name, title, status, exit code, hint and retryability, all in one place.
    #[rustfmt::skip]
    pub const fn facts(self) -> ErrorFacts {
        const fn facts(name: &'static str, title: &'static str, status: u16, exit: u8, retryable: bool, hint: &'static str) -> ErrorFacts {
            ErrorFacts { name, title, status, exit, retryable, hint }
        }
        match self {
            Self::Unauthenticated => facts("unauthenticated", "Not authenticated", 401, 6, false, "send a valid token; store one with `sprongus login`"),
            Self::Forbidden => facts("forbidden", "Not allowed", 403, 6, false, "use a token with the required scope"),
            Self::NotFound => facts("not_found", "Not found", 404, 3, false, "check the id; list runs with `sprongus runs list`"),
            Self::MethodNotAllowed => facts("method_not_allowed", "Method not allowed", 405, 2, false, "use a method listed in the `Allow` header"),
            Self::Misdirected => facts("misdirected", "Misdirected request", 421, 2, false, "use localhost, or start the server with `--public-url` set to the URL that clients use"),
            Self::IllegalTransition => facts("illegal_transition", "Illegal transition", 409, 4, false, "check the run's state with `sprongus runs status`"),
            Self::LeaseLost => facts("lease_lost", "Lease lost", 409, 5, false, "stop working on it: another worker may have the run, or it has ended"),
            Self::Conflict => facts("conflict", "Conflict", 409, 4, false, "read what is there, then decide again"),
            Self::PayloadTooLarge => facts("payload_too_large", "Payload too large", 413, 2, false, "keep large data elsewhere and pass a reference to it"),
            Self::UnsupportedMediaType => facts("unsupported_media_type", "Unsupported media type", 415, 2, false, "send `Content-Type: application/json`"),
            Self::Malformed => facts("malformed", "Malformed request", 400, 2, false, "send one JSON value with unique keys, no NUL, at most 64 levels deep"),
            Self::Validation => facts("validation", "Invalid value", 422, 2, false, "correct the values named"),
            Self::IdempotencyKeyReused => facts("idempotency_key_reused", "Idempotency key reused", 422, 4, false, "use another key for another request"),
            Self::SecretInInput => facts("secret_in_input", "Secret in input", 422, 2, false, "pass a reference such as `secret://env/NAME`; the worker resolves it"),
            Self::RateLimited => facts("rate_limited", "Rate limited", 429, 8, true, "retry after the time in `Retry-After`"),
            Self::TimedOut => facts("timed_out", "Timed out", 504, 7, true, "the run continues; follow it with `sprongus runs tail`"),
            Self::Unavailable => facts("unavailable", "Unavailable", 503, 8, true, "try again in a moment; find the cause with `sprongus doctor`"),
            Self::SchemaMismatch => facts("schema_mismatch", "Schema mismatch", 503, 9, false, "run `sprongus migrate`, or use the newer `sprongus` that wrote the database"),
            Self::Internal => facts("internal", "Internal error", 500, 1, false, "report this with the request id or the output of `-v`"),
        }
    }

    /// The code's name on the wire.
    pub const fn as_str(self) -> &'static str {
        self.facts().name
    }

    /// The exit code of the command line.
    pub const fn exit_code(self) -> u8 {
        self.facts().exit
    }

    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        self.facts().status
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One bad value of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Where it stands in the request: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// What went wrong, for the caller; and why, for the log.
pub struct Error(Box<Body>);

struct Body {
    code: ErrorCode,
    message: String,
    hint: Option<Cow<'static, str>>,
    fields: Vec<FieldError>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `code`; `message` is a lower-case fragment without a full stop.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Box::new(Body { code, message: message.into(), hint: None, fields: Vec::new(), source: None }))
    }

    /// A value outside what is allowed.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Validation, message)
    }

    /// Several values outside what is allowed, each named.
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let message = fields.iter().map(|field| field.message.as_str()).collect::<Vec<_>>().join("; ");
        let mut error = Self::validation(message);
        error.0.fields = fields;
        error
    }

    /// Something that does not exist, or belongs to another workspace: the two are answered alike.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(ErrorCode::NotFound, format!("no such {what}"))
    }

    /// A fault of ours; `message` says what was being done, the cause goes into [`Error::with_source`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }

    /// Replaces the code's own hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names the offending values.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }

    /// Keeps the cause, for the log alone.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same as it may leave the process: message, hint and fields with secrets and e-mail addresses masked, and without its cause.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mask = |text: &str| redact(text).into_owned();
        let fields = self.0.fields.iter();
        let fields =
            fields.map(|field| FieldError { pointer: mask(&field.pointer), message: mask(&field.message) });
        Self(Box::new(Body {
            code: self.0.code,
            message: mask(&self.0.message),
            // A constant is ours, and may show what a URL with a password looks like.
            hint: self.0.hint.as_ref().map(|hint| match hint {
                Cow::Borrowed(ours) => Cow::Borrowed(*ours),
                Cow::Owned(made) => Cow::Owned(mask(made)),
            }),
            fields: fields.collect(),
            source: None,
        }))
    }

    /// The same for one more caller of what failed for several at once: whatever each is told and may log, its cause as text.
    #[must_use]
    pub fn for_another(&self) -> Self {
        let source = self.0.source.as_ref().map(|source| source.to_string().into());
        Self(Box::new(Body {
            code: self.0.code,
            message: self.0.message.clone(),
            hint: self.0.hint.clone(),
            fields: self.0.fields.clone(),
            source,
        }))
    }

    /// Which of the closed list this is.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// What went wrong, for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it.
    pub fn hint(&self) -> &str {
        self.0.hint.as_deref().unwrap_or(self.0.code.facts().hint)
    }

    /// The offending values, if the error names any.
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.0.code.facts().retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.0.code, self.0.message)?;
        for field in &self.0.fields {
            write!(out, " [{}: {}]", field.pointer, field.message)?;
        }
        match &self.0.source {
            Some(source) => write!(out, " (caused by: {source})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// Two errors are the same when a caller could not tell them apart.
impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        self.code() == other.code()
            && self.message() == other.message()
            && self.hint() == other.hint()
            && self.fields() == other.fields()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_error_holds_no_secret_and_no_cause() {
        let url = "postgres://ada:hunter2@db";
        let field = FieldError { pointer: format!("/{url}"), message: url.to_owned() };
        let error = Error::validation(format!("not a kind: {url}")).with_hint(format!("not {url}"));
        let error = error.with_fields(vec![field]).with_source(url);
        let masked = error.masked();
        let text = format!("{masked:?} {masked} {} {:?}", masked.hint(), masked.fields());
        assert!(
            !text.contains("hunter2") && text.contains("not a kind: postgres://ada:[secret]@db"),
            "{text}"
        );
        assert_eq!(masked.code(), error.code());
        let ours = Error::validation("x").with_hint("such as postgres://user:password@host");
        assert_eq!(ours.masked().hint(), ours.hint());
    }

    #[test]
    fn what_another_caller_is_told_is_the_whole_error() {
        let field = FieldError { pointer: "/a".to_owned(), message: "b".to_owned() };
        let error = Error::new(ErrorCode::Unavailable, "busy").with_hint("wait").with_fields(vec![field]);
        let error = error.with_source("57P01 terminating connection");
        let copy = error.for_another();
        assert_eq!((format!("{copy:?}"), copy.hint()), (format!("{error:?}"), error.hint()));
    }

    #[test]
    fn every_code_is_told_completely_and_under_its_own_name() {
        let mut names = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            let facts = code.facts();
            assert!(names.insert(facts.name), "{} stands twice", facts.name);
            assert_eq!(serde_json::to_value(code).unwrap(), facts.name);
            assert!(!facts.hint.is_empty() && !facts.title.is_empty());
            assert!((400..600).contains(&facts.status));
        }
    }
}
