//! What names a database: kept from being shown.

use std::fmt;

/// What names a database, as it was written. It may hold a password: only the place it names is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(pub(crate) String);

impl From<String> for Address {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Address(…)")
    }
}
