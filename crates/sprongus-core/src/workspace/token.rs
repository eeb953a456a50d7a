//! API tokens: who may ask a server for what.
//!
//! A token is a prefix, 256 random bits in hexadecimal and a checksum of both, so that a mistyped or cut one is known without
//! asking a database, and a leaked one is found by scanners. It is shown once; a store keeps its SHA-256 alone. A slow hash would
//! protect nothing that 256 random bits do not.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorCode, FieldError, Result};
use crate::values::ids::TokenId;
use crate::values::names::{ProjectId, WorkspaceId};
use crate::values::text::excerpt;
use crate::values::time::Timestamp;

/// How every token begins.
pub const PREFIX: &str = "spr_";

/// The longest name of a token, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// The longest life of a token that has an end: ten years.
pub const MAX_EXPIRY: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

const RANDOM_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Looking at runs and what belongs to them.
    #[serde(rename = "runs:read")]
    Read,
    /// Enqueueing, canceling, retrying.
    #[serde(rename = "runs:write")]
    Write,
    /// Answering gates.
    #[serde(rename = "runs:approve")]
    Approve,
    /// Claiming and reporting.
    #[serde(rename = "runs:work")]
    Work,
    /// Changing what a workspace does on its own, such as schedules.
    #[serde(rename = "settings:write")]
    Settings,
    /// Tokens, retention, kinds and workers; with a token of the workspace `default` also workspaces.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Approve, Self::Work, Self::Settings, Self::Admin];

    /// Its name on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "runs:read",
            Self::Write => "runs:write",
            Self::Approve => "runs:approve",
            Self::Work => "runs:work",
            Self::Settings => "settings:write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::validation(format!("not a scope: {}", excerpt(text, 64)))
                .with_hint(format!("use one of: {names}"))
        })
    }
}

/// A token as its owner sees it afterwards: everything but the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// What it is revoked by.
    pub id: TokenId,
    /// The workspace it is good for.
    pub workspace_id: WorkspaceId,
    /// Who uses it; the actor of the events that it causes.
    pub name: String,
    /// What it allows, each once, in the order of [`Scope::ALL`].
    pub scopes: Vec<Scope>,
    /// The projects it is narrowed to; none means all.
    pub projects: Option<Vec<ProjectId>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// When somebody revoked it.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, give or take a minute.
    pub last_used_at: Option<Timestamp>,
}

impl Token {
    /// Whether it is good at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it allows `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// What is asked when a token is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Who will use it: 1 to 128 bytes of printable text.
    pub name: String,
    /// What it allows; at least one.
    pub scopes: Vec<Scope>,
    /// The projects it is narrowed to; they must exist.
    pub projects: Option<Vec<ProjectId>>,
    /// How long it lasts, up to ten years; for good when absent.
    pub expires_in: Option<Duration>,
}

impl NewToken {
    /// Checks the request and puts its scopes in order.
    ///
    /// # Errors
    /// `validation` with every bad field named.
    pub fn checked(mut self) -> Result<Self> {
        let mut faults = Vec::new();
        let mut fault = |pointer: &str, message: String| {
            faults.push(FieldError { pointer: pointer.to_owned(), message });
        };
        let is_printable = !self.name.trim().is_empty() && !self.name.chars().any(char::is_control);
        if !is_printable || self.name.len() > MAX_NAME_BYTES {
            fault("/name", format!("a name is 1 to {MAX_NAME_BYTES} bytes of printable text"));
        }
        if self.scopes.is_empty() {
            fault("/scopes", "specify at least one scope".to_owned());
        }
        if self.projects.as_ref().is_some_and(Vec::is_empty) {
            fault("/projects", "specify at least one project, or omit it for all projects".to_owned());
        }
        if self.projects.is_some() && self.scopes.contains(&Scope::Admin) {
            fault("/projects", "a token with the scope admin cannot be restricted to projects".to_owned());
        }
        if self.expires_in.is_some_and(|life| life.is_zero() || life > MAX_EXPIRY) {
            fault("/expiresInMs", "a token lasts from a millisecond to ten years".to_owned());
        }
        if !faults.is_empty() {
            return Err(Error::invalid_fields(faults));
        }
        self.scopes.sort_unstable();
        self.scopes.dedup();
        Ok(self)
    }
}

/// A token itself. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// A token nobody has had.
    ///
    /// # Errors
    /// `internal` when the system gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0_u8; RANDOM_DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal("cannot get random bytes from the system").with_source(error.to_string())
        })?;
        let random = hex(&bytes);
        Ok(Self(format!("{PREFIX}{random}{:08x}", checksum(&random))))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// `unauthenticated` when it is none, mistyped or cut; it is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| {
            digits.len() == RANDOM_DIGITS + CHECKSUM_DIGITS
                && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        });
        let is_whole = digits.is_some_and(|digits| {
            let (random, sum) = digits.split_at(RANDOM_DIGITS);
            u32::from_str_radix(sum, 16) == Ok(checksum(random))
        });
        if is_whole { Ok(Self(text.to_owned())) } else { Err(refused()) }
    }

    /// What a store knows it by: its SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The token, to be shown once or sent.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenSecret(…)")
    }
}

/// A new token with what it allows; the only time that the token itself is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeToken {
    /// What is known of it.
    pub token: Token,
    /// What callers send; shown once, when it is made.
    pub secret: TokenSecret,
}

impl Serialize for MadeToken {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(flatten)]
            token: &'a Token,
            #[serde(rename = "token")]
            secret: &'a str,
        }
        Shown { token: &self.token, secret: self.secret.expose() }.serialize(out)
    }
}

/// The one refusal of all tokens that are not good, whatever is wrong with them: the difference would help an attacker alone.
pub fn refused() -> Error {
    Error::new(ErrorCode::Unauthenticated, "the token is missing, expired or revoked")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checksum(random: &str) -> u32 {
    crc_32(PREFIX.bytes().chain(random.bytes()))
}

/// CRC-32 as in IEEE 802.3.
fn crc_32(bytes: impl Iterator<Item = u8>) -> u32 {
    !bytes.fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & 0_u32.wrapping_sub(sum & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_and_never_shown() {
        let secret = TokenSecret::generate().unwrap();
        assert_eq!(TokenSecret::parse(secret.expose()).unwrap(), secret);
        assert_ne!(secret, TokenSecret::generate().unwrap());
        assert_eq!(secret.hash().len(), 64);
        assert!(!format!("{secret:?}").contains(&secret.expose()[4..]));
    }

    #[test]
    fn a_mistyped_token_is_known_without_a_database() {
        let secret = TokenSecret::generate().unwrap();
        let text = secret.expose();
        let flipped = |place: usize| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            String::from_utf8(bytes).unwrap()
        };
        for bad in
            ["", "spr_", &text[1..], &text[..text.len() - 1], &text.to_uppercase(), &flipped(4), &flipped(70)]
        {
            let error = TokenSecret::parse(bad).unwrap_err();
            assert_eq!(error, refused(), "{bad}");
        }
    }

    #[test]
    fn the_checksum_is_the_one_everybody_knows() {
        // The check value of CRC-32/ISO-HDLC is that of "123456789".
        assert_eq!(crc_32("123456789".bytes()), 0xCBF4_3926);
        assert_eq!(checksum("12"), crc_32("spr_12".bytes()));
    }

    #[test]
    fn every_bad_field_of_a_new_token_is_named() {
        let bad = NewToken {
            name: "a\n".into(),
            scopes: vec![],
            projects: Some(vec![]),
            expires_in: Some(Duration::ZERO),
        };
        let error = bad.checked().unwrap_err();
        let pointers: Vec<_> = error.fields().iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/scopes", "/projects", "/expiresInMs"]);
        let scopes = vec![Scope::Work, Scope::Read, Scope::Work];
        let good =
            NewToken { name: "ci".into(), scopes, projects: None, expires_in: None }.checked().unwrap();
        assert_eq!(good.scopes, [Scope::Read, Scope::Work]);
    }
}
