//! The opaque cursor of a list whose order is a time and an id: it leads on behind one place, in one list.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::values::time::Timestamp;

/// The cursor behind a place. `list` says which list it is good for.
pub(crate) fn behind(at: Timestamp, id: impl fmt::Display, list: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{id}.{}", at.as_millis(), bound_to(list)))
}

/// The place that a cursor leads on from; none if it is another list's, or was altered.
pub(crate) fn read<Id: FromStr<Err = Error>>(cursor: &str, list: &str) -> Option<(Timestamp, Id)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let mut parts = text.split('.');
    let at = Timestamp::from_millis(parts.next()?.parse().ok()?);
    let id = parts.next()?.parse().ok()?;
    let bound = parts.next()?;
    let is_whole = parts.next().is_none() && bound == bound_to(list);
    is_whole.then_some((at, id))
}

/// What is said of one that is not good here.
pub(crate) fn refused() -> Error {
    Error::validation("the cursor does not belong to this list")
        .with_hint("use `nextCursor` from the previous page, with the same filters")
}

fn bound_to(list: &str) -> String {
    let digest = Sha256::digest(list.as_bytes());
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
