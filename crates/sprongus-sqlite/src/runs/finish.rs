//! Finish: executions end, in batches.

use sprongus_core::Result;
use sprongus_core::rules::Act;
use sprongus_core::rules::finish::finish;
use sprongus_core::run::Applied;
use sprongus_core::runs::Caller;
use sprongus_core::store::DrawnReport;
use sprongus_core::values::names::WorkerId;

use crate::connection::writer::Tx;
use crate::runs::load::load;
use crate::runs::write_set::write;

/// Ends each execution.
pub fn run(
    tx: &Tx<'_>,
    caller: &Caller,
    worker: &WorkerId,
    reports: &[DrawnReport],
) -> Result<Vec<Result<Applied>>> {
    let act = Act { now: tx.now, actor: &caller.actor };
    let mut answers = Vec::with_capacity(reports.len());
    for DrawnReport { report, draw } in reports {
        let hold = report.hold(worker);
        let answer = match load(tx.connection, caller, report.id)? {
            Ok(run) => match finish(&run, &hold, &report.outcome, *draw, act) {
                Ok(set) => {
                    write(tx, caller, &set)?;
                    Ok(set.into_applied(run))
                }
                Err(refused) => Err(refused),
            },
            Err(missing) => Err(missing),
        };
        answers.push(answer);
    }
    Ok(answers)
}
