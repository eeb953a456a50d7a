//! What goes over the wire: bodies as the contract spells them, and their way to and from the nouns of the core.
//!
//! A server prints the core's own nouns, which know their JSON; the types here that mirror one (`RunBody` for `RunView`) read it back on
//! the other side, and describe it in the OpenAPI document. Requests refuse fields that nobody knows.

pub mod directory;
pub mod enqueue;
pub mod gate;
pub mod health;
pub mod operator;
pub mod record;
pub mod report;
pub mod retention;
pub mod run;
pub mod runner_job;
pub mod schedule;
pub mod token;
#[cfg(feature = "server")]
pub mod words;

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The header by which a caller names the workspace that is meant, where a token alone does not say it.
pub const WORKSPACE_HEADER: &str = "sprongus-workspace";

/// The header of the key that makes a repeated enqueue give the same run.
pub const IDEMPOTENCY_KEY_HEADER: &str = "idempotency-key";

/// The header of an answer that was given before.
pub const REPLAYED_HEADER: &str = "idempotency-replayed";

/// The header that names a request in logs and errors.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// The header of the lease token, where the body is a file's bytes, or there is none.
pub const LEASE_TOKEN_HEADER: &str = "sprongus-lease-token";

/// The header of when an artifact was kept: to the millisecond, which `Last-Modified` is not.
pub const CREATED_AT_HEADER: &str = "sprongus-created-at";

/// What the problem of a run that keeps no work directory points at, so that it is told from a run that does not exist.
pub const WORKDIR_POINTER: &str = "/workdir";

/// The most bytes of the body of one request, over which it is `payload_too_large`: an input of 1 MiB and what stands around it.
pub const MAX_BODY_BYTES: usize = (1 << 20) + (64 << 10);

/// The same for requests that carry many items: batches, reports, steps and log lines.
pub const MAX_BATCH_BODY_BYTES: usize = 16 << 20;

/// Whole milliseconds, as durations are written.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps `null` apart from a value that was left out.
fn given<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(input).map(Some)
}

/// An object. Serde would take an array for a struct too, field by field in the order of the code.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = T;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members))
            }
        }

        input.deserialize_map(Members(PhantomData)).map(Self)
    }
}

/// An object, whatever its type would also be read from.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    Object::<T>::deserialize(input).map(|object| object.0)
}

/// A list of objects.
fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(input)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// A list that is not cut into pages, or a page of one.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// What leads to the next page.
    pub next_cursor: Option<String>,
}

/// Answers to a batch, one an item, in order.
#[derive(Clone, Debug, PartialEq, Deserialize, serde::Serialize)]
pub struct Answers<T> {
    /// The answers.
    pub data: Vec<T>,
}
