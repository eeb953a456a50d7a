//! queued → running: due timers first, then the runs that are ready, in their order.

use sprongus_core::rules::claim::{Remembered, carried, handed, name_taken, replay};
use sprongus_core::rules::expire::{MOST_PER_CLAIM, expire};
use sprongus_core::rules::{Act, SYSTEM, dispatch};
use sprongus_core::run::event::Event;
use sprongus_core::run::lease::LeaseToken;
use sprongus_core::run::step::Step;
use sprongus_core::run::{ClaimRequest, Claimed, Run};
use sprongus_core::store::ClaimAnswer;
use sprongus_core::values::ids::RunId;
use sprongus_core::values::time::Timestamp;
use sprongus_core::{Caller, Result};

use crate::model::tables::{Row, Tenant};

impl Tenant {
    pub(crate) fn claim(
        &mut self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        act: Act<'_>,
    ) -> Result<ClaimAnswer> {
        let given = request.claim_id.as_ref().and_then(|id| self.claims.get(id)).cloned();
        if let Some((whose, given)) = &given {
            whose.check(caller, request)?;
            for row in given.iter().filter_map(|(id, _)| self.rows.get(id)) {
                if !caller.may_touch(row.run.project_id.as_ref()) {
                    return Err(name_taken());
                }
            }
        }
        let (_, mut events) = self.expire(act.now, MOST_PER_CLAIM);
        if let Some((_, given)) = given {
            let claimed = self.replay(caller, request, token, &given, act.now)?;
            return Ok(ClaimAnswer { claimed, events, next_due_in: None });
        }
        let candidates = self
            .ready
            .iter()
            .filter_map(|place| self.rows.get(&place.id))
            .filter(|row| self.serves(caller, request, row))
            .take(usize::try_from(request.limit).unwrap_or(usize::MAX))
            .map(|row| &row.run);
        let candidates: Vec<Run> = candidates.cloned().collect();
        let set = dispatch::claim(&candidates, request, token.hash(), act);
        events.extend(set.events().cloned());
        self.write(set.clone(), act.now);
        let mut claimed = Vec::with_capacity(candidates.len());
        for taken in dispatch::taken(&set) {
            let before = candidates.iter().find(|run| run.id == taken.run.id);
            claimed.extend(self.hand(before, &taken.run, token));
        }
        if let Some(claim_id) = &request.claim_id
            && !claimed.is_empty()
        {
            let given = claimed.iter().map(|one: &Claimed| (one.run.id, one.run.epoch)).collect();
            let whose = Remembered { worker_id: request.worker_id.clone(), token_id: caller.token_id };
            self.claims.insert(claim_id.clone(), (whose, given));
        }
        let timer = self.timers.first().map(|&(at, _)| at);
        let next = [timer, self.next_schedule()].into_iter().flatten().min().map(|at| at.since(act.now));
        let next_due_in = next.filter(|_| claimed.is_empty());
        Ok(ClaimAnswer { claimed, events, next_due_in })
    }

    fn serves(&self, caller: &Caller, request: &ClaimRequest, row: &Row) -> bool {
        let kind = &row.run.kind;
        let paused = self.kinds.get(kind).is_some_and(|setting| setting.paused);
        let asked = request.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind));
        asked && !paused && caller.may_touch(row.run.project_id.as_ref())
    }

    /// A claimed run, with what it carries on from.
    fn hand(&mut self, before: Option<&Run>, run: &Run, token: &LeaseToken) -> Option<Claimed> {
        let row = self.rows.get_mut(&run.id)?;
        let (steps, keeps_workdir) = match before.filter(|before| before.resuming().is_some()) {
            Some(before) => (row.carry(before.epoch, run.epoch), row.keeps_workdir()),
            None => (Vec::new(), false),
        };
        handed(run.clone(), token, steps, keeps_workdir)
    }

    /// The runs an earlier claim of this name gave, those its worker still holds, under the new token.
    fn replay(
        &mut self,
        caller: &Caller,
        request: &ClaimRequest,
        token: &LeaseToken,
        given: &[(RunId, u64)],
        now: Timestamp,
    ) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::with_capacity(given.len());
        for (id, epoch) in given {
            let Some(row) = self.rows.get_mut(id) else { continue };
            let held = replay(&row.run, caller, &request.worker_id, *epoch, token.hash(), now)?;
            let Some(run) = held else { continue };
            row.run = run.clone();
            let steps = carried(&run, row.steps_of(*epoch));
            claimed.extend(handed(run, token, steps, row.keeps_workdir()));
        }
        Ok(claimed)
    }

    /// Moves up to `limit` due timers and schedules, the longest due first.
    pub(crate) fn expire(&mut self, now: Timestamp, limit: u32) -> (u32, Vec<Event>) {
        let act = Act { now, actor: SYSTEM };
        let due: Vec<RunId> = self
            .timers
            .iter()
            .take_while(|(at, _)| *at <= now)
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .map(|&(_, id)| id)
            .collect();
        let mut events = Vec::new();
        for &id in &due {
            let Some(row) = self.rows.get(&id) else { continue };
            let set = expire(&row.run, row.waits_at(), act);
            if set.is_empty() {
                self.place(id, now);
            }
            events.extend(set.events().cloned());
            self.write(set, now);
        }
        let looked_at = u32::try_from(due.len()).unwrap_or(u32::MAX);
        let (schedules, more) = self.move_schedules(now, limit.saturating_sub(looked_at));
        events.extend(more);
        (looked_at + schedules, events)
    }
}

impl Row {
    /// The step the run waits at.
    pub(crate) fn waits_at(&self) -> Option<&Step> {
        let gate = self.run.waiting_for()?;
        self.steps.values().find(|step| step.epoch == self.run.epoch && step.id == gate.step_id)
    }

    /// Moves the steps of one epoch to the next, ids unchanged.
    fn carry(&mut self, before: u64, epoch: u64) -> Vec<Step> {
        for step in self.steps_of(before) {
            self.steps.remove(&(before, step.ordinal));
            self.steps.insert((epoch, step.ordinal), Step { epoch, ..step });
        }
        self.steps_of(epoch)
    }
}
