//! The clock of the machine against that of the database. Leases and delays follow the database's; what is told here of how long
//! ago something was follows the machine's.

use std::time::Duration;

use sprongus_core::run::list::ListFilter;
use sprongus_core::values::time::{Clock, SystemClock, Timestamp};
use sprongus_core::{Result, Runs, RunsService};

use super::finding::{Finding, Findings};
use crate::render::age::length;

/// The two may differ by so much.
const MOST_APART: Duration = Duration::from_secs(1);

/// Clocks of one machine do not differ by more: a run that was made later than this from now tells that the clock was set back.
const SLACK: Duration = Duration::from_secs(5);

pub async fn check(service: &RunsService, runs: &dyn Runs, findings: &mut Findings) -> Result<()> {
    let asked = SystemClock.now();
    let database = service.store().now().await?;
    let answered = SystemClock.now();
    let newest = runs.list(&ListFilter { limit: 1, ..ListFilter::default() }).await?;
    let newest = newest.data.first().map(|run| run.created_at);
    findings.add(compared(asked, database, answered, newest));
    Ok(())
}

/// The database read its clock at some time between the question and the answer.
fn compared(
    asked: Timestamp,
    database: Timestamp,
    answered: Timestamp,
    newest: Option<Timestamp>,
) -> Finding {
    let remedy = "sync both clocks with NTP; `timedatectl` shows this machine's status";
    let (ahead, behind) = (database.since(answered), asked.since(database));
    if ahead > MOST_APART {
        let text = format!("{answered}, {} behind the database's", length(ahead));
        return Finding::wrong("clock", text, remedy);
    }
    if behind > MOST_APART {
        let text = format!("{answered}, {} ahead of the database's", length(behind));
        return Finding::wrong("clock", text, remedy);
    }
    let set_back = newest.map(|made| made.since(database)).unwrap_or_default();
    if set_back > SLACK {
        let text = format!("{database}, {} behind the newest run", length(set_back));
        return Finding::wrong(
            "clock",
            text,
            "correct the clock of the database's machine and sync it with NTP",
        );
    }
    Finding::fine("clock", database.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_apart_are_named_and_a_slow_answer_is_not() {
        let at = |millis: i64| Timestamp::from_millis(1_000_000_000_000 + millis);
        let found = |asked, database, answered, newest: Option<i64>| {
            compared(at(asked), at(database), at(answered), newest.map(at))
        };
        for fine in [
            found(0, 5, 10, Some(0)),
            found(0, 1_010, 10, None),
            found(0, -1_000, 10, None),
            found(0, 4_000, 9_000, None),
        ] {
            assert_eq!(fine.amiss(), None);
        }
        let seen = |finding: &Finding| {
            finding.amiss().map(|(what, text, remedy)| format!("{what}: {text}: {remedy}")).unwrap()
        };
        let behind = seen(&found(0, 3_010, 10, None));
        assert!(
            behind.starts_with("clock: ")
                && behind.contains("3.0s behind the database's")
                && behind.contains("NTP"),
            "{behind}"
        );
        let ahead = seen(&found(0, -1_001, 10, None));
        assert!(ahead.contains("1.0s ahead of the database's") && ahead.contains("timedatectl"), "{ahead}");
        let set_back = seen(&found(0, 5, 10, Some(60_000)));
        assert!(set_back.contains("59.9s behind the newest run"), "{set_back}");
    }
}
