//! The names people choose: kinds, workspaces, projects, agent tasks, workers. Each is checked once, when it is read, so
//! that a path, an SQL fragment or a terminal escape never gets further than the error about it.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::Error;
use crate::values::text::excerpt;

fn spelled(text: &str, longest: usize, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    let mut bytes = text.bytes();
    text.len() <= longest && bytes.next().is_some_and(first) && bytes.all(rest)
}

fn letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn slug_first(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn slug_rest(byte: u8) -> bool {
    slug_first(byte) || byte == b'-'
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $longest:literal, $first:expr, $rest:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The rule a name must follow, as a regular expression.
            pub const RULE: &'static str = $rule;

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if spelled(text, $longest, $first, $rest) {
                    return Ok(Self(text.into()));
                }
                Err(Error::validation(format!(concat!("not ", $what, ": {}"), excerpt(text, 64)))
                    .with_hint(concat!($what, " follows ", $rule)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(&self.0)
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

name! {
    /// What a run does, such as `script.pull`.
    Kind, "a kind", "[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", 128, letter_or_digit,
    |byte| letter_or_digit(byte) || matches!(byte, b'.' | b'_' | b'/' | b'-')
}
name! {
    /// The tenant: every run, project and agent task belongs to one.
    WorkspaceId, "a workspace id", "[a-z0-9][a-z0-9-]{0,63}", 64, slug_first, slug_rest
}
name! {
    /// A group of runs within a workspace.
    ProjectId, "a project id", "[a-z0-9][a-z0-9-]{0,63}", 64, slug_first, slug_rest
}
name! {
    /// What a run was made for.
    AgentTaskId, "an agent task id", "[A-Za-z0-9][A-Za-z0-9._-]{0,127}", 128, letter_or_digit,
    |byte| letter_or_digit(byte) || matches!(byte, b'.' | b'_' | b'-')
}
name! {
    /// One start of one worker process. A fresh name for each start, so that a successor is never taken for its predecessor.
    WorkerId, "a worker id", "[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", 128, letter_or_digit,
    |byte| letter_or_digit(byte) || matches!(byte, b'.' | b'_' | b':' | b'@' | b'-')
}
name! {
    /// A claim's own name, made by the claimer: the same claim again gives the same runs.
    ClaimId, "a claim id", "[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", 128, letter_or_digit,
    |byte| letter_or_digit(byte) || matches!(byte, b'.' | b'_' | b':' | b'-')
}

name! {
    /// A schedule of a workspace.
    ScheduleId, "a schedule id", "[a-z0-9][a-z0-9-]{0,63}", 64, slug_first, slug_rest
}

name! {
    /// What keeps a queued run from being claimed: what kind of thing, and which one, such as `limit:openai`. Whoever frees it finds the
    /// runs by this name.
    BlockedOn, "what a run is blocked on", "[a-z][A-Za-z0-9._:/-]{0,255}", 256, |byte| byte.is_ascii_lowercase(),
    |byte| letter_or_digit(byte) || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-')
}

impl WorkspaceId {
    /// The name of [`WorkspaceId::local`].
    pub const LOCAL: &'static str = "default";

    /// The workspace every database has from its first migration.
    pub fn local() -> Self {
        Self(Self::LOCAL.into())
    }
}

impl WorkerId {
    /// A name for this start of a worker: the host's, made safe, and 60 random bits of a fresh id.
    pub fn fresh(host: &str) -> Self {
        let host: String = host.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let fresh = crate::values::ids::RunId::new().to_string();
        let host = if host.is_empty() { "worker" } else { &host };
        Self(format!("{host}-{}", &fresh[14..]).into())
    }
}

impl ClaimId {
    /// A name no other claim has.
    pub fn fresh() -> Self {
        Self(crate::values::ids::RunId::new().to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_paths_or_sql_or_escapes_are_refused() {
        for good in ["script.pull", "sync.aux/props", "A", "0_1-2"] {
            assert!(good.parse::<Kind>().is_ok(), "{good}");
        }
        let long = "k".repeat(129);
        for bad in [
            "",
            "../etc",
            "/etc/passwd",
            ".hidden",
            "a b",
            "x';--",
            "\u{1b}[2J",
            "k\0",
            "naïve",
            long.as_str(),
        ] {
            let fault = bad.parse::<Kind>().unwrap_err();
            assert!(!fault.message().contains('\u{1b}') && fault.message().len() < 100, "{fault}");
        }
    }

    #[test]
    fn slugs_are_lower_case() {
        assert!("my-project-1".parse::<ProjectId>().is_ok());
        for bad in ["My", "-a", "a_b", "a/b", ""] {
            assert!(bad.parse::<ProjectId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fresh_worker_id_is_a_worker_id() {
        let (one, other) = (WorkerId::fresh("böse host\n"), WorkerId::fresh(""));
        assert_eq!(one.as_str().parse::<WorkerId>().unwrap(), one);
        assert_eq!(other.as_str().parse::<WorkerId>().unwrap(), other);
    }
}
