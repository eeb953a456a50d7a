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
        let end = self.rules.following(instant(second)).next();
        Stretch {
            start: self.change_until(second).unwrap_or(i64::MIN),
            end: end.map_or(i64::MAX, |change| change.timestamp().as_second()),
            offset: self.offset(second),
        }
    }

    /// The last change up to a second. jiff 1.0.2 finds none backwards in a file of zone data whose rule stands in the footer alone
    /// (`findings/jiff-preceding-of-rule-only-tzif.sh`), so such a file is read forwards; a rule has its changes every year.
    fn change_until(&self, second: i64) -> Option<i64> {
        const TWO_YEARS: i64 = 2 * 366 * 86_400;
        let at = |change: jiff::tz::TimeZoneTransition<'_>| change.timestamp().as_second();
        let backwards = self.rules.preceding(instant(second.saturating_add(1))).next().map(at);
        let forwards = || {
            let from = instant(second.saturating_sub(TWO_YEARS));
            self.rules.following(from).map(at).take_while(|change| *change <= second).last()
        };
        backwards.or_else(forwards)
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
