//! What has to be looked up to say what runs wait for ([`crate::run::waiting`]).

use super::CallerRuns;
use crate::error::Result;
use crate::run::Run;
use crate::run::list::{ListFilter, Page};
use crate::run::state::State;
use crate::run::waiting::{MOST_COUNTED, OpenGate, Reason, WaitContext, Waiting, reason, waiting};
use crate::values::ids::StepId;

impl CallerRuns {
    /// What each run waits for, in their order. Nothing is looked up where nothing waits.
    pub(super) async fn waiting_of_each(&self, runs: &[Run]) -> Result<Vec<Option<Waiting>>> {
        if !runs.iter().any(|run| run.state == State::Queued) {
            return Ok(runs.iter().map(|_| None).collect());
        }
        let now = self.store().now().await?;
        let context = if runs.iter().any(|run| reason(run, false, now) == Some(Reason::Worker)) {
            WaitContext {
                kinds: self.store().kinds(&self.caller).await?,
                workers: self.store().workers(&self.caller).await?,
                held: self.store().held(&self.caller).await?,
            }
        } else {
            WaitContext::default()
        };
        Ok(runs.iter().map(|run| waiting(run, &context, now)).collect())
    }

    /// What one run waits for, with what is too dear to look up for each of a list.
    pub(super) async fn waiting_of(&self, run: &Run) -> Result<Option<Waiting>> {
        let mut waiting = self.waiting_of_each(std::slice::from_ref(run)).await?.pop().flatten();
        match &mut waiting {
            Some(Waiting::Gate { step_id, step, .. }) => *step = self.step_name(run, *step_id).await?,
            Some(Waiting::Worker { place, .. }) => {
                let ahead = self.store().ahead(&self.caller, run).await?;
                *place = (ahead < MOST_COUNTED).then_some(ahead + 1);
            }
            Some(Waiting::Time { .. } | Waiting::KindPaused { .. }) | None => {}
        }
        Ok(waiting)
    }

    /// A page of the inbox: the gates of the runs that a list by this filter holds.
    pub(super) async fn open_gates(&self, filter: &ListFilter) -> Result<Page<OpenGate>> {
        let filter = ListFilter { waiting: Some(Reason::Gate), ..filter.clone() };
        let page = self.store().list(&self.caller, &filter).await?;
        let mut data = Vec::with_capacity(page.data.len());
        for run in &page.data {
            let Some(gate) = run.waiting_for() else { continue };
            let step = self.step_name(run, gate.step_id).await?;
            data.extend(OpenGate::of(run, step));
        }
        Ok(Page { data, next_cursor: page.next_cursor })
    }

    async fn step_name(&self, run: &Run, id: StepId) -> Result<Option<String>> {
        let steps = self.store().steps(&self.caller, run.id).await?;
        Ok(steps.into_iter().find(|step| step.id == id).map(|step| step.name))
    }
}
