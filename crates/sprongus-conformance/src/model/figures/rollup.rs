//! The minutes, made of the stream a page at a time.

use sprongus_core::Caller;
use sprongus_core::figures::rollup::{Added, KEPT, Minute, fold};
use sprongus_core::run::stream::StreamPosition;
use sprongus_core::values::time::Timestamp;
use sprongus_core::workspace::operator::OperatorAct;

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn roll_up(&mut self, caller: &Caller, limit: u32, now: Timestamp) -> u32 {
        let page = self.run_events(caller, self.rolled, limit);
        let Some((last, _)) = page.last() else { return 0 };
        self.rolled = *last;
        let kind = |run| self.rows.get(&run).map_or("", |row| row.run.kind.as_str());
        // The figures of the last hour are made of what they are of (`retention.rs`), so their projects do not matter.
        let added = page.iter().map(|(_, event)| Added { kind: kind(event.run_id), project: "", event });
        let sums = fold(added, now);
        for (kind, more) in &sums.totals {
            self.totals.entry(kind.clone()).or_default().add(more);
        }
        for (minute, counts) in sums.minutes {
            let sum = self.minutes.entry(minute).or_default();
            *sum = sum.plus(counts);
        }
        let oldest = now.minus(KEPT);
        self.minutes.retain(|(minute, _), _| *minute >= oldest);
        u32::try_from(page.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn forget_figures(&mut self, caller: &Caller, now: Timestamp) {
        self.rolled = StreamPosition::default();
        self.minutes.clear();
        self.totals.clear();
        self.note(caller, Some(OperatorAct::figures_rebuilt()), now);
    }

    pub(crate) fn minutes(&self, since: Timestamp, before: Timestamp) -> Vec<Minute> {
        let within = self.minutes.iter().filter(|((minute, _), _)| *minute >= since && *minute < before);
        let minute = |(minute, kind): &(Timestamp, String), counts| Minute {
            minute: *minute,
            kind: kind.clone(),
            counts,
        };
        within.map(|(key, counts)| minute(key, *counts)).collect()
    }
}
