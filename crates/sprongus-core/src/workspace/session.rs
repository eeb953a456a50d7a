//! Sessions of the dashboard: a browser is given 256 random bits that stand for a token there, and nowhere else. A store keeps their
//! SHA-256 alone, so neither a copy of the cookie nor one of the database holds anything that the API takes.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::values::time::Timestamp;
use crate::workspace::token::{Token, hex, refused};

/// The longest life of a session; it ends with its token, too.
pub const MAX_LIFE: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The most sessions of one token. One more, and the oldest ends.
pub const MAX_SESSIONS: u32 = 1_000;

const RANDOM_DIGITS: usize = 64;

/// A session as its store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The token it stands for, revoked or expired or not.
    pub token: Token,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

impl Session {
    /// Whether it is good at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.token.is_live(now) && now < self.expires_at
    }
}

/// What a browser holds. `Debug` does not show it. It is no token: nothing reads it as one.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionSecret(String);

impl SessionSecret {
    /// One that nobody has had.
    ///
    /// # Errors
    /// `internal` when the system gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0_u8; RANDOM_DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal("cannot get random bytes from the system").with_source(error.to_string())
        })?;
        Ok(Self(hex(&bytes)))
    }

    /// Reads one.
    ///
    /// # Errors
    /// `unauthenticated` when it is none; it is not repeated.
    pub fn parse(text: &str) -> Result<Self> {
        let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        let is_whole = text.len() == RANDOM_DIGITS && text.bytes().all(is_digit);
        if is_whole { Ok(Self(text.to_owned())) } else { Err(refused()) }
    }

    /// What a store knows it by: its SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The text, for the browser.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SessionSecret(…)")
    }
}

/// The sessions that a store keeps, so that any server of its database knows them.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Keeps a session by its hash. Those of the token's workspace that have expired are forgotten; beyond [`MAX_SESSIONS`] so are
    /// the token's oldest.
    ///
    /// # Errors
    /// `unauthenticated` when the token is gone, with its workspace.
    async fn open_session(&self, token: &Token, hash: &str, expires_at: Timestamp) -> Result<()>;

    /// The session of a hash, expired or not.
    async fn session(&self, hash: &str) -> Result<Option<Session>>;

    /// Forgets a session of a token; nothing happens when there is none.
    async fn close_session(&self, token: &Token, hash: &str) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::token::TokenSecret;

    #[test]
    fn a_session_is_read_back_and_is_no_token() {
        let secret = SessionSecret::generate().unwrap();
        assert_eq!(SessionSecret::parse(secret.expose()).unwrap(), secret);
        assert_ne!(secret, SessionSecret::generate().unwrap());
        assert!(TokenSecret::parse(secret.expose()).is_err());
        let token = TokenSecret::generate().unwrap();
        for bad in ["", "x", &secret.expose()[1..], &secret.expose().to_uppercase()[..], token.expose()] {
            let is_upper_alike = bad.len() == RANDOM_DIGITS && bad == secret.expose();
            assert!(is_upper_alike || SessionSecret::parse(bad).is_err(), "{bad}");
        }
        assert!(!format!("{secret:?}").contains(secret.expose()));
    }
}
