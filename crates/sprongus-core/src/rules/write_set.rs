//! What rules decide, as it is to be written: all of it in one transaction, or none.
//!
//! Each store has one writer that writes any set (`write_set.rs`), and the model applies one as it is. A rule that decides about
//! something new gets a field in [`WriteSet`]; the three writers take a set apart field by field, so they do not compile until they
//! write it, and no other rule is touched.

use serde_json::Value;

use super::{Act, record};
use crate::error::{Error, Result};
use crate::json::Json;
use crate::run::event::{Event, EventType};
use crate::run::step::{Step, StepStatus};
use crate::run::{Applied, Run};
use crate::values::ids::StepId;
use crate::workspace::operator::OperatorAct;
use crate::workspace::setting::SettingWrite;

/// One run's next row, and what is written beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The run from now on.
    pub run: Run,
    /// What goes into its history, with its places there.
    pub events: Vec<Event>,
    /// Its steps that begin, change or end with it, as they are from now on.
    pub steps: Vec<Step>,
}

impl Transition {
    /// Nothing changed yet.
    pub fn of(run: &Run) -> Self {
        Self { run: run.clone(), events: Vec::with_capacity(1), steps: Vec::new() }
    }

    /// Adds an event of the run.
    pub fn push_event(&mut self, kind: EventType, act: Act<'_>, payload: Value) {
        self.push_step_event(None, kind, act, payload);
    }

    /// Adds an event of one of its steps.
    pub fn push_step_event(
        &mut self,
        step_id: Option<StepId>,
        kind: EventType,
        act: Act<'_>,
        payload: Value,
    ) {
        self.run.last_seq += 1;
        self.run.updated_at = act.now;
        self.events.push(Event {
            run_id: self.run.id,
            step_id,
            seq: self.run.last_seq,
            kind,
            at: act.now,
            actor: act.actor.to_owned(),
            payload: Json::from_value(payload),
        });
    }

    /// Ends the step at which a run waited, together with the run.
    pub(super) fn fail_step(&mut self, waits_at: Option<&Step>, act: Act<'_>) {
        if let Some(step) = waits_at.filter(|step| !step.status.is_final()) {
            let step = Step { status: StepStatus::Failed, completed_at: Some(act.now), ..step.clone() };
            record::push_status(self, &step, act);
            self.steps.push(step);
        }
    }
}

/// Everything that one decision writes. An empty set says that there is nothing to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteSet {
    /// The runs that are made, each under an id of its own.
    pub new_runs: Vec<Transition>,
    /// The runs that change, each once. The rule was given them as they stand under their locks.
    pub transitions: Vec<Transition>,
    /// The settings that are created, changed or deleted.
    pub settings: Vec<SettingWrite>,
    /// What goes into the workspace's audit.
    pub acts: Vec<OperatorAct>,
}

impl WriteSet {
    /// A set that makes one run.
    pub fn making(new: Transition) -> Self {
        Self { new_runs: vec![new], ..Self::default() }
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self { new_runs, transitions, settings, acts } = self;
        new_runs.is_empty() && transitions.is_empty() && settings.is_empty() && acts.is_empty()
    }

    /// Adds what another rule decided.
    pub fn extend(&mut self, other: Self) {
        let Self { new_runs, transitions, settings, acts } = other;
        self.new_runs.extend(new_runs);
        self.transitions.extend(transitions);
        self.settings.extend(settings);
        self.acts.extend(acts);
    }

    /// Every event it writes, run by run.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.new_runs.iter().chain(&self.transitions).flat_map(|transition| &transition.events)
    }

    /// The answer to whoever asked for a change of `run`: the run as the set leaves it, and all events of the set.
    pub fn into_applied(self, run: Run) -> Applied {
        let mut applied = Applied { run, events: Vec::new() };
        for transition in self.new_runs.into_iter().chain(self.transitions) {
            if transition.run.id == applied.run.id {
                applied.run = transition.run;
            }
            applied.events.extend(transition.events);
        }
        applied
    }

    /// The answer to whoever asked for a run: the first one made, and all events of the set.
    ///
    /// # Errors
    /// `internal` when the set makes none.
    pub fn into_made(self) -> Result<Applied> {
        let run = self.new_runs.first().map(|new| new.run.clone());
        let run = run.ok_or_else(|| Error::internal("an enqueue made no run"))?;
        Ok(self.into_applied(run))
    }
}

impl From<Transition> for WriteSet {
    fn from(transition: Transition) -> Self {
        Self { transitions: vec![transition], ..Self::default() }
    }
}
