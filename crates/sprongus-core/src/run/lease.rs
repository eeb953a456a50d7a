//! Lease tokens: what proves that a report comes from whoever claimed the run.
//!
//! A claim's answer tells its token once; every report brings it back. Worker ids and epochs stand in every run and in its history,
//! so they prove nothing. A store keeps the token's SHA-256 alone. A slow hash would protect nothing that 128 random bits do not.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// How every lease token begins, so that one that leaked is known for what it is.
pub const PREFIX: &str = "spl_";

const RANDOM_BYTES: usize = 16;

/// A lease token. `Debug` does not show it. The default is no token at all, under which nothing is ever held.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct LeaseToken(String);

impl LeaseToken {
    /// A token nobody has had: 128 random bits in hexadecimal behind [`PREFIX`].
    ///
    /// # Errors
    /// `internal` when the system gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = [0_u8; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal("cannot get random bytes from the system").with_source(error.to_string())
        })?;
        let random: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(format!("{PREFIX}{random}")))
    }

    /// What a caller sent as its token, whatever it is.
    pub fn given(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether there is no token.
    pub fn is_absent(&self) -> bool {
        self.0.is_empty()
    }

    /// What a store knows it by.
    pub fn hash(&self) -> LeaseHash {
        LeaseHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The token, to be sent.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for LeaseToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_absent() { "LeaseToken(none)" } else { "LeaseToken(…)" })
    }
}

/// A lease token's SHA-256.
#[derive(Clone, Copy, Eq)]
pub struct LeaseHash([u8; 32]);

impl LeaseHash {
    /// Its bytes, as a store keeps it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// As a store has kept it.
impl From<[u8; 32]> for LeaseHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Compares in the same time, wherever the two differ.
impl PartialEq for LeaseHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

/// The beginning alone: enough to tell two apart.
impl fmt::Debug for LeaseHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(out, "LeaseHash({first:02x}{second:02x}{third:02x}{fourth:02x}…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_random_and_never_shown() {
        let (one, other) = (LeaseToken::generate().unwrap(), LeaseToken::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), PREFIX.len() + 32);
        assert!(!format!("{one:?}").contains(&one.expose()[4..8]));
    }

    #[test]
    fn a_hash_is_of_one_token() {
        let one = LeaseToken::generate().unwrap();
        assert_eq!(LeaseToken::given(one.expose()).hash(), one.hash());
        for other in [LeaseToken::default(), LeaseToken::given(&one.expose()[..35])] {
            assert_ne!(other.hash(), one.hash(), "{other:?}");
        }
    }
}
