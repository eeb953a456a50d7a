//! nothing → queued.

use sprongus_core::rules::Act;
use sprongus_core::rules::enqueue::{
    Prepared, enqueue, not_made, taken, unknown_agent_task, unknown_project,
};
use sprongus_core::run::{Enqueue, Run};
use sprongus_core::store::{Batch, Inserted};
use sprongus_core::{Caller, Result};

use crate::model::tables::Tenant;

impl Tenant {
    /// `foreign` says of each request whether its id belongs to another workspace's run.
    pub(crate) fn enqueue(
        &mut self,
        caller: &Caller,
        requests: &[Prepared],
        foreign: &[bool],
        batch: Batch,
        act: Act<'_>,
    ) -> Vec<Result<Inserted>> {
        let items = requests.iter().zip(foreign);
        let answers: Vec<_> =
            items.map(|(request, &is_foreign)| self.make(caller, request, is_foreign, act)).collect();
        if batch == Batch::EachAlone || answers.iter().all(Result::is_ok) {
            return answers;
        }
        for made in answers.iter().flatten().filter(|made| made.outcome == Enqueue::Created) {
            self.remove(made.applied.run.id);
        }
        answers.into_iter().map(|answer| answer.and_then(|_| Err(not_made()))).collect()
    }

    fn make(
        &mut self,
        caller: &Caller,
        request: &Prepared,
        is_foreign: bool,
        act: Act<'_>,
    ) -> Result<Inserted> {
        if let Some(id) = request.project_id.as_ref().filter(|id| !self.projects.contains_key(*id)) {
            return Err(unknown_project(id));
        }
        if let Some(id) = &request.agent_task_id
            && !self.agent_tasks.get(id).is_some_and(|task| caller.may_touch(task.project_id.as_ref()))
        {
            return Err(unknown_agent_task(id));
        }
        if let Some(found) = self.found(request) {
            return Inserted::found(found.clone(), request, caller);
        }
        if is_foreign {
            return Err(taken());
        }
        let set = enqueue(request, &self.id, act);
        let applied = set.clone().into_made()?;
        self.write(set, act.now);
        Ok(Inserted { applied, outcome: Enqueue::Created })
    }

    /// A key is looked up before an id: it is what the caller promised to be unique.
    fn found(&self, request: &Prepared) -> Option<&Run> {
        let by_key = request.idempotency_key.as_ref().and_then(|key| self.keys.get(key));
        self.rows.get(by_key.unwrap_or(&request.id)).map(|row| &row.run)
    }
}
