//! The core's values as Postgres' types, in the binary format: times, ids and JSON.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use sprongus_core::values::time::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

type Fallible<T> = Result<T, Box<dyn StdError + Sync + Send>>;

/// 2000-01-01T00:00:00Z, from which Postgres counts, in milliseconds since 1970.
const EPOCH: i64 = 946_684_800_000;

/// A `timestamptz`; we keep whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        out.put_i64((self.0.as_millis() - EPOCH) * 1_000);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Fallible<Self> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        // `infinity` and `-infinity` are the ends of the range, and are held within the calendar.
        Ok(Self(Timestamp::from_millis(micros.div_euclid(1_000).saturating_add(EPOCH))))
    }

    accepts!(TIMESTAMPTZ);
}

/// A transaction's number that is never given again: an `xid8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionId(pub u64);

impl ToSql for TransactionId {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        out.put_u64(self.0);
        Ok(IsNull::No)
    }

    accepts!(XID8);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for TransactionId {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Fallible<Self> {
        Ok(Self(u64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(XID8);
}

/// JSON text on its way into a `jsonb`.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'a>(pub &'a str);

impl ToSql for JsonText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        out.put_u8(1);
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(JSONB);
    to_sql_checked!();
}

/// The same, of text that is nobody else's.
#[derive(Clone, Debug)]
pub struct JsonString(pub String);

impl ToSql for JsonString {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Fallible<IsNull> {
        JsonText(&self.0).to_sql(kind, out)
    }

    accepts!(JSONB);
    to_sql_checked!();
}

/// The text of a `jsonb`: Postgres' own spelling, with its order of keys and of digits.
#[derive(Clone, Copy, Debug)]
pub struct Spelled<'a>(pub &'a str);

impl<'a> FromSql<'a> for Spelled<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Fallible<Self> {
        match raw.split_first() {
            Some((1, text)) => Ok(Self(std::str::from_utf8(text)?)),
            Some(_) | None => Err("a jsonb of an unknown version".into()),
        }
    }

    accepts!(JSONB);
}

/// An id's 128 bits.
pub fn uuid(bits: u128) -> Uuid {
    Uuid::from_u128(bits)
}
