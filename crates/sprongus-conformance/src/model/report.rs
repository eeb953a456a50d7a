//! What a worker reports of a run it holds, and the rare verbs: read, ask the rule, write.

use std::time::Duration;

use sprongus_core::event::Event;
use sprongus_core::ids::RunId;
use sprongus_core::names::WorkerId;
use sprongus_core::rules::{self, Act, Decision};
use sprongus_core::run::{Applied, Beat, Hold};
use sprongus_core::step::{LogLine, NumberedLine, Step, StepReport};
use sprongus_core::store::{Change, DrawnReport};
use sprongus_core::{Caller, Result};

use super::tables::Tenant;

impl Tenant {
    pub(super) fn heartbeat(
        &mut self,
        caller: &Caller,
        hold: &Hold,
        lease: Option<Duration>,
        act: Act<'_>,
    ) -> Result<Beat> {
        let extension = rules::heartbeat::heartbeat(&self.row(caller, hold.id)?.run, hold, lease, act)?;
        if let Some(row) = self.rows.get_mut(&hold.id) {
            row.run.lease = extension.lease;
            row.run.lease_expires_at = Some(extension.lease_expires_at);
        }
        self.place(hold.id, act.now);
        let drain = self.workers.get(&hold.worker_id).is_some_and(|worker| worker.draining);
        Ok(Beat { drain, ..extension.beat })
    }

    pub(super) fn finish(
        &mut self,
        caller: &Caller,
        worker: &WorkerId,
        drawn: &DrawnReport,
        act: Act<'_>,
    ) -> Result<Applied> {
        let report = &drawn.report;
        let hold = report.hold(worker);
        let run = &self.row(caller, report.id)?.run;
        let decision = rules::finish::finish(run, &hold, &report.outcome, drawn.draw, act)?;
        self.apply(caller, report.id, decision, act)
    }

    pub(super) fn change(
        &mut self,
        caller: &Caller,
        id: RunId,
        change: &Change,
        act: Act<'_>,
    ) -> Result<Applied> {
        let row = self.row(caller, id)?;
        let decision = change.decide(&row.run, row.waits_at(), act)?;
        self.apply(caller, id, decision, act)
    }

    fn apply(&mut self, caller: &Caller, id: RunId, decision: Decision, act: Act<'_>) -> Result<Applied> {
        match decision {
            Decision::Unchanged => Ok(Applied { run: self.row(caller, id)?.run.clone(), events: Vec::new() }),
            Decision::Change(change) => {
                let applied = Applied { run: change.run.clone(), events: change.events.clone() };
                self.write(*change, act.now);
                Ok(applied)
            }
        }
    }

    pub(super) fn record(
        &mut self,
        caller: &Caller,
        hold: &Hold,
        reports: &[StepReport],
        lines: Vec<LogLine>,
        act: Act<'_>,
    ) -> Result<Vec<Event>> {
        let row = self.row(caller, hold.id)?;
        let recorded: Vec<Step> = row.steps_of(hold.epoch);
        let (change, steps) = rules::record::steps(&row.run, hold, &recorded, reports, act)?;
        let events = change.events.clone();
        let attempt = change.run.attempt;
        self.write(change, act.now);
        if let Some(row) = self.rows.get_mut(&hold.id) {
            row.steps.extend(steps.into_iter().map(|step| ((step.epoch, step.ordinal), step)));
            let mut seq = row.lines.last().map_or(0, |line| line.seq);
            row.lines.extend(rules::record::kept(lines).into_iter().map(|line| {
                seq += 1;
                NumberedLine { seq, attempt, line }
            }));
        }
        Ok(events)
    }
}
