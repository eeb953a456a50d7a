//! A zone as stretches of constant offset, in whole seconds since 1970.

use jiff::Timestamp;

use super::Zone;

/// A stretch of time in which a zone's offset does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first second; [`i64::MIN`] where there is no change before.
    pub start: i64,
    /// The second after the last; [`i64::MAX`] where there is no change behind it.
    pub end: i64,
    /// Seconds east of UTC.
    pub offset: i64,
}

/// The nearest instant that the library can hold.
fn instant(second: i64) -> Timestamp {
    let bounded = second.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(bounded).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Zone {
    pub(super) fn offset(&self, second: i64) -> i64 {
        self.rules.to_offset(instant(second)).seconds().into()
    }

    /// The stretch that holds a second. Two in a row may have the same offset, where only the name of the time changes.
    pub(in super::super) fn stretch(&self, second: i64) -> Stretch {
        let start = self.rules.preceding(instant(second.saturating_add(1))).next();
        let end = self.rules.following(instant(second)).next();
        Stretch {
            start: start.map_or(i64::MIN, |change| change.timestamp().as_second()),
            end: end.map_or(i64::MAX, |change| change.timestamp().as_second()),
            offset: self.offset(second),
        }
    }

    /// The stretch behind this one.
    pub(in super::super) fn following(&self, stretch: &Stretch) -> Option<Stretch> {
        (stretch.end != i64::MAX).then(|| self.stretch(stretch.end))
    }

    /// The stretch before this one.
    pub(in super::super) fn preceding(&self, stretch: &Stretch) -> Option<Stretch> {
        (stretch.start != i64::MIN).then(|| self.stretch(stretch.start - 1))
    }
}
