//! Ids: a UUIDv7 made here, printed as the ULID of the same 128 bits, read in both forms.
//!
//! Also the derived ids of steps and events. They are computed from what identifies the row, never stored beside it, so a
//! worker knows a step's id before the store has answered and a repeated report cannot make a second one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::error::Error;
use crate::values::text::excerpt;

/// Crockford's base32 alphabet: no I, L, O or U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 26 characters of five bits hold 130 bits; the first one may use only three of its five.
const ULID_LENGTH: usize = 26;
const UUID_LENGTH: usize = 36;

fn encode(bits: u128) -> [u8; ULID_LENGTH] {
    let mut text = [0; ULID_LENGTH];
    for (place, character) in text.iter_mut().enumerate() {
        let shift = 5 * (ULID_LENGTH - 1 - place);
        *character = ALPHABET[((bits >> shift) & 31) as usize];
    }
    text
}

fn decode(text: &str) -> Option<u128> {
    match text.len() {
        ULID_LENGTH => text.bytes().enumerate().try_fold(0_u128, |bits, (place, byte)| {
            let upper = byte.to_ascii_uppercase();
            let value = ALPHABET.iter().position(|&letter| letter == upper)?;
            if place == 0 && value > 7 { None } else { Some((bits << 5) | value as u128) }
        }),
        UUID_LENGTH => Uuid::try_parse(text).ok().map(|uuid| uuid.as_u128()),
        _ => None,
    }
}

/// The first 128 bits of a SHA-256 as a UUIDv8, the version RFC 9562 keeps for ids of one's own making.
fn derived(parts: &[&str]) -> u128 {
    let digest = Sha256::digest(parts.join(":").as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().as_u128()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The id of these 128 bits.
            pub const fn from_bits(bits: u128) -> Self {
                Self(bits)
            }

            /// The 128 bits that its text spells.
            pub const fn to_bits(self) -> u128 {
                self.0
            }

            /// The same 128 bits as a hyphenated UUID, the form of the `/runner-jobs` surface.
            pub fn to_uuid_text(self) -> String {
                Uuid::from_u128(self.0).to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = encode(self.0);
                out.pad(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                decode(text).map(Self).ok_or_else(|| {
                    Error::validation(format!(concat!("not ", $what, " id: {}"), excerpt(text, 64)))
                        .with_hint("use a ULID of 26 characters, or the UUID of the same 128 bits")
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(input)?;
                text.parse().map_err(|fault: Error| de::Error::custom(fault.message()))
            }
        }
    };
}

id! {
    /// Names a run. Ids made by one process sort in the order they were made.
    RunId, "a run"
}
id! {
    /// Names a step: derived from the run, the epoch it first ran under and its ordinal.
    StepId, "a step"
}
id! {
    /// Names an event: derived from the run and the event's `seq`.
    EventId, "an event"
}
id! {
    /// Names an API token.
    TokenId, "a token"
}
id! {
    /// Names an operator's event. Those made by one process sort in the order they were made.
    OperatorEventId, "an operator's event"
}

impl RunId {
    /// A new id, later than every id this process made before.
    pub fn new() -> Self {
        Self(Uuid::now_v7().as_u128())
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenId {
    /// A new id: the bits of a `UUIDv7`, the time in milliseconds first.
    pub fn new() -> Self {
        Self(Uuid::now_v7().as_u128())
    }
}

impl Default for TokenId {
    fn default() -> Self {
        Self::new()
    }
}

impl OperatorEventId {
    /// A new id, later than every id this process made before.
    pub fn new() -> Self {
        Self(Uuid::now_v7().as_u128())
    }
}

impl Default for OperatorEventId {
    fn default() -> Self {
        Self::new()
    }
}

impl StepId {
    /// The id of the step at `ordinal` in the execution of `run` under `epoch`.
    pub fn of(run: RunId, epoch: u64, ordinal: u32) -> Self {
        Self(derived(&["step", &run.to_string(), &epoch.to_string(), &ordinal.to_string()]))
    }
}

impl EventId {
    /// The id of the event `seq` of `run`.
    pub fn of(run: RunId, seq: u64) -> Self {
        Self(derived(&["event", &run.to_string(), &seq.to_string()]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_forms_name_the_same_id(bits: u128) {
            let id = RunId(bits);
            prop_assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
            prop_assert_eq!(id.to_string().to_lowercase().parse::<RunId>().unwrap(), id);
            prop_assert_eq!(id.to_uuid_text().parse::<RunId>().unwrap(), id);
        }

        #[test]
        fn no_text_panics_the_parser(text in "\\PC{0,40}") {
            let _ = text.parse::<RunId>();
        }
    }

    #[test]
    fn ids_of_one_process_sort_by_age() {
        let made: Vec<RunId> = (0..1_000).map(|_| RunId::new()).collect();
        assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(made.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string()));
    }

    #[test]
    fn a_first_character_over_seven_would_need_a_129th_bit() {
        assert!("80000000000000000000000000".parse::<RunId>().is_err());
        assert!("7ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse::<RunId>().is_ok());
    }

    #[test]
    fn derived_ids_differ_by_what_they_name() {
        let run = RunId::new();
        assert_eq!(StepId::of(run, 1, 0), StepId::of(run, 1, 0));
        assert_ne!(StepId::of(run, 1, 0), StepId::of(run, 2, 0));
        assert_ne!(EventId::of(run, 1), EventId::of(run, 2));
    }
}
