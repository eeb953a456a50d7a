//! What a worker reports of a run it holds, and the rare verbs: read, ask the rule, write.

use std::time::Duration;

use sprongus_core::rules::{self, Act, WriteSet};
use sprongus_core::run::command::RunCommand;
use sprongus_core::run::event::Event;
use sprongus_core::run::step::{LogChunk, LogLine, Step, StepReport};
use sprongus_core::run::{Applied, Beat, Hold};
use sprongus_core::store::{DrawnReport, Rule};
use sprongus_core::values::ids::RunId;
use sprongus_core::values::names::WorkerId;
use sprongus_core::{Caller, Result};

use crate::model::tables::Tenant;

impl Tenant {
    pub(crate) fn heartbeat(
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

    pub(crate) fn finish(
        &mut self,
        caller: &Caller,
        worker: &WorkerId,
        drawn: &DrawnReport,
        act: Act<'_>,
    ) -> Result<Applied> {
        let report = &drawn.report;
        let hold = report.hold(worker);
        let run = &self.row(caller, report.id)?.run;
        let set = rules::finish::finish(run, &hold, &report.outcome, drawn.draw, act)?;
        self.apply(caller, report.id, set, act)
    }

    pub(crate) fn command(
        &mut self,
        caller: &Caller,
        id: RunId,
        command: &RunCommand,
        act: Act<'_>,
    ) -> Result<Applied> {
        let row = self.row(caller, id)?;
        let set = command.decide(&row.run, row.waits_at(), act)?;
        self.apply(caller, id, set, act)
    }

    pub(crate) fn decide(
        &mut self,
        caller: &Caller,
        ids: &[RunId],
        rule: &Rule,
        act: Act<'_>,
    ) -> Result<WriteSet> {
        let found = ids.iter().filter_map(|&id| Some((id, self.row(caller, id).ok()?.run.clone())));
        let set = rule(&found.collect(), act)?;
        self.write(set.clone(), act.now);
        Ok(set)
    }

    fn apply(&mut self, caller: &Caller, id: RunId, set: WriteSet, act: Act<'_>) -> Result<Applied> {
        let before = self.row(caller, id)?.run.clone();
        self.write(set.clone(), act.now);
        Ok(set.into_applied(before))
    }

    pub(crate) fn record(
        &mut self,
        caller: &Caller,
        hold: &Hold,
        reports: &[StepReport],
        lines: Vec<LogLine>,
        act: Act<'_>,
    ) -> Result<Vec<Event>> {
        let row = self.row(caller, hold.id)?;
        let recorded: Vec<Step> = row.steps_of(hold.epoch);
        let transition = rules::record::steps(&row.run, hold, &recorded, reports, act)?;
        let (events, attempt) = (transition.events.clone(), transition.run.attempt);
        self.write(transition.into(), act.now);
        if let Some(row) = self.rows.get_mut(&hold.id) {
            let first = row.lines.last().map_or(0, |line| line.seq) + 1;
            let chunk = LogChunk { first, attempt, lines: rules::record::kept(lines) };
            row.lines.extend(chunk.numbered());
        }
        Ok(events)
    }
}
